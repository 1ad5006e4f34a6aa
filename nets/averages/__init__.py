"""Averages of weights over many steps or epochs."""

from nets.averages.ema import Ema
from nets.averages.swa import Swa

__all__ = ["Ema", "Swa"]
