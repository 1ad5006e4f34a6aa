"""Neighbouring layers that the plan for CPUs computes as one.

Each is a tail of layers behind a convolution, or one that begins with a norm. Where the sizes do not suit a longer
form, a shorter one is taken; the numbers are the same, up to where bfloat16 rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from nets.architecture.graph import Node
from nets.kernels.cpu.convolution import convolve_before_pool, convolve_relu, fuses_relu
from nets.kernels.cpu.layouts import image
from nets.kernels.cpu.norm import NormOptions, norm_pool
from nets.kernels.cpu.plan import CpuPlan
from nets.kernels.cpu.pool import relu_pool
from nets.kernels.cpu.pool_windows import Corners
from nets.kernels.cpu.problem import ConvProblem
from nets.kernels.cpu.rows import convolution, framed, normalise
from nets.kernels.layouts import Laid
from nets.kernels.plan import Fusion, Site
from nets.layers.activation import Relu
from nets.layers.base import Bound, Layer
from nets.layers.conv import Conv2d, Convolved
from nets.layers.merge import Add
from nets.layers.norm import BatchNorm, BatchNorm2d
from nets.layers.pool import MaxPool2d
from nets.numerics.normalise import Moments
from nets.numerics.windows import NO_PADDING

Placed = TypeVar("Placed", Bound, Node)


def of_type(kind: type[Layer], placed: Sequence[Placed]) -> Placed | None:
    """The first layer of a type in a chain."""
    return next((each for each in placed if isinstance(each.layer, kind)), None)


def windows(plan: CpuPlan, bound: Bound, x: Laid) -> Corners:
    """What a 2 x 2 pool looks at: an image, or what a convolution makes of it, without its bias."""
    if isinstance(bound.layer, Conv2d):
        return convolve_before_pool(
            plan.machine, framed(bound, x), bound.layer.kernel(bound), bound.layer.geometry(bound.takes[0])
        )
    return x.arrays if x.layout == "phases" else image(x)


def pooled_relu(plan: CpuPlan, bounds: Sequence[Bound], xs: Sequence[Laid]) -> Laid:
    """relu and the largest value may exchange places, so their order does not matter."""
    y = relu_pool(windows(plan, bounds[0], xs[0]), bounds[0].given("bias"), plan.machine.dtype)
    return Laid(y, "CHWB")


def convolution_relu(plan: CpuPlan, bounds: Sequence[Bound], xs: Sequence[Laid]) -> Laid:
    """In the pass that sums the convolution up, and rounded in it."""
    conv = bounds[0]
    at = conv.layer.geometry(conv.takes[0])
    return convolve_relu(plan.machine, framed(conv, xs[0]), conv.layer.kernel(conv), conv.given("bias"), at)


def norm(plan: CpuPlan, bounds: Sequence[Bound], xs: Sequence[Laid]) -> Laid:
    """[convolution,] norm [, sum with another input] [, relu].

    The bias of the convolution cancels in the norm: it is left out, has no gradient, and only moves the mean.
    """
    first, normed = bounds[0], of_type(BatchNorm, bounds)
    assert normed is not None
    x, shift = xs[0], None
    if isinstance(first.layer, Convolved):
        x, shift = convolution(plan, first, xs[0]), first.given("bias")
    skip = xs[1] if of_type(Add, bounds) else None
    return normalise(plan, normed, x, shift=shift, skip=skip, relu=of_type(Relu, bounds) is not None)


def pooled_norm(plan: CpuPlan, bounds: Sequence[Bound], xs: Sequence[Laid]) -> Laid:
    """[convolution,] a norm and a 2 x 2 pool, with a relu before the norm or after it, or none."""
    first, normed = bounds[0], of_type(BatchNorm2d, bounds)
    assert normed is not None
    kinds = [type(bound.layer) for bound in bounds]
    relu, before = Relu in kinds, Relu in kinds[: kinds.index(BatchNorm2d)]
    around = NormOptions(normed.layer.eps, plan.machine.dtype, relu_before=before, relu_after=relu and not before)
    left_out = first.given("bias") if isinstance(first.layer, Conv2d) else None
    z = windows(plan, first, xs[0])
    scale, bias = normed.layer.affine_of(normed)
    y, mean, var = norm_pool(z, left_out if before else None, scale, bias, around)
    if left_out is not None and not before:
        mean = mean + left_out
    normed.layer.track(normed, Moments(mean, var, normed.batch * normed.takes[0].positions))
    return Laid(y, "CHWB")


def fits_relu(site: Site) -> bool:
    """Not before a norm, whose means and variances are taken of values that nobody has rounded."""
    conv, plan = site.nodes[0], site.plan
    assert isinstance(conv.layer, Convolved) and isinstance(plan, CpuPlan)
    if any(isinstance(reader.layer, BatchNorm) for reader in site.readers):
        return False
    ((kernel, at, size),) = conv.layer.convolutions(*conv.takes)
    return fuses_relu(ConvProblem.of(kernel, at, size, site.batch, plan.machine))


def fits_pool(site: Site) -> bool:
    """A pool of 2 x 2 windows side by side."""
    pool = of_type(MaxPool2d, site.nodes)
    assert pool is not None and isinstance(pool.layer, MaxPool2d)
    two = pool.layer.window == pool.layer.strides == (2, 2)
    return two and pool.layer.pads(pool.takes[0]) == NO_PADDING


def fits_pooled_norm(site: Site) -> bool:
    """The norm's moments are those of the windows: they have to cover its image."""
    normed = of_type(BatchNorm2d, site.nodes)
    assert normed is not None
    return site.train and fits_pool(site) and not any(side % 2 for side in normed.takes[0].shape[1:])


