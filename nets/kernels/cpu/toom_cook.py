"""Convolutions of stride 1 and 4 to 7 columns with down to 40 % of the multiplications: Toom-Cook along a row.

A window's m + k - 1 columns, as values of a polynomial at as many points, give m neighbouring outputs with as many
products; the plain form takes m * k. The rows of a window are summed by the product of matrices itself. All of it goes
some rows at a time, so that patches stay in the caches. Toom, 1963; Cook, 1966; Winograd, 1980; Lavin & Gray, 2016.

Float32 alone: tiles rounded to bfloat16 lose three to four times what rounded pixels do, and products cost half there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nets.kernels.cpu import limits
from nets.kernels.cpu.gemm import barrier, dot, row_major
from nets.kernels.cpu.layouts import zero_pad
from nets.kernels.cpu.patches import gather_windows
from nets.kernels.cpu.problem import FLOAT, ConvProblem
from nets.kernels.footprint import Footprint
from nets.numerics.windows import Geometry

Saved = tuple[Sequence[Array], Array, tuple[int, ...]]

# Where polynomials are evaluated, beside infinity. Small numbers and their inverses lose the fewest digits.
POINTS = tuple(Fraction(number) for number in ("0", "1", "-1", "2", "-2", "1/2", "-1/2"))


class Transforms(NamedTuple):
    """Of pixels `[points, points]`, of weights `[points, taps]`, and from products to outputs `[points, outputs]`."""

    pixels: np.ndarray
    weights: np.ndarray
    outputs: np.ndarray


def fits(problem: ConvProblem) -> bool:
    """Whether there are columns enough to save on, and channels enough to make it worth while; in float32."""
    columns, channels = problem.window[1], min(problem.depth, problem.outputs)
    wide = limits.TOOM_COOK_FEWEST_COLUMNS <= columns <= limits.TOOM_COOK_MOST_COLUMNS
    if not wide or channels < limits.TOOM_COOK_FEWEST_CHANNELS or problem.machine.precision != "float32":
        return False
    if not problem.geometry.dense or problem.geometry.groups > 1:
        return False
    height, width = problem.places
    tiles = Tiles.of(width, columns)
    # Both gradients go over the rows of the image, not over those of the result.
    products = tiles.count * (tiles.outputs + columns - 1) * (height + 2 * problem.size[0])
    return products <= limits.TOOM_COOK_MOST_PRODUCTS * 3 * width * columns * height


def footprint(problem: ConvProblem) -> Footprint:
    """Transformed pixels are kept; transformed gradients and the patches of a block come beside them."""
    kh, kw = problem.window
    tiles = Tiles.of(problem.places[1], kw)
    rows = problem.size[0] + problem.places[0] + 2 * kh
    points = (tiles.outputs + kw - 1) * (tiles.count + tiles.over) * rows * problem.batch * FLOAT
    working = problem.ends + points * problem.outputs + 4 * problem.row_values * FLOAT
    return Footprint(points * problem.inputs, working)


@cache
def transforms(outputs: int, taps: int) -> Transforms:
    """The three of F(outputs, taps), exact but for the last rounding.

    Pixels are divided by powers of two that bring the rows of their transform to about one, and weights multiplied.
    """
    finite = POINTS[: outputs + taps - 2]
    pixels, weights = [], []
    for point in finite:
        others = [other for other in finite if other != point]
        scale = math.prod(point - other for other in others)
        pixels.append([*_coefficients(others), Fraction(0)])
        weights.append([point**power / scale for power in range(taps)])
    pixels.append(_coefficients(finite))
    weights.append([Fraction(power == taps - 1) for power in range(taps)])
    to_outputs = [[point**power for power in range(outputs)] for point in finite]
    to_outputs.append([Fraction(power == outputs - 1) for power in range(outputs)])
    sizes = np.array([2.0 ** round(np.log2(float(sum(value**2 for value in row))) / 2) for row in pixels])[:, None]
    exact = np.array(pixels, float) / sizes, np.array(weights, float) * sizes, np.array(to_outputs, float)
    return Transforms(*(matrix.astype(np.float32) for matrix in exact))


def _coefficients(roots: Sequence[Fraction]) -> list[Fraction]:
    """Of the polynomial with these roots, from the constant to the highest power, which is 1."""
    polynomial = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *polynomial]
        polynomial = [a - root * b for a, b in zip(shifted, [*polynomial, Fraction(0)], strict=True)]
    return polynomial


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def toom_cook(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """`[in, H, W, B] * [kh, kw, in, out] -> [out, H', W', B]`, stride 1, one group.

    Patches of `g`, some rows at a time, serve both gradients; of `x` the transformed pixels are kept.
    """
    return _forward(x, kernel, geometry)[0]


@dataclass(frozen=True)
class Tiles:
    """How a row is cut: `outputs` of each tile, `count` of tiles, and how many further ones the pixels reach `over`."""

    outputs: int
    count: int
    over: int

    @property
    def width(self) -> int:
        """Columns of pixels under all tiles."""
        return (self.count + self.over) * self.outputs

    @classmethod
    def of(cls, width: int, taps: int) -> Tiles:
        """The cut of `width` outputs with the fewest products; of equals the one with the fewest points."""
        most = len(POINTS) + 2 - taps
        outputs = min(range(1, most + 1), key=lambda m: ((m + taps - 1) * -(-width // m), m))
        return cls(outputs, -(-width // outputs), -(-(taps - 1) // outputs))


@dataclass(frozen=True)
class RowBlocks:
    """How an image is cut: `rows` of every block, `count` of blocks; the last one may reach beyond the image."""

    rows: int
    count: int

    @classmethod
    def of(cls, rows: int, values: int) -> RowBlocks:
        """values: in the patches of one row.

        At least two blocks where there are two rows: XLA unrolls a loop of one step, and then the patches of all points
        are alive at once.
        """
        count = min(rows, max(2, -(-rows * values * FLOAT // limits.TOOM_COOK_BLOCK_BYTES)))
        return cls(-(-rows // count), -(-rows // -(-rows // count)))

    @property
    def reach(self) -> int:
        """Rows of all blocks together."""
        return self.rows * self.count


def _cut(geometry: Geometry, kernel: tuple[int, ...], image: tuple[int, ...]) -> tuple[Tiles, RowBlocks, RowBlocks]:
    """Tiles, and blocks of rows of the result and of the gradient of the image; from the shapes of both."""
    kh, kw, inputs, outputs = kernel
    height, width = geometry.places(image[1:3], (kh, kw))
    tiles = Tiles.of(width, kw)
    values = kh * tiles.count * image[3]
    return tiles, RowBlocks.of(height, inputs * values), RowBlocks.of(image[1], outputs * values)


def _forward(x: Array, kernel: Array, geometry: Geometry) -> tuple[Array, Saved]:
    (kh, kw, inputs, outputs), batch = kernel.shape, x.shape[3]
    height, width = geometry.places(x.shape[1:3], (kh, kw))
    tiles, blocks, backward = _cut(geometry, kernel.shape, x.shape)
    matrices = transforms(tiles.outputs, kw)
    (top, _), (left, _) = geometry.padding
    below = max(kh - 1 + blocks.reach, top + backward.reach) - top - x.shape[1]
    padded = barrier(zero_pad(x, (top, below), (left, tiles.width - x.shape[2] - left)))
    columns = padded.reshape(inputs, -1, tiles.count + tiles.over, tiles.outputs, batch)
    places = [divmod(i, tiles.outputs) for i in range(len(matrices.pixels))]
    pixels = [columns[:, :, over : over + tiles.count, column] for over, column in places]
    points = [barrier(_combined(row, pixels)) for row in matrices.pixels]
    weights = _at_points(kernel.transpose(3, 0, 2, 1), matrices.weights)

    def step(i: Array, y: Array) -> Array:
        first, products = i * blocks.rows, []
        for matrix, point in zip(weights, points, strict=True):
            product = barrier(dot(matrix, _rows(point, first, kh, blocks.rows), 1, 0))
            products.append(product.reshape(outputs, blocks.rows, tiles.count, batch))
        results = _side_by_side([_combined(column, products) for column in matrices.outputs.T])[:, :, :width]
        return lax.dynamic_update_slice(y, results, (0, first, 0, 0))

    y = lax.fori_loop(0, blocks.count, step, jnp.zeros((outputs, blocks.reach, width, batch)))
    return y[:, :height], (points, kernel, x.shape)


def _backward(geometry: Geometry, saved: Saved, g: Array) -> tuple[Array, Array]:
    points, kernel, (inputs, height, width, batch) = saved
    kh, kw, _, outputs = kernel.shape
    tiles, _, blocks = _cut(geometry, kernel.shape, (inputs, height, width, batch))
    matrices = transforms(tiles.outputs, kw)
    (top, bottom), (left, _) = geometry.padding
    edges = (kh - 1 - top, kh - 1 - bottom + blocks.reach - height), (0, tiles.count * tiles.outputs - g.shape[2])
    padded_g = barrier(zero_pad(g, *edges)).reshape(outputs, -1, tiles.count, tiles.outputs, batch)
    given = [padded_g[:, :, :, column] for column in range(tiles.outputs)]
    gradients = [barrier(_combined(row, given)) for row in matrices.outputs]
    weights = _at_points(kernel[::-1].transpose(2, 0, 3, 1), matrices.weights)

    def step(i: Array, carry: tuple[Array, list[Array]]) -> tuple[Array, list[Array]]:
        (dx, sums), first, products, more = carry, i * blocks.rows, [], []
        for matrix, point, gradient in zip(weights, points, gradients, strict=True):
            patches = _rows(gradient, first, kh, blocks.rows)
            product = barrier(dot(matrix, patches, 1, 0))
            products.append(product.reshape(inputs, blocks.rows, tiles.count, batch))
            more.append(dot(patches, _rows(point, first + top, 1, blocks.rows), 1, 1))
        results = barrier(_overlapped(products, matrices.pixels, tiles))[:, :, left : left + width]
        sums = [a + b for a, b in zip(sums, more, strict=True)]
        return lax.dynamic_update_slice(dx, results, (0, first, 0, 0)), sums

    nothing = jnp.zeros((inputs, blocks.reach, width, batch)), [jnp.zeros((kh * outputs, inputs)) for _ in points]
    dx, sums = lax.fori_loop(0, blocks.count, step, nothing)
    kernels = jnp.stack(sums).reshape(-1, kh, outputs, inputs)[:, ::-1]
    return dx[:, :height], jnp.einsum("pk,phoi->hkio", matrices.weights, kernels)


toom_cook.defvjp(_forward, _backward)


def _at_points(kernel: Array, transform: np.ndarray) -> list[Array]:
    """`[a, kh, b, kw]` -> `[a, kh * b]` for every point."""
    transformed = barrier(dot(kernel.reshape(-1, kernel.shape[3]), jnp.asarray(transform), 1, 1))
    return [row_major(transformed[:, i].reshape(kernel.shape[0], -1)) for i in range(len(transform))]


def _rows(point: Array, first: Array, window: int, count: int) -> Array:
    """`[window * channels, count * tiles * B]`: what `count` rows of outputs see, from row `first` on."""
    return gather_windows(point, first, [(row, 0) for row in range(window)], (count, point.shape[2]))


def _overlapped(products: list[Array], transform: np.ndarray, tiles: Tiles) -> Array:
    """The gradient of the pixels: every tile's own, added where tiles overlap."""
    columns: list[Array] = []
    for column in range(tiles.outputs):
        parts = []
        for over, pixel in enumerate(range(column, len(transform), tiles.outputs)):
            part = _combined(transform[:, pixel], products)
            parts.append(zero_pad(part, (0, 0), (over, tiles.over - over)))
        columns.append(sum(parts[1:], parts[0]))
    return _side_by_side(columns)


def _side_by_side(columns: list[Array]) -> Array:
    """`[channels, rows, columns * tiles, B]` from one column of every tile after the other."""
    stacked = jnp.stack(columns, 3)
    return stacked.reshape(*stacked.shape[:2], -1, stacked.shape[4])


def _combined(factors: np.ndarray, values: Sequence[Array]) -> Array:
    """The sum of the values, each times its factor."""
    terms = [value if factor == 1 else factor * value for factor, value in zip(factors, values, strict=True) if factor]
    return sum(terms[1:], terms[0])
