"""3 x 3 convolutions of stride 1 with 16 products where the plain form takes 36: Winograd F(2x2, 3x3).

Lavin & Gray, 2015. Every tile of 4 x 4 pixels gives 2 x 2 outputs. Images come and go as their four phases (rows and
columns of even and odd number), because then every pixel of a tile is a shifted phase, and no value has to move.
The transforms are sums in float32. Where products take bfloat16, tiles are rounded after them, and the results are off
by 1.7 times (root mean square, independent values) what rounding the pixels instead would have cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu.activations import framed, join, split
from nets.kernels.cpu.gemm import barrier, dot
from nets.kernels.geometry import Geometry, Sizes

Four = tuple[Array, ...]
Grid = list[list[Array]]

# How a row (or column) of four values takes part, with its sign; the two-dimensional transforms are products of these.
INPUT = ({0: 1, 2: -1}, {1: 1, 2: 1}, {2: 1, 1: -1}, {1: 1, 3: -1})
OUTPUT = ({0: 1, 1: 1, 2: 1}, {1: 1, 2: -1, 3: -1})
# The 3 x 3 weights, as a vector of 9, in the 16 places of a tile.
WEIGHTS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
WEIGHTS_TWICE = np.kron(WEIGHTS, WEIGHTS)
# The fewest channels from which on the products saved outweigh the transforms, which also take five times as long to
# compile: (up to so many pixels a side, channels), for results of even and of odd size. Odd ones are computed a row and
# a column larger, and joined. Measured at batches of 64 and 16, forward and back, against patches and bands of them.
FEWEST_CHANNELS = {
    "float32": (((6, 40), (math.inf, 8)), ((5, 85), (9, 40), (15, 18), (math.inf, 10))),
    "bfloat16": (((14, 36), (math.inf, 24)), ((11, 90), (15, 50), (math.inf, 36))),
}
SAME, VALID = Geometry(padding=((1, 1), (1, 1))), Geometry()


def fits(kernel_shape: tuple[int, ...], at: Geometry, dtype: DTypeLike, size: Sizes) -> bool:
    """Whether this is the fastest form for an image of `size`."""
    kh, kw, inputs, outputs = kernel_shape
    if (kh, kw) != (3, 3) or not at.dense or at.groups > 1:
        return False
    height, width = at.places(size, (3, 3))
    limits = FEWEST_CHANNELS[jnp.dtype(dtype).name][height % 2 or width % 2]
    fewest = next(channels for side, channels in limits if height * width <= side**2)
    # Products grow with both numbers of channels, transforms with their sum: the harmonic mean decides.
    mean = 2 * inputs * outputs / (inputs + outputs)
    return mean >= fewest and min(inputs, outputs) >= limits[-1][1]


def keeps_phases(size: Sizes, at: Geometry) -> bool:
    """Whether what comes out has four phases of one size, as what goes in."""
    return at in (SAME, VALID) and size[0] % 2 == size[1] % 2 == 0


def winograd_image(x: Array, kernel: Array, at: Geometry, dtype: DTypeLike) -> Array:
    """Any size and padding: an odd last row or column is computed with a neighbour that is cut off."""
    height, width = at.places(x.shape[1:3], (3, 3))
    (top, bottom), (left, right) = at.padding
    x = framed(x, (top, bottom + height % 2), (left, right + width % 2))
    return join(winograd(split(x), kernel, dtype, 0))[:, :height, :width]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def winograd(phases: Four, kernel: Array, dtype: DTypeLike, padding: int) -> Four:
    """Four phases `[in, H / 2, W / 2, B]` and a `[3, 3, in, out]` kernel -> four phases of the result.

    padding: 1 for a result of the same size, 0 for one of two rows and columns less.
    """
    return _forward(phases, kernel, dtype, padding)[0]


def _forward(phases: Four, kernel: Array, dtype: DTypeLike, padding: int) -> tuple[Four, tuple[Grid, Array]]:
    _, height, width, batch = phases[0].shape
    shape = kernel.shape[3], height - 1 + padding, width - 1 + padding, batch
    tiles = _input_transform(phases, dtype, padding)
    kernels = _kernel_transform(kernel.swapaxes(2, 3), dtype)
    products = _each(lambda a, b: barrier(dot(kernels[4 * a + b], tiles[a][b], 1, 0)))
    outputs = (
        barrier(_combined(_crossed(OUTPUT[i], OUTPUT[j]), lambda a, b: products[a][b])).reshape(shape)
        for i in (0, 1)
        for j in (0, 1)
    )
    return tuple(outputs), (tiles, kernel)


def _backward(dtype: DTypeLike, padding: int, saved: tuple[Grid, Array], g: Four) -> tuple[Four, Array]:
    tiles, kernel = saved
    outputs, *size = g[0].shape
    spread = [{i: OUTPUT[i][a] for i in (0, 1) if a in OUTPUT[i]} for a in range(4)]

    def gradient(a: int, b: int) -> Array:
        product = _combined(_crossed(spread[a], spread[b]), lambda i, j: g[2 * i + j])
        return barrier(product.astype(dtype)).reshape(outputs, -1)

    products = _each(gradient)
    kernels = _kernel_transform(kernel, dtype)
    from_tiles = [dot(tiles[a][b], products[a][b], 1, 1).reshape(-1) for a in range(4) for b in range(4)]
    kernel_gradient = dot(jnp.asarray(WEIGHTS_TWICE.T), jnp.stack(from_tiles), 1, 0).reshape(kernel.shape)
    tile_gradients = _each(lambda a, b: barrier(dot(kernels[4 * a + b], products[a][b], 1, 0)).reshape(-1, *size))
    return tuple(_phase_gradient(i, j, tile_gradients, padding) for i in (0, 1) for j in (0, 1)), kernel_gradient


winograd.defvjp(_forward, _backward)


def _row_of_tile(row: int, padding: int) -> tuple[int, int]:
    """Row `row` of tile t, the first of which starts `padding` rows above the image, is row t + shift of a phase."""
    shift, phase = divmod(row - padding, 2)
    return phase, shift


def _input_transform(phases: Four, dtype: DTypeLike, padding: int) -> Grid:
    """The 16 matrices `[in, tiles * B]` that the kernels are multiplied with."""
    height, width = (size - 1 + padding for size in phases[0].shape[1:3])
    # Of a padded image, odd phases get their row of zeros before them, even ones behind: each is read at two offsets.
    edges = ((0, padding), (padding, 0))
    padded = [barrier(framed(phases[2 * i + j], edges[i], edges[j])) for i in (0, 1) for j in (0, 1)]

    def pixel(row: int, column: int) -> Array:
        (i, down), (j, right) = _row_of_tile(row, padding), _row_of_tile(column, padding)
        top, left = down + i * padding, right + j * padding
        return padded[2 * i + j][:, top : top + height, left : left + width]

    def transformed(a: int, b: int) -> Array:
        tile = barrier(_combined(_crossed(INPUT[a], INPUT[b]), pixel).astype(dtype))
        return tile.reshape(tile.shape[0], -1)

    return _each(transformed)


def _phase_gradient(i: int, j: int, tiles: Grid, padding: int) -> Array:
    """What the tiles hand back to phase (i, j): its pixels lie in two rows and two columns of them."""
    total: Array | None = None
    for row in range(4):
        for column in range(4):
            (phase, down), (other, right) = _row_of_tile(row, padding), _row_of_tile(column, padding)
            if (phase, other) != (i, j):
                continue
            users = {
                (a, b): INPUT[a][row] * INPUT[b][column]
                for a in range(4)
                for b in range(4)
                if row in INPUT[a] and column in INPUT[b]
            }
            part = _combined(users.items(), lambda a, b: tiles[a][b])
            part = framed(part, (down, 1 - padding - down), (right, 1 - padding - right))
            total = part if total is None else total + part
    return barrier(total)


def _kernel_transform(kernel: Array, dtype: DTypeLike) -> Array:
    """`[3, 3, a, b] -> [16, a, b]`: one small product for all tiles, which also compiles faster than 16 sums."""
    _, _, a, b = kernel.shape
    transformed = dot(jnp.asarray(WEIGHTS_TWICE), kernel.reshape(9, a * b), 1, 0)
    return barrier(transformed.reshape(16, a, b).astype(dtype))


def _each(function: Callable[[int, int], Array]) -> Grid:
    return [[function(a, b) for b in range(4)] for a in range(4)]


def _crossed(rows: dict[int, int], columns: dict[int, int]) -> list[tuple[tuple[int, int], int]]:
    return [((i, j), s * t) for i, s in rows.items() for j, t in columns.items()]


def _combined(terms: Iterable[tuple[tuple[int, int], int]], value: Callable[[int, int], Array]) -> Array:
    """The sum of the values at the given places, each with its sign."""
    signed = [value(*place) if sign > 0 else -value(*place) for place, sign in terms]
    return sum(signed[1:], signed[0])
