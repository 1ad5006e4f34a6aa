"""A module that PyTorch does not have ready. Imports PyTorch: for recording alone."""

from torch import nn


class Mlp(nn.Module):
    """As timm has it; over the steps where it is asked to turn."""

    def __init__(self, width, hidden, out, turn=False, activation=nn.GELU, bias=True):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden, bias=bias), nn.Linear(hidden, out, bias=bias)
        self.act, self.turn = activation(), turn

    def forward(self, x):
        if self.turn:
            return self.fc2(self.act(self.fc1(x.transpose(1, 2)))).transpose(1, 2)
        return self.fc2(self.act(self.fc1(x)))
