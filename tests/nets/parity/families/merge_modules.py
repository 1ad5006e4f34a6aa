"""What PyTorch has as functions of tensors, as modules of several inputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


class Merge(nn.Module):
    """A function of two tensors, of more of them two by two from the first on."""

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        for other in others:
            x = self.function(x, other)
        return x


class Average(nn.Module):
    """The mean of tensors."""

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        return torch.stack(xs).mean(0)


class Concat(nn.Module):
    """Tensors behind each other along an axis."""

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        return torch.cat(xs, self.dim)