def fits_sum(site: Site) -> bool:
    added = of_type(Add, site.nodes)
    return added is not None and len(added.inputs) == 2


POOLED_NORM = "the norm is monotone: pooled first, then normalised at the pooled size"
POOLED_RELU = "pooled first, then bias and relu at the pooled size"
NORMED = "the convolution's bias left out, since the norm takes it away again; relu in the norm's own pass"
SUMMED = "sum and relu in the norm's own pass"
FUSIONS = (
    Fusion((Conv2d, BatchNorm2d, Relu, MaxPool2d), POOLED_NORM, pooled_norm, fits_pooled_norm, pools=True),
    Fusion((Conv2d, BatchNorm2d, MaxPool2d, Relu), POOLED_NORM, pooled_norm, fits_pooled_norm, pools=True),
    Fusion((Conv2d, Relu, BatchNorm2d, MaxPool2d), POOLED_NORM, pooled_norm, fits_pooled_norm, pools=True),
    Fusion((Conv2d, BatchNorm2d, Add, Relu), SUMMED, norm, fits_sum),
    Fusion((Conv2d, BatchNorm2d, MaxPool2d), POOLED_NORM, pooled_norm, fits_pooled_norm, pools=True),
    Fusion((BatchNorm2d, Relu, MaxPool2d), POOLED_NORM, pooled_norm, fits_pooled_norm),
    Fusion((BatchNorm2d, MaxPool2d, Relu), POOLED_NORM, pooled_norm, fits_pooled_norm),
    Fusion((Conv2d, Relu, MaxPool2d), POOLED_RELU, pooled_relu, fits_pool, pools=True),
    Fusion((Conv2d, MaxPool2d, Relu), POOLED_RELU, pooled_relu, fits_pool, pools=True),
    Fusion((Conv2d, BatchNorm2d, Add), SUMMED, norm, fits_sum),
    Fusion((BatchNorm2d, Add, Relu), SUMMED, norm, fits_sum),
    Fusion((Conv2d, BatchNorm2d, Relu), NORMED, norm),
    Fusion((BatchNorm2d, MaxPool2d), POOLED_NORM, pooled_norm, fits_pooled_norm),
    Fusion((BatchNorm2d, Add), SUMMED, norm, fits_sum),
    Fusion((BatchNorm2d, Relu), NORMED, norm),
    Fusion((Conv2d, BatchNorm2d), NORMED, norm),
    Fusion((Conv2d, Relu), "in the pass that sums the convolution up", convolution_relu, fits_relu),
)
