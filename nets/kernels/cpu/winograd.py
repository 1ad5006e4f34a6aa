"""3 x 3 convolutions of stride 1 with 16 products where the plain form takes 36: Winograd F(2x2, 3x3).

Lavin & Gray, 2016. Every tile of 4 x 4 pixels gives 2 x 2 outputs. Images come and go as their four phases (rows and
columns of even and odd number), because then every pixel of a tile is a shifted phase, and no value has to move.
The transforms are sums in float32. Where products take bfloat16, tiles are rounded after them, and the results are off
by 1.7 times (root mean square, independent values) what rounding the pixels instead would have cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from nets.kernels.cpu import limits
from nets.kernels.cpu.gemm import barrier, dot
from nets.kernels.cpu.layouts import zero_pad
from nets.kernels.cpu.problem import FLOAT, ConvProblem
from nets.kernels.footprint import Footprint
from nets.kernels.layouts import join, split
from nets.numerics.windows import Geometry, Pair

Four = tuple[Array, ...]
TileGrid = list[list[Array]]

# How a row (or column) of four values takes part, with its sign; the two-dimensional transforms are products of these.
INPUT = ({0: 1, 2: -1}, {1: 1, 2: 1}, {2: 1, 1: -1}, {1: 1, 3: -1})
OUTPUT = ({0: 1, 1: 1, 2: 1}, {1: 1, 2: -1, 3: -1})
# The 3 x 3 weights, as a vector of 9, in the 16 places of a tile.
WEIGHTS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
WEIGHTS_TWICE = np.kron(WEIGHTS, WEIGHTS)
PRODUCTS = 16  # of a tile of 2 x 2 results
SAME, VALID = Geometry(padding=((1, 1), (1, 1))), Geometry()


class ChannelGrid(NamedTuple):
    """Input channels as `grid` of blocks, of which only the first `full` have weights in the last row and column.

    The others' last row of a tile is multiplied by nothing but zeros, and left out.
    """

    grid: Pair
    full: Pair

    def blocks_at(self, a: int, b: int) -> Pair:
        """How many blocks take part in place (a, b) of a tile."""
        return (self.full if a == 3 else self.grid)[0], (self.full if b == 3 else self.grid)[1]

    def taking_part(self, x: Array, a: int, b: int, axis: int = 0) -> Array:
        """Of the channels on `axis` those in place (a, b), as three axes: rows and columns of blocks, channels."""
        rows, columns = self.blocks_at(a, b)
        apart = x.reshape(*x.shape[:axis], *self.grid, -1, *x.shape[axis + 1 :])
        return apart[(slice(None),) * axis + (slice(rows), slice(columns))]

    def restored(self, x: Array, edges: Sequence[tuple[int, int, int]]) -> Array:
        """`[rows, columns, in / blocks, ...]` of one place -> `[in, ...]`, zeros for the others, padded by `edges`."""
        missing = [(0, all - some, 0) for all, some in zip(self.grid, x.shape[:2], strict=True)]
        whole = lax.pad(x, jnp.zeros((), x.dtype), (*missing, (0, 0, 0), *edges))
        return whole.reshape(-1, *whole.shape[3:])


WHOLE = ChannelGrid((1, 1), (1, 1))


def fits(problem: ConvProblem) -> bool:
    """Whether it saves more products than its transforms cost."""
    if problem.window != (3, 3) or not problem.geometry.dense or problem.geometry.groups > 1:
        return False
    if problem.machine.seldom and problem.machine.native_for(problem.batch):
        return False  # the transforms take longer to compile than they ever save
    (height, width), inputs, outputs = problem.places, problem.inputs, problem.outputs
    of_size = _fewest_channels(problem)[height % 2 or width % 2]
    fewest = next(channels for side, channels in of_size if height * width <= side**2)
    # Products grow with both numbers of channels, transforms with their sum: the harmonic mean decides.
    mean = 2 * inputs * outputs / (inputs + outputs)
    return mean >= fewest and min(inputs, outputs) >= of_size[-1][1]


def _fewest_channels(problem: ConvProblem) -> limits.FewestChannels:
    machine = problem.machine
    if machine.native_for(problem.batch):
        return limits.WINOGRAD_FEWEST_CHANNELS_BESIDE_NATIVE[machine.precision, machine.unit]
    return limits.WINOGRAD_FEWEST_CHANNELS["float32" if machine.precision == "float32" else machine.unit]


def footprint(problem: ConvProblem) -> Footprint:
    """Transformed tiles are kept; those of the gradients and both kernels come beside them."""
    item, kernels = problem.item, 2 * problem.inputs * problem.outputs * PRODUCTS * (problem.item + FLOAT)
    tiles = PRODUCTS * math.prod(-(-n // 2) for n in problem.places) * problem.batch
    back = tiles * (problem.outputs * (item + FLOAT) + problem.inputs * FLOAT)
    ends = 2 * (problem.padded_values + problem.result_values) * FLOAT
    return Footprint(tiles * problem.inputs * item, back + kernels + ends)


def keeps_phases(problem: ConvProblem) -> bool:
    """Whether what comes out has four phases of one size, as what goes in."""
    return problem.geometry in (SAME, VALID) and problem.size[0] % 2 == problem.size[1] % 2 == 0


def winograd_image(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike) -> Array:
    """Any size and padding: an odd last row or column is computed with a neighbour that is cut off."""
    height, width = geometry.places(x.shape[1:3], (3, 3))
    (top, bottom), (left, right) = geometry.padding
    x = zero_pad(x, (top, bottom + height % 2), (left, right + width % 2))
    return join(winograd(split(x), kernel, dtype, 0))[:, :height, :width]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def winograd(phases: Four, kernel: Array, dtype: DTypeLike, padding: int, grid: ChannelGrid = WHOLE) -> Four:
    """Four phases `[in, H / 2, W / 2, B]` and a `[3, 3, in, out]` kernel -> four phases of the result.

    padding: 1 for a result of the same size, 0 for one of two rows and columns less.
    """
    return _forward(phases, kernel, dtype, padding, grid)[0]


def _forward(
    phases: Four, kernel: Array, dtype: DTypeLike, padding: int, grid: ChannelGrid
) -> tuple[Four, tuple[TileGrid, Array]]:
    _, height, width, batch = phases[0].shape
    shape = kernel.shape[3], height - 1 + padding, width - 1 + padding, batch
    tiles = _input_transform(phases, dtype, padding, grid)
    kernels = _kernel_transform(kernel.swapaxes(2, 3), dtype)

    def product(a: int, b: int) -> Array:
        weights = grid.taking_part(kernels[4 * a + b], a, b, axis=1)
        return barrier(dot(weights.reshape(weights.shape[0], -1), tiles[a][b], 1, 0))

    products = _each(product)
    outputs = (
        barrier(_combined(_crossed(OUTPUT[i], OUTPUT[j]), lambda a, b: products[a][b])).reshape(shape)
        for i in (0, 1)
        for j in (0, 1)
    )
    return tuple(outputs), (tiles, kernel)


def _backward(
    dtype: DTypeLike, padding: int, grid: ChannelGrid, saved: tuple[TileGrid, Array], g: Four
) -> tuple[Four, Array]:
    tiles, kernel = saved
    outputs, *size = g[0].shape
    parts = [{i: OUTPUT[i][a] for i in (0, 1) if a in OUTPUT[i]} for a in range(4)]

    def gradient(a: int, b: int) -> Array:
        product = _combined(_crossed(parts[a], parts[b]), lambda i, j: g[2 * i + j])
        return barrier(product.astype(dtype)).reshape(outputs, -1)

    def tile_gradient(a: int, b: int) -> Array:
        weights = grid.taking_part(kernels[4 * a + b], a, b)
        product = barrier(dot(weights.reshape(-1, outputs), products[a][b], 1, 0))
        return product.reshape(*weights.shape[:3], *size)

    def from_tiles(a: int, b: int) -> Array:
        product = dot(tiles[a][b], products[a][b], 1, 1)
        return grid.restored(product.reshape(*grid.blocks_at(a, b), -1, outputs), ((0, 0, 0),)).reshape(-1)

    products = _each(gradient)
    kernels = _kernel_transform(kernel, dtype)
    of_weights = jnp.stack([from_tiles(a, b) for a in range(4) for b in range(4)])
    kernel_gradient = dot(jnp.asarray(WEIGHTS_TWICE.T), of_weights, 1, 0).reshape(kernel.shape)
    of_tiles = _each(tile_gradient)
    x_gradient = tuple(_phase_gradient(i, j, of_tiles, padding, grid) for i in (0, 1) for j in (0, 1))
    return x_gradient, kernel_gradient


winograd.defvjp(_forward, _backward)


def _row_of_tile(row: int, padding: int) -> tuple[int, int]:
    """Row `row` of tile t, the first of which starts `padding` rows above the image, is row t + shift of a phase."""
    shift, phase = divmod(row - padding, 2)
    return phase, shift


def _input_transform(phases: Four, dtype: DTypeLike, padding: int, grid: ChannelGrid) -> TileGrid:
    """The 16 matrices `[in, tiles * B]` that the kernels are multiplied with."""
    height, width = (size - 1 + padding for size in phases[0].shape[1:3])
    # Of a padded image, odd phases get their row of zeros before them, even ones behind: each is read at two offsets.
    edges = ((0, padding), (padding, 0))
    padded = [barrier(zero_pad(phases[2 * i + j], edges[i], edges[j])) for i in (0, 1) for j in (0, 1)]

    def transformed(a: int, b: int) -> Array:
        def pixel(row: int, column: int) -> Array:
            (i, down), (j, right) = _row_of_tile(row, padding), _row_of_tile(column, padding)
            top, left = down + i * padding, right + j * padding
            channels = grid.taking_part(padded[2 * i + j], a, b)
            return channels[:, :, :, top : top + height, left : left + width]

        tile = barrier(_combined(_crossed(INPUT[a], INPUT[b]), pixel).astype(dtype))
        return tile.reshape(math.prod(tile.shape[:3]), -1)

    return _each(transformed)


def _phase_gradient(i: int, j: int, tiles: TileGrid, padding: int, grid: ChannelGrid) -> Array:
    """What the tiles hand back to phase (i, j): its pixels lie in two rows and two columns of them."""
    total: Array | None = None
    for row in range(4):
        for column in range(4):
            (phase, down), (other, right) = _row_of_tile(row, padding), _row_of_tile(column, padding)
            if (phase, other) != (i, j):
                continue
            edges = (down, 1 - padding - down, 0), (right, 1 - padding - right, 0), (0, 0, 0)
            users: dict[Pair, list[tuple[Pair, int]]] = {}
            for place, sign in _crossed(_users(row), _users(column)):
                users.setdefault(grid.blocks_at(*place), []).append((place, sign))
            for terms in users.values():
                part = grid.restored(_combined(terms, lambda a, b: tiles[a][b]), edges)
                total = part if total is None else total + part
    return barrier(total)


def _users(pixel: int) -> dict[int, int]:
    """The rows of a transformed tile that a row of pixels takes part in, with its sign."""
    return {a: INPUT[a][pixel] for a in range(4) if pixel in INPUT[a]}


def _kernel_transform(kernel: Array, dtype: DTypeLike) -> Array:
    """`[3, 3, a, b] -> [16, a, b]`: one small product for all tiles, which also compiles faster than 16 sums."""
    _, _, a, b = kernel.shape
    transformed = dot(jnp.asarray(WEIGHTS_TWICE), kernel.reshape(9, a * b), 1, 0)
    return barrier(transformed.reshape(16, a, b).astype(dtype))


def _each(function: Callable[[int, int], Array]) -> TileGrid:
    return [[function(a, b) for b in range(4)] for a in range(4)]


def _crossed(rows: dict[int, int], columns: dict[int, int]) -> list[tuple[tuple[int, int], int]]:
    return [((i, j), s * t) for i, s in rows.items() for j, t in columns.items()]


def _combined(terms: Iterable[tuple[tuple[int, int], int]], value: Callable[[int, int], Array]) -> Array:
    """The sum of the values at the given places, each with its sign."""
    signed = [value(*place) if sign > 0 else -value(*place) for place, sign in terms]
    return sum(signed[1:], signed[0])
