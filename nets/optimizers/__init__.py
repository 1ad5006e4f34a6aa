"""The optimizers, in the order in which they are listed."""

from nets.optimizers.base import OPTIMIZERS, Optimizer
from nets.optimizers.sgd import Sgd

from nets.optimizers.adam import Adam, AdamW  # isort: skip
from nets.optimizers.rmsprop import RmsProp  # isort: skip

__all__ = ["OPTIMIZERS", "Adam", "AdamW", "Optimizer", "RmsProp", "Sgd"]
