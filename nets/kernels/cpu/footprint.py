"""What convolutions take of memory under the plan for CPUs, told from their sizes, as the plan chooses their forms."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import jax.numpy as jnp

from nets.kernels.cpu import bands, blocks, by_rows, phase_conv, strided, toom_cook, winograd
from nets.kernels.cpu.native import conv as native
from nets.kernels.plan import Footprint, Pair
from nets.numerics.windows import Geometry

if TYPE_CHECKING:
    from nets.kernels.cpu.plan import CpuPlan

FLOAT = 4


@dataclass(frozen=True)
class Convolution:
    """One of `batch` images of `size`, its numbers of values by what they belong to; `item`: bytes of an operand."""

    kernel: tuple[int, ...]  # [kh, kw, in / groups, out]
    at: Geometry
    size: Pair
    batch: int
    item: int

    @property
    def inputs(self) -> int:
        return self.kernel[2] * self.at.groups

    @property
    def places(self) -> Pair:
        return self.at.places(self.size, self.kernel[:2])

    @property
    def image(self) -> int:
        return self.inputs * prod(self.size) * self.batch

    @property
    def padded(self) -> int:
        sides = (side + sum(padding) for side, padding in zip(self.size, self.at.padding, strict=True))
        return self.inputs * prod(sides) * self.batch

    @property
    def result(self) -> int:
        return self.kernel[3] * prod(self.places) * self.batch

    @property
    def row(self) -> int:
        """Patches of one row of results, from the image or, for its gradient, from that of the result."""
        return prod(self.kernel[:2]) * max(self.inputs, self.kernel[3]) * max(self.size[1], self.places[1]) * self.batch


def footprint(plan: CpuPlan, kernel: tuple[int, ...], at: Geometry, size: Pair, batch: int) -> Footprint:
    """Of a convolution as `plan.convolve` computes it."""
    seen, at = at.cropped(size, kernel[:2])
    window = tuple(range(n)[part] for n, part in zip(kernel[:2], seen, strict=True))
    kernel = (*map(len, window), *kernel[2:])
    c = Convolution(kernel, at, size, batch, jnp.dtype(plan.dtype).itemsize)
    fewest = plan.fewest_channels(batch)
    transforms = winograd.fits(kernel, at, size, fewest)
    if plan.native_for(batch) and native.fits(at) and not transforms:
        return _natively(c)
    if strided.fits(kernel, at):
        found = _strided(plan, c)
    elif transforms:
        found = _by_winograd(c)
    else:
        found = _dense(plan, c)
    if phase_conv.fits(kernel, at):  # where a pool follows
        patches = (kernel[0] + 1) * (kernel[1] + 1) * c.inputs * prod(-(-n // 2) for n in c.places) * batch
        found = Footprint(max(found.kept, patches * c.item), max(found.working, patches * FLOAT * 2))
    return found


def _natively(c: Convolution) -> Footprint:
    phases = 3 if prod(c.at.stride) > 1 else 1
    sums = native.sums_of_kernel(c.kernel, c.at, c.size, c.batch, c.item)
    working = (phases * c.image + 2 * c.result + 4 * prod(c.kernel) + sums) * FLOAT
    return Footprint(c.image * c.item, working)


def _strided(plan: CpuPlan, c: Convolution) -> Footprint:
    steps, at = prod(c.at.stride), Geometry()
    size = strided.dense_size(c.size, c.kernel[:2], c.at)
    window = tuple(-(-taps // stride) for taps, stride in zip(c.kernel[:2], c.at.stride, strict=True))
    dense = Convolution((*window, c.inputs * steps, c.kernel[3]), at, size, c.batch, c.item)
    moved = 3 * max(dense.image, c.padded) * FLOAT
    if winograd.fits(dense.kernel, at, size, plan.fewest_channels(c.batch)):
        kept, working = _by_winograd(dense)
    elif strided.stays(c.kernel, c.at, plan.dtype, c.size, c.batch):
        kept, working = _dense(plan, c)
    else:
        kept, working = _dense(plan, dense)
    return Footprint(kept + dense.image * c.item, working + moved)


def _by_winograd(c: Convolution) -> Footprint:
    tiles = 16 * prod(-(-n // 2) for n in c.places) * c.batch
    kernels = 2 * prod(c.kernel[2:]) * 16 * (c.item + FLOAT)
    back = tiles * (c.kernel[3] * (c.item + FLOAT) + c.inputs * FLOAT)
    return Footprint(tiles * c.inputs * c.item, back + kernels + 2 * (c.padded + c.result) * FLOAT)


def _dense(plan: CpuPlan, c: Convolution) -> Footprint:
    """As `conv.convolve` chooses."""
    kh, kw, depth, outputs = c.kernel
    (rows, columns), ends = c.places, (c.image + c.padded + 2 * c.result) * FLOAT
    if (kh, kw) == (1, 1) and c.at.groups == 1:
        return Footprint(c.padded * c.item, ends)
    if depth == 1 and c.at.groups == outputs > 1:
        return Footprint(c.padded * FLOAT, ends + 2 * c.padded * FLOAT)
    if plan.dtype == jnp.bfloat16 and bands.fits(c.kernel, c.at):
        wide = max(c.size[0], rows) * max(c.size[1], columns) * c.batch
        both = c.inputs + outputs
        return Footprint(c.image * c.item, ends + wide * both * (kw * c.item + kh * (FLOAT + c.item)))
    if plan.dtype == jnp.float32 and toom_cook.fits(c.kernel, c.at, c.size):
        cut = toom_cook.Tiles.of(columns, kw)
        points = (cut.outputs + kw - 1) * (cut.count + cut.over) * (c.size[0] + rows + 2 * kh) * c.batch * FLOAT
        return Footprint(points * c.inputs, ends + points * outputs + 4 * c.row * FLOAT)
    if plan.dtype == jnp.float32 and blocks.fits(c.kernel, c.at, c.size, c.batch):
        return Footprint(c.image * c.item, ends + 2 * c.padded * FLOAT + 2 * c.row * FLOAT)
    if by_rows.fits(c.kernel, c.at, c.size, c.batch, plan.dtype):
        return Footprint(c.image * c.item, ends + 3 * c.padded * FLOAT + 3 * c.row * FLOAT)
    patches = kh * kw * c.inputs * rows * columns * c.batch
    rows_of_taps = kh * c.inputs * rows * c.size[1] * c.batch
    return Footprint(patches * c.item, ends + (patches + rows_of_taps) * FLOAT + c.padded * FLOAT)
