"""3 x 3 convolutions of stride 1 with 16 products where the plain form takes 36: Winograd F(2x2, 3x3).

Lavin & Gray, 2015. Every tile of 4 x 4 pixels gives 2 x 2 outputs. Images come and go as their four phases (rows and
columns of even and odd number), because then every pixel of a tile is a shifted phase, and no value has to move.
The transforms are sums in float32. Where products take bfloat16, tiles are rounded after them, and the results are off
by 1.7 times (root mean square, independent values) what rounding the pixels instead would have cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from nets.kernels.cpu.activations import join, split
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
# Row i of tile t is row t + shift of one of the two phases: (phase, shift).
ROW_OF_TILE = ((1, -1), (0, 0), (1, 0), (0, 1))
# Below these the transforms take longer than the products they save, or too long to compile for what they gain.
SMALLEST_CHANNELS, SMALLEST_CHANNELS_OF_BFLOAT16 = 8, 32
SAME = Geometry(padding=((1, 1), (1, 1)))


def fits(kernel_shape: tuple[int, ...], at: Geometry, dtype: DTypeLike) -> bool:
    """Whether the channels are so many that the smaller products outweigh the transforms."""
    kh, kw, inputs, outputs = kernel_shape
    smallest = SMALLEST_CHANNELS if dtype == jnp.float32 else SMALLEST_CHANNELS_OF_BFLOAT16
    return (kh, kw) == (3, 3) and at.dense and at.groups == 1 and min(inputs, outputs) >= smallest


def keeps_phases(size: Sizes, at: Geometry) -> bool:
    """Whether four phases come out as they went in."""
    return at == SAME and size[0] % 2 == size[1] % 2 == 0


def winograd_image(x: Array, kernel: Array, at: Geometry, dtype: DTypeLike) -> Array:
    """Any size and padding: padded to an even size before, and cut to what was asked for behind."""
    height, width = at.places(x.shape[1:3], (3, 3))
    inner = [(max(low - 1, 0), max(high - 1, 0)) for low, high in at.padding]
    edges = [(low, high + (size + low + high) % 2, 0) for (low, high), size in zip(inner, x.shape[1:3], strict=True)]
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *edges, (0, 0, 0)))
    y = join(winograd(split(x), kernel, dtype))
    top, left = (max(1 - low, 0) for low, _ in at.padding)
    return y[:, top : top + height, left : left + width]


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def winograd(phases: Four, kernel: Array, dtype: DTypeLike) -> Four:
    """Four phases `[in, H / 2, W / 2, B]` and a `[3, 3, in, out]` kernel -> four phases `[out, H / 2, W / 2, B]`."""
    return _forward(phases, kernel, dtype)[0]


def _forward(phases: Four, kernel: Array, dtype: DTypeLike) -> tuple[Four, tuple[Grid, Array]]:
    shape = (kernel.shape[3], *phases[0].shape[1:])
    tiles = _input_transform(phases, dtype)
    kernels = _kernel_transform(kernel.swapaxes(2, 3), dtype)
    products = _each(lambda a, b: barrier(dot(kernels[4 * a + b], tiles[a][b], 1, 0)))
    outputs = (
        barrier(_combined(_crossed(OUTPUT[i], OUTPUT[j]), lambda a, b: products[a][b])).reshape(shape)
        for i in (0, 1)
        for j in (0, 1)
    )
    return tuple(outputs), (tiles, kernel)


def _backward(dtype: DTypeLike, saved: tuple[Grid, Array], g: Four) -> tuple[Four, Array]:
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
    return tuple(_phase_gradient(i, j, tile_gradients) for i in (0, 1) for j in (0, 1)), kernel_gradient


winograd.defvjp(_forward, _backward)


def _input_transform(phases: Four, dtype: DTypeLike) -> Grid:
    """The 16 matrices `[in, tiles * B]` that the kernels are multiplied with."""
    _, height, width, _ = phases[0].shape
    zero = jnp.zeros((), phases[0].dtype)
    # Odd phases get their row of zeros before them, even ones behind: padded once, each is then read at two offsets.
    padded = [
        barrier(lax.pad(phases[2 * i + j], zero, ((0, 0, 0), (i, 1 - i, 0), (j, 1 - j, 0), (0, 0, 0))))
        for i in (0, 1)
        for j in (0, 1)
    ]

    def pixel(row: int, column: int) -> Array:
        (i, down), (j, right) = ROW_OF_TILE[row], ROW_OF_TILE[column]
        top, left = down + i, right + j
        return padded[2 * i + j][:, top : top + height, left : left + width]

    def transformed(a: int, b: int) -> Array:
        tile = barrier(_combined(_crossed(INPUT[a], INPUT[b]), pixel).astype(dtype))
        return tile.reshape(tile.shape[0], -1)

    return _each(transformed)


def _phase_gradient(i: int, j: int, tiles: Grid) -> Array:
    """What the tiles hand back to phase (i, j): its pixels lie in two rows and two columns of them."""
    total: Array | None = None
    for row, (phase, down) in enumerate(ROW_OF_TILE):
        for column, (other, right) in enumerate(ROW_OF_TILE):
            if (phase, other) != (i, j):
                continue
            users = {
                (a, b): INPUT[a][row] * INPUT[b][column]
                for a in range(4)
                for b in range(4)
                if row in INPUT[a] and column in INPUT[b]
            }
            part = _combined(users.items(), lambda a, b: tiles[a][b])
            part = lax.pad(
                part, jnp.zeros((), part.dtype), ((0, 0, 0), (down, -down, 0), (right, -right, 0), (0, 0, 0))
            )
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
