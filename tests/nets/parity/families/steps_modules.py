"""Modules of each step, which PyTorch has none of."""

from __future__ import annotations

import torch
from torch import nn

from tests.nets.parity.families.recurrent_modules import last

__all__ = ["EachStep", "last"]


class EachStep(nn.Module):
    """Modules that see every step by itself."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.flatten(0, 1)).unflatten(0, x.shape[:2])
