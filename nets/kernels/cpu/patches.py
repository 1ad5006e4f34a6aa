"""im2col and col2im as matrices: a convolution is then one product. Chellapilla et al., 2006."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nets.kernels.cpu.gemm import barrier
from nets.kernels.cpu.layouts import zero_pad
from nets.numerics.im2col import col2im
from nets.numerics.windows import Geometry, Pair, Sizes

# More shifted images than this are summed along rows first, then over rows: with 16 and 25 taps 1.6 to 7 times as fast
# (a fused loop checks its place for every one of them), with 9 taps half as fast.
SUMMED_AT_ONCE = 9


def gather_patches(x: Array, window: Sizes, geometry: Geometry) -> Array:
    """`[channels, H, W, batch]` -> `[groups, kh * kw * channels / groups, H' * W' * batch]`.

    im2col by one gather whose slices are whole windows: little more than a memory copy. The batch stays an axis of its
    own: merged into the columns, XLA:CPU (up to JAX 0.10) moves one value at a time. Rows come in the order of an HWIO
    kernel. It has no gradient: see `sum_patches`.
    """
    dtype = x.dtype
    x = _bits(x)
    channels, height, width, batch = x.shape
    geometry = geometry.tight((height, width), window)
    (kh, kw), (sh, sw), (dh, dw) = window, geometry.stride, geometry.dilation
    out_h, out_w = geometry.places((height, width), window)
    # Every phase gets the same size: the one that the last tap needs.
    x = space_to_depth(x, geometry, (dh * (kh - 1) // sh + out_h, dw * (kw - 1) // sw + out_w))
    depth = channels // geometry.groups
    starts = [
        (i * dh % sh, j * dw % sw, group * depth, i * dh // sh, j * dw // sw)
        for group in range(geometry.groups)
        for i in range(kh)
        for j in range(kw)
    ]
    taken = lax.gather(
        x,
        np.array(starts, np.int32),
        lax.GatherDimensionNumbers(
            offset_dims=(1, 2, 3, 4), collapsed_slice_dims=(0, 1), start_index_map=(0, 1, 2, 3, 4)
        ),
        (1, 1, depth, out_h, out_w, batch),
        mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )
    taken = barrier(lax.bitcast_convert_type(taken, dtype))
    return taken.reshape(geometry.groups, kh * kw * depth, out_h * out_w * batch)


def space_to_depth(x: Array, geometry: Geometry, size: Sizes) -> Array:
    """`[channels, H, W, batch]`, padded -> `[sh, sw, channels, *size, batch]`: every sh-th row and sw-th column."""
    channels, height, width, batch = x.shape
    (sh, sw), (rows, columns), ((top, _), (left, _)) = geometry.stride, size, geometry.padding
    x = barrier(zero_pad(x, (top, rows * sh - height - top), (left, columns * sw - width - left)))
    if geometry.stride != (1, 1):
        x = barrier(x.reshape(channels, rows, sh, columns, sw, batch).transpose(2, 4, 0, 1, 3, 5))
    return x.reshape(sh, sw, channels, rows, columns, batch)


def gather_windows(x: Array, first: Array, starts: Sequence[Pair], size: Sizes) -> Array:
    """`[channels, H, W, batch]` -> `[starts * channels, rows * columns * batch]`: the windows of `size` at `starts`.

    starts: row and column of each, rows counted from `first`, which is traced. None may reach beyond the image.
    """
    channels, _, _, batch = x.shape
    taken = lax.gather(
        x,
        jnp.stack([first, jnp.zeros_like(first)]) + np.array(starts, np.int32),
        lax.GatherDimensionNumbers(offset_dims=(1, 2, 3, 4), collapsed_slice_dims=(), start_index_map=(1, 2)),
        (channels, *size, batch),
        mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )
    return barrier(taken).reshape(-1, size[0] * size[1] * batch)


def _bits(x: Array) -> Array:
    """bfloat16 as integers of the same bits: XLA:CPU would convert it to float32 and back to move it."""
    return lax.bitcast_convert_type(x, jnp.uint16) if x.dtype == jnp.bfloat16 else x


def sum_patches(patches: Array, window: Sizes, geometry: Geometry, shape: tuple[int, ...]) -> Array:
    """col2im, the transpose of `gather_patches`: an image of `shape`, on every pixel the sum of its places."""
    channels, height, width, batch = shape
    (kh, kw), (out_h, out_w) = window, geometry.places((height, width), window)
    of_taps = patches.reshape(geometry.groups, kh, kw, channels // geometry.groups, out_h, out_w, batch)
    if kh * kw <= SUMMED_AT_ONCE:
        values = (of_taps[:, i, j].reshape(channels, out_h, out_w, batch) for i in range(kh) for j in range(kw))
        return col2im(values, window, geometry, jnp.zeros(shape, patches.dtype))
    columns = (of_taps[:, :, j].reshape(kh * channels, out_h, out_w, batch) for j in range(kw))
    of_rows = col2im(columns, (1, kw), geometry.across, jnp.zeros((kh * channels, out_h, width, batch), patches.dtype))
    of_rows = barrier(of_rows).reshape(geometry.groups, kh, channels // geometry.groups, out_h, width, batch)
    rows = (of_rows[:, i].reshape(channels, out_h, width, batch) for i in range(kh))
    return col2im(rows, (kh, 1), geometry.down, jnp.zeros(shape, patches.dtype))
