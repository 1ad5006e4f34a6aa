"""The optimizers, in the order in which they are listed, and what stands around them."""

from nets.optimizers.base import OPTIMIZERS, Optimizer
from nets.optimizers.sgd import Sgd

from nets.optimizers.adam import Adam, AdamW  # isort: skip
from nets.optimizers.rmsprop import RmsProp  # isort: skip
from nets.optimizers.nadam import Nadam  # isort: skip
from nets.optimizers.radam import Radam  # isort: skip
from nets.optimizers.adamax import Adamax  # isort: skip
from nets.optimizers.adagrad import Adadelta, Adagrad  # isort: skip
from nets.optimizers.rprop import Rprop  # isort: skip
from nets.optimizers.adafactor import Adafactor  # isort: skip
from nets.optimizers.trust import Lamb, Lars  # isort: skip
from nets.optimizers.lion import Lion  # isort: skip
from nets.optimizers.muon import Muon  # isort: skip
from nets.optimizers.schedule_free import ScheduleFreeAdamW  # isort: skip

__all__ = [
    "OPTIMIZERS",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lamb",
    "Lars",
    "Lion",
    "Muon",
    "Nadam",
    "Optimizer",
    "Radam",
    "RmsProp",
    "Rprop",
    "ScheduleFreeAdamW",
    "Sgd",
]
