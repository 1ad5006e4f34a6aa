"""What each tap of a window sees of an image, and values put back where it saw them. Images are `[_, H, W, _]`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import jax.numpy as jnp
from jax import Array, lax

from nets.numerics.windows import NO_PADDING, Geometry, Sizes


def seen(x: Array, window: Sizes, at: Geometry) -> Iterator[Array]:
    """`[_, H', W', _]` for each tap in reading order. `x`: with the padding of `at` around it."""
    out_h, out_w = replace(at, padding=NO_PADDING).places(x.shape[1:3], window)
    (sh, sw), (dh, dw) = at.stride, at.dilation
    for i in range(window[0]):
        for j in range(window[1]):
            rows = slice(i * dh, i * dh + (out_h - 1) * sh + 1, sh)
            columns = slice(j * dw, j * dw + (out_w - 1) * sw + 1, sw)
            yield x[:, rows, columns]


def put_back(values: Iterable[Array], window: Sizes, at: Geometry, image: Array) -> Array:
    """The transpose of `seen`: `image`, without padding, and on every pixel the sum of the `values` that it gave."""
    zero = jnp.zeros((), image.dtype)
    size = image.shape[1:3]
    out_h, out_w = at.places(size, window)
    for tap, value in enumerate(values):
        i, j = divmod(tap, window[1])
        edges = (0, 0, 0), at.spread(i, size[0], out_h, axis=0), at.spread(j, size[1], out_w, axis=1), (0, 0, 0)
        image = image + lax.pad(value, zero, edges)
    return image
