"""The learning-rate schedules, in the order in which they are listed."""

from nets.schedules.base import SCHEDULES, Schedule, Span
from nets.schedules.constant import Constant

from nets.schedules.decay import Exponential, InverseSqrt, LinearDecay, Polynomial  # isort: skip
from nets.schedules.stairs import MultiStep, Piecewise, Step  # isort: skip
from nets.schedules.cosine import Cosine  # isort: skip
from nets.schedules.one_cycle import OneCycle  # isort: skip
from nets.schedules.wsd import Wsd  # isort: skip
from nets.schedules.plateau import Plateau, ReduceOnPlateau  # isort: skip

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Exponential",
    "InverseSqrt",
    "LinearDecay",
    "MultiStep",
    "OneCycle",
    "Piecewise",
    "Plateau",
    "Polynomial",
    "ReduceOnPlateau",
    "Schedule",
    "Span",
    "Step",
    "Wsd",
]
