"""A factor, as LayerScale has it. Imports PyTorch: for recording alone."""

import torch
from torch import nn


class Scale(nn.Module):
    """A constant, or trained for all channels or for each, which are the second axis."""

    def __init__(self, factor, trained=0):
        super().__init__()
        self.factor = factor
        if trained:
            self.scale = nn.Parameter(torch.full((trained,), factor))

    def forward(self, x):
        scale = getattr(self, "scale", None)
        return x * (self.factor if scale is None else scale.reshape(-1, 1, 1))
