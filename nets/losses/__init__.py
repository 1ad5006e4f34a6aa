"""The losses, in the order in which they are listed."""

from nets.losses.base import LOSSES, Loss, Terms
from nets.losses.entropy import CrossEntropy

from nets.losses.binary import BinaryCrossEntropy, Focal  # isort: skip
from nets.losses.difference import CosineLoss, Huber, LogCosh, MeanAbsoluteError, MeanSquaredError, SmoothL1  # isort: skip
from nets.losses.margin import Hinge  # isort: skip
from nets.losses.likelihood import KlDiv, NegativeLogLikelihood, PoissonNll  # isort: skip
from nets.losses.embedding import Contrastive, Triplet  # isort: skip

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "Contrastive",
    "CosineLoss",
    "CrossEntropy",
    "Focal",
    "Hinge",
    "Huber",
    "KlDiv",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "NegativeLogLikelihood",
    "PoissonNll",
    "SmoothL1",
    "Terms",
    "Triplet",
]
