"""The layer types. Importing a module here puts its types into `LAYERS`; a new file is added to this list."""

from nets.layers import activation, conv, dropout, linear, merge, norm, pool, residual, shape
from nets.layers.base import LAYERS, Layer

__all__ = ["LAYERS", "Layer", "activation", "conv", "dropout", "linear", "merge", "norm", "pool", "residual", "shape"]
