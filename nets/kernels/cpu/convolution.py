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
from nets.kernels.cpu.layouts import image, phases, shape_of
from nets.kernels.cpu.machine import Machine
from nets.kernels.cpu.native import channelwise
from nets.kernels.cpu.native import conv as native
from nets.kernels.cpu.pool_windows import Corners
from nets.kernels.cpu.problem import ConvProblem
from nets.kernels.cpu.relu import biased_relu
from nets.kernels.footprint import Footprint
from nets.kernels.layouts import Laid, join
from nets.numerics.windows import Geometry

# problem, image, kernel of its shape, materialise -> result. materialise: whether it has to be in memory; if not, its
# last sums may be computed in the same pass as what follows.
Run = Callable[[ConvProblem, Laid, Array, bool], Laid]


@dataclass(frozen=True)
class Algorithm:
    """One way to compute a convolution and its gradients. takes, does, source: for readers.

    limits: the names of those that `fits` reads, beside those of a dense form.
    """

    name: str
    takes: str
    does: str
    source: str
    limits: tuple[str, ...]
    fits: Callable[[ConvProblem], bool]
    run: Run
    footprint: Callable[[ConvProblem], Footprint]


def _native(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    return Laid(native.native_convolve(image(x), kernel, p.geometry, p.machine.dtype), "CHWB")


def _winograd_phases(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    return Laid(winograd.winograd(phases(x), kernel, p.machine.dtype, p.geometry.padding[0][0]), "phases")


def _winograd(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    return Laid(winograd.winograd_image(image(x), kernel, p.geometry, p.machine.dtype), "CHWB")


def _strided_winograd(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    weights, grid = space_to_depth.dense_kernel(kernel, p.geometry), space_to_depth.grid(p)
    apart = space_to_depth.dense_phases(image(x), p.window, p.geometry)
    y = winograd.winograd(apart, weights, p.machine.dtype, 0, grid)
    height, width = p.places
    return Laid(join(y)[:, :height, :width], "CHWB") if height % 2 or width % 2 else Laid(y, "phases")


def _space_to_depth(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    dense, weights = space_to_depth.dense(p), space_to_depth.dense_kernel(kernel, p.geometry)
    apart = Laid(space_to_depth.dense_image(image(x), p.window, p.geometry), "CHWB")
    return _first(PRODUCTS, dense).run(dense, apart, weights, materialise)


def _pointwise(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    if x.layout == "phases" and p.geometry == Geometry():  # no need to join them
        return Laid(
            tuple(pointwise.pointwise(phase, kernel, p.geometry, p.machine.dtype) for phase in x.arrays), "phases"
        )
    return Laid(pointwise.pointwise(image(x), kernel, p.geometry, p.machine.dtype), "CHWB")


def _depthwise(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    return Laid(depthwise.depthwise(image(x), kernel, p.geometry), "CHWB")


def _channelwise(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    return Laid(channelwise.channelwise(image(x), kernel, p.geometry), "CHWB")


def _bands(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    return Laid(bands.by_bands(image(x), kernel, p.geometry, p.machine.dtype, materialise), "CHWB")


def _toom_cook(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    return Laid(toom_cook.toom_cook(image(x), kernel, p.geometry), "CHWB")


def _blocks(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    return Laid(blocks.by_blocks(image(x), kernel, p.geometry, p.machine.dtype), "CHWB")


def _rows(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    return Laid(by_rows.by_rows(image(x), kernel, p.geometry, p.machine.dtype, p.size), "CHWB")


def _patches(p: ConvProblem, x: Laid, kernel: Array, materialise: bool) -> Laid:
    return Laid(by_patches.by_patches(image(x), kernel, p.geometry, p.machine.dtype, p.size), "CHWB")


def _footprint_of_strided_winograd(p: ConvProblem) -> Footprint:
    return space_to_depth.footprint(p, winograd.footprint(space_to_depth.dense(p)))


def _footprint_of_space_to_depth(p: ConvProblem) -> Footprint:
    dense = space_to_depth.dense(p)
    return space_to_depth.footprint(p, _first(PRODUCTS, dense).footprint(dense))


_WINOGRAD = "F(2x2, 3x3) of Lavin & Gray, 2016"
_WINOGRAD_LIMITS = "WINOGRAD_FEWEST_CHANNELS", "WINOGRAD_FEWEST_CHANNELS_BESIDE_NATIVE"

# Products of matrices: what is left when no other way fits, and what a dense form of a stride is computed by.
PRODUCTS: tuple[Algorithm, ...] = (
    Algorithm(
        "pointwise",
        takes="1 x 1 kernels, one group",
        does="one product of the kernel with the image as it lies",
        source="",
        limits=(),
        fits=pointwise.fits,
        run=_pointwise,
        footprint=pointwise.footprint,
    ),
    Algorithm(
        "depthwise",
        takes="one channel and one result in every group",
        does="weighted sums of shifted images; there is no product in it",
        source="",
        limits=(),
        fits=depthwise.fits,
        run=_depthwise,
        footprint=depthwise.footprint,
    ),
    Algorithm(
        "bands",
        takes="bfloat16, stride 1, one group, kernels of several rows",
        does="patches of single rows; one product for all rows of the kernel, whose results are shifted and summed",
        source="kn2row of Vasudevan, Anderson & Gregg, 2017, over rows",
        limits=("BANDS_FEWEST_CHANNELS",),
        fits=bands.fits,
        run=_bands,
        footprint=bands.footprint,
    ),
    Algorithm(
        "toom_cook",
        takes="float32, stride 1, one group, kernels of 4 to 7 columns",
        does="fewer multiplications along a row, some rows at a time",
        source="Toom, 1963; Cook, 1966; Winograd, 1980; Lavin & Gray, 2016",
        limits=(
            "TOOM_COOK_FEWEST_COLUMNS",
            "TOOM_COOK_MOST_COLUMNS",
            "TOOM_COOK_FEWEST_CHANNELS",
            "TOOM_COOK_MOST_PRODUCTS",
        ),
        fits=toom_cook.fits,
        run=_toom_cook,
        footprint=toom_cook.footprint,
    ),
    Algorithm(
        "blocks",
        takes="float32, stride 1, one group, large patches",
        does="im2col of one row of results at a time; both gradients from patches of the gradient",
        source="Chellapilla et al., 2006",
        limits=(
            "BLOCKS_FEWEST_CHANNELS",
            "BLOCKS_LARGE_PATCHES",
            "BLOCKS_LARGE_PATCHES_OF_MANY_TAPS",
            "BLOCKS_MANY_TAPS",
        ),
        fits=blocks.fits,
        run=_blocks,
        footprint=blocks.footprint,
    ),
    Algorithm(
        "rows",
        takes="anything with large patches",
        does="im2col of one row of results at a time; patches are made again for the gradient",
        source="Chellapilla et al., 2006",
        limits=("ROWS_LARGE_PATCHES",),
        fits=by_rows.fits,
        run=_rows,
        footprint=by_rows.footprint,
    ),
    Algorithm(
        "patches",
        takes="anything",
        does="im2col: one product with all patches, which are kept for the gradient",
        source="Chellapilla et al., 2006",
        limits=(),
        fits=by_patches.fits,
        run=_patches,
        footprint=by_patches.footprint,
    ),
)

NATIVE = Algorithm(
    "native",
    takes="one group; a batch that fills vectors; a processor with AVX2, in bfloat16 with its dot products",
    does="machine code for this very shape: no patches, every sum stays in a register until it is complete",
    source="after Georganas et al., 2018",
    limits=("NATIVE_MOST_LANES", "NATIVE_MOST_OFFSETS"),
    fits=native.fits,
    run=_native,
    footprint=native.footprint,
)

ALGORITHMS: tuple[Algorithm, ...] = (
    Algorithm(
        "winograd_phases",
        takes="3 x 3, stride 1, one group, many channels; even sizes; same padding or none",
        does="16 products where the plain form takes 36; even and odd rows and columns come and go apart",
        source=_WINOGRAD,
        limits=_WINOGRAD_LIMITS,
        fits=lambda p: winograd.fits(p) and winograd.keeps_phases(p),
        run=_winograd_phases,
        footprint=winograd.footprint,
    ),
    Algorithm(
        "winograd",
        takes="3 x 3, stride 1, one group, many channels; any size and padding",
        does="the same, cut out of an image and joined behind",
        source=_WINOGRAD,
        limits=_WINOGRAD_LIMITS,
        fits=winograd.fits,
        run=_winograd,
        footprint=winograd.footprint,
    ),
    NATIVE,
    Algorithm(
        "channelwise",
        takes="one channel in every group; a batch that fills vectors; a processor with AVX2",
        does="machine code for this very shape: the columns of a row of results are sums in registers",
        source="",
        limits=("NATIVE_MOST_LANES", "NATIVE_MOST_WRITTEN_OUT"),
        fits=channelwise.fits,
        run=_channelwise,
        footprint=channelwise.footprint,
    ),
    Algorithm(
        "strided_winograd",
        takes="strides whose dense form is 3 x 3 with many channels",
        does="space-to-depth, then Winograd without the products that only meet zeros",
        source=_WINOGRAD,
        limits=("SPACE_TO_DEPTH_FEWEST_CHANNELS", "SPACE_TO_DEPTH_MOST_WEIGHTS", *_WINOGRAD_LIMITS),
        fits=space_to_depth.fits_winograd,
        run=_strided_winograd,
        footprint=_footprint_of_strided_winograd,
    ),
    Algorithm(
        "space_to_depth",
        takes="strides in both directions whose dense form has few zeros",
        does="space-to-depth: a stride of 1 over more channels, computed by the first below that fits",
        source="",
        limits=("SPACE_TO_DEPTH_FEWEST_CHANNELS", "SPACE_TO_DEPTH_MOST_WEIGHTS", "SPACE_TO_DEPTH_SMALL_PATCHES"),
        fits=space_to_depth.fits,
        run=_space_to_depth,
        footprint=_footprint_of_space_to_depth,
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


def convolve(machine: Machine, x: Laid, kernel: Array, geometry: Geometry) -> Laid:
    """Without a bias."""
    problem, kernel = _cropped(machine, x, kernel, geometry)
    return choose(problem).run(problem, x, kernel, True)


def fuses_relu(problem: ConvProblem) -> bool:
    """Whether a relu behind it is computed in the same pass: else it is no faster so than one by one."""
    return problem.machine.precision != "float32" or choose(problem) is NATIVE


def convolve_relu(machine: Machine, x: Laid, kernel: Array, bias: Array | None, geometry: Geometry) -> Laid:
    """relu(convolution + bias) in one pass, rounded to the machine's type; for problems that `fuses_relu` names."""
    problem, taps = _cropped(machine, x, kernel, geometry)
    algorithm = choose(problem)
    if algorithm is NATIVE:
        return Laid(native.native_relu(image(x), taps, bias, problem.geometry, machine.dtype), "CHWB")
    return biased_relu(algorithm.run(problem, x, taps, False), bias, machine.dtype)


def convolve_before_pool(machine: Machine, x: Laid, kernel: Array, geometry: Geometry) -> Corners:
    """What a 2 x 2 pool of stride 2 looks at, without a bias; an odd last row or column may be missing."""
    _, height, width, batch = shape_of(x)
    if before_pool.fits(ConvProblem.of(kernel.shape, geometry, (height, width), batch, machine)):
        return before_pool.convolve(image(x), kernel, geometry, machine.dtype, (height, width))
    z = convolve(machine, x, kernel, geometry)
    return z.arrays if z.layout == "phases" else image(z)


def _cropped(machine: Machine, x: Laid, kernel: Array, geometry: Geometry) -> tuple[ConvProblem, Array]:
    """The problem, and the kernel without taps that only meet padding."""
    _, *size, batch = shape_of(x)
    problem = ConvProblem.of(kernel.shape, geometry, size, batch, machine)
    taps, _ = geometry.cropped(size, kernel.shape[:2])
    return problem, kernel[taps]
