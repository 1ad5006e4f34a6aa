"""The regularizers, in the order in which they are listed."""

from nets.regularizers.base import REGULARIZERS, OfActivity, OfWeights, Regularizer
from nets.regularizers.weights import L1, Orthogonal

from nets.regularizers.activity import ActivityL2  # isort: skip

__all__ = ["REGULARIZERS", "ActivityL2", "L1", "OfActivity", "OfWeights", "Orthogonal", "Regularizer"]
