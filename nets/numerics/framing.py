"""Images with a frame of their own pixels around them, in place of zeros. Images are `[_, H, W, _]`."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array

from nets.numerics.windows import Padding

# PyTorch's names, and NumPy's.
MODES: Mapping[str, str] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def framed(x: Array, padding: Padding, mode: str) -> Array:
    """Made of slices put side by side: the gradient of a gather would be a scatter."""
    return jnp.pad(x, ((0, 0), *padding, (0, 0)), mode=MODES[mode])
