"""Norms that PyTorch does not have ready."""

import torch
from torch import nn


class Pixels(nn.Module):
    """A norm over the channels of each pixel, as ConvNeXt has it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
