"""The losses."""

from nets.losses.base import LOSSES, Loss, loss_on

__all__ = ["LOSSES", "Loss", "loss_on"]
