"""The layer types. Importing a module here puts its types into `LAYERS`; a new file is added to this list."""

from nets.layers import (
    activation,
    attention,
    bottleneck,
    conv,
    dense_block,
    dropout,
    embedding,
    linear,
    merge,
    norm,
    patches,
    pool,
    residual,
    shape,
    squeeze_excitation,
)
from nets.layers.base import LAYERS, Layer

__all__ = [
    "LAYERS",
    "Layer",
    "activation",
    "attention",
    "bottleneck",
    "conv",
    "dense_block",
    "dropout",
    "embedding",
    "linear",
    "merge",
    "norm",
    "patches",
    "pool",
    "residual",
    "shape",
    "squeeze_excitation",
]
