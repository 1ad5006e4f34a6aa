"""The one table of ways to compute a convolution for training on a CPU: the first that fits is taken.

`choose` needs no values, only sizes: what will run is known before anything is traced. README.md of `nets.kernels`
tells how each way works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jax import Array

from nets.kernels.cpu import (
    bands,
    before_pool,
    blocks,
    by_patches,
    by_rows,
    depthwise,
    pointwise,
    space_to_depth,
    toom_cook,
    winograd,
)
from nets.kernels.cpu.layouts import Activation, Image, Phases, image, join, phases, shape_of
from nets.kernels.cpu.machine import Machine
from nets.kernels.cpu.native import conv as native
from nets.kernels.cpu.pool_windows import Corners
from nets.kernels.cpu.problem import ConvProblem
from nets.kernels.cpu.relu import biased_relu
from nets.kernels.footprint import Footprint
from nets.numerics.windows import Geometry

# problem, image, kernel of its shape, kept -> result. kept: whether it has to be in memory, or may be left to be summed
# in the same pass as what follows.
Run = Callable[[ConvProblem, Activation, Array, bool], Activation]


@dataclass(frozen=True)
class Algorithm:
    """One way to compute a convolution and its gradients. does, source: for readers."""

    name: str
    does: str
    source: str
    fits: Callable[[ConvProblem], bool]
    run: Run
    footprint: Callable[[ConvProblem], Footprint]


def _native(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    return Image(native.native_convolve(image(x), kernel, p.geometry, p.machine.dtype))


def _winograd_phases(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    return Phases(winograd.winograd(phases(x), kernel, p.machine.dtype, p.geometry.padding[0][0]))


def _winograd(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    return Image(winograd.winograd_image(image(x), kernel, p.geometry, p.machine.dtype))


def _strided_winograd(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    apart, grid = space_to_depth.dense_phases(image(x), p.window, p.geometry), space_to_depth.grid(p)
    y = winograd.winograd(apart, space_to_depth.dense_kernel(kernel, p.geometry), p.machine.dtype, 0, grid)
    height, width = p.places
    return Image(join(y)[:, :height, :width]) if height % 2 or width % 2 else Phases(y)


def _space_to_depth(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    dense, weights = space_to_depth.dense(p), space_to_depth.dense_kernel(kernel, p.geometry)
    apart = Image(space_to_depth.dense_image(image(x), p.window, p.geometry))
    return _first(PRODUCTS, dense).run(dense, apart, weights, kept)


def _pointwise(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    if isinstance(x, Phases) and p.geometry == Geometry():  # no need to join them
        return Phases(tuple(pointwise.pointwise(phase, kernel, p.geometry, p.machine.dtype) for phase in x.phases))
    return Image(pointwise.pointwise(image(x), kernel, p.geometry, p.machine.dtype))


def _depthwise(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    return Image(depthwise.depthwise(image(x), kernel, p.geometry))


def _bands(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    return Image(bands.by_bands(image(x), kernel, p.geometry, p.machine.dtype, kept))


def _toom_cook(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    return Image(toom_cook.toom_cook(image(x), kernel, p.geometry))


def _blocks(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    return Image(blocks.by_blocks(image(x), kernel, p.geometry, p.machine.dtype))


def _rows(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    return Image(by_rows.by_rows(image(x), kernel, p.geometry, p.machine.dtype, p.size))


def _patches(p: ConvProblem, x: Activation, kernel: Array, kept: bool) -> Activation:
    return Image(by_patches.by_patches(image(x), kernel, p.geometry, p.machine.dtype, p.size))


def _footprint_of_strided_winograd(p: ConvProblem) -> Footprint:
    return space_to_depth.footprint(p, winograd.footprint(space_to_depth.dense(p)))


def _footprint_of_space_to_depth(p: ConvProblem) -> Footprint:
    dense = space_to_depth.dense(p)
    return space_to_depth.footprint(p, _first(PRODUCTS, dense).footprint(dense))


WINOGRAD, TOOM_COOK = "Lavin & Gray, 2016", "Toom, 1963; Cook, 1966; Winograd, 1980"

# Dense convolutions, and what is left of others, as products of matrices.
PRODUCTS: tuple[Algorithm, ...] = (
    Algorithm(
        "pointwise",
        "1 x 1: one product with the image as it lies",
        "",
        pointwise.fits,
        _pointwise,
        pointwise.footprint,
    ),
    Algorithm(
        "depthwise",
        "every channel by itself: weighted sums of shifted images",
        "",
        depthwise.fits,
        _depthwise,
        depthwise.footprint,
    ),
    Algorithm(
        "bands",
        "bfloat16: patches of one row of the kernel, the rows summed behind the product",
        "after Anderson et al., 2017",
        bands.fits,
        _bands,
        bands.footprint,
    ),
    Algorithm(
        "toom_cook",
        "float32, 4 to 7 columns: fewer multiplications along a row",
        TOOM_COOK,
        toom_cook.fits,
        _toom_cook,
        toom_cook.footprint,
    ),
    Algorithm(
        "blocks",
        "float32, stride 1: patches of one row of results at a time",
        "after Chellapilla et al., 2006",
        blocks.fits,
        _blocks,
        blocks.footprint,
    ),
    Algorithm(
        "rows",
        "any stride, dilation and groups: patches of one row of results at a time",
        "after Chellapilla et al., 2006",
        by_rows.fits,
        _rows,
        by_rows.footprint,
    ),
    Algorithm(
        "patches",
        "one product with all patches (im2col), kept for the gradient",
        "Chellapilla et al., 2006",
        by_patches.fits,
        _patches,
        by_patches.footprint,
    ),
)

ALGORITHMS: tuple[Algorithm, ...] = (
    Algorithm(
        "winograd_phases",
        "3 x 3 by F(2x2, 3x3), even sizes: from and to even and odd rows and columns apart",
        WINOGRAD,
        lambda p: winograd.fits(p) and winograd.keeps_phases(p),
        _winograd_phases,
        winograd.footprint,
    ),
    Algorithm(
        "winograd",
        "3 x 3 by F(2x2, 3x3), any size and padding",
        WINOGRAD,
        winograd.fits,
        _winograd,
        winograd.footprint,
    ),
    Algorithm(
        "native",
        "machine code for this very shape; no patches, sums stay in registers",
        "after Georganas et al., 2018",
        native.fits,
        _native,
        native.footprint,
    ),
    Algorithm(
        "strided_winograd",
        "a stride taken apart by space-to-depth, then F(2x2, 3x3)",
        WINOGRAD,
        space_to_depth.fits_winograd,
        _strided_winograd,
        _footprint_of_strided_winograd,
    ),
    Algorithm(
        "space_to_depth",
        "a stride taken apart by space-to-depth, then the first below that fits the dense form",
        "",
        space_to_depth.fits,
        _space_to_depth,
        _footprint_of_space_to_depth,
    ),
    *PRODUCTS,
)


def choose(problem: ConvProblem) -> Algorithm:
    """What will compute it."""
    return _first(ALGORITHMS, problem)


def _first(algorithms: Sequence[Algorithm], problem: ConvProblem) -> Algorithm:
    return next(algorithm for algorithm in algorithms if algorithm.fits(problem))


def footprint(problem: ConvProblem) -> Footprint:
    """What it takes of memory, also where a 2 x 2 pool follows."""
    found = choose(problem).footprint(problem)
    if before_pool.fits(problem):
        pooled = before_pool.footprint(problem)
        return Footprint(max(found.kept, pooled.kept), max(found.working, pooled.working))
    return found


def convolve(machine: Machine, x: Activation, kernel: Array, geometry: Geometry, *, kept: bool = True) -> Activation:
    """Without a bias. kept: False leaves the last sums to be computed in one pass with what follows."""
    problem, kernel = _cropped(machine, x, kernel, geometry)
    return choose(problem).run(problem, x, kernel, kept)


def fuses_relu(problem: ConvProblem) -> bool:
    """Whether a relu behind it is computed in the same pass: else it is no faster so than one by one."""
    return problem.machine.precision != "float32" or choose(problem).fits is native.fits


def convolve_relu(machine: Machine, x: Activation, kernel: Array, bias: Array | None, geometry: Geometry) -> Activation:
    """relu(convolution + bias) in one pass, rounded to the machine's type; for problems that `fuses_relu` names."""
    problem, taps = _cropped(machine, x, kernel, geometry)
    algorithm = choose(problem)
    if algorithm.fits is native.fits:
        return Image(native.native_relu(image(x), taps, bias, problem.geometry, machine.dtype))
    return biased_relu(algorithm.run(problem, x, taps, False), bias, machine.dtype)


def convolve_before_pool(machine: Machine, x: Activation, kernel: Array, geometry: Geometry) -> Corners:
    """What a 2 x 2 pool of stride 2 looks at, without a bias; an odd last row or column may be missing."""
    _, height, width, batch = shape_of(x)
    if before_pool.fits(ConvProblem.of(kernel.shape, geometry, (height, width), batch, machine)):
        return before_pool.convolve(image(x), kernel, geometry, machine.dtype, (height, width))
    z = convolve(machine, x, kernel, geometry)
    return z.phases if isinstance(z, Phases) else image(z)


def _cropped(machine: Machine, x: Activation, kernel: Array, geometry: Geometry) -> tuple[ConvProblem, Array]:
    """The problem, and the kernel without taps that only meet padding."""
    _, *size, batch = shape_of(x)
    problem = ConvProblem.of(kernel.shape, geometry, size, batch, machine)
    taps, _ = geometry.cropped(size, kernel.shape[:2])
    return problem, kernel[taps]
