"""im2col, slice by slice: what each tap of a window meets of an image `[_, H, W, _]`; and its transpose, col2im."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import jax.numpy as jnp
from jax import Array, lax

from nets.numerics.windows import NO_PADDING, Geometry, Sizes


def slices(x: Array, window: Sizes, geometry: Geometry) -> Iterator[Array]:
    """`[_, H', W', _]` for each tap in reading order. `x`: with the padding of `geometry` around it."""
    out_h, out_w = replace(geometry, padding=NO_PADDING).places(x.shape[1:3], window)
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    for i in range(window[0]):
        for j in range(window[1]):
            rows = slice(i * dh, i * dh + (out_h - 1) * sh + 1, sh)
            columns = slice(j * dw, j * dw + (out_w - 1) * sw + 1, sw)
            yield x[:, rows, columns]


def col2im(values: Iterable[Array], window: Sizes, geometry: Geometry, image: Array) -> Array:
    """The transpose of `slices`: `image`, without padding, plus each of `values` on the pixels that its tap met."""
    zero = jnp.zeros((), image.dtype)
    size = image.shape[1:3]
    out_h, out_w = geometry.places(size, window)
    for tap, value in enumerate(values):
        i, j = divmod(tap, window[1])
        edges = (
            (0, 0, 0),
            geometry.col2im_padding(i, size[0], out_h, axis=0),
            geometry.col2im_padding(j, size[1], out_w, axis=1),
            (0, 0, 0),
        )
        image = image + lax.pad(value, zero, edges)
    return image
