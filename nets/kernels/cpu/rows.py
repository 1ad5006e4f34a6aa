"""Single layers as the plan for CPUs computes them: images channels first and batch last."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jax import Array

from nets.kernels.cpu.attention import attend
from nets.kernels.cpu.convolution import convolve
from nets.kernels.cpu.gemm import matmul_columns, matmul_rows
from nets.kernels.cpu.layouts import image
from nets.kernels.cpu.limits import ATTENTION_MOST_HEADS
from nets.kernels.cpu.norm import NormOptions, batch_norm
from nets.kernels.cpu.plan import CpuPlan
from nets.kernels.cpu.pool import max_pool
from nets.kernels.cpu.pool_windows import per_channel
from nets.kernels.cpu.transposed import transposed
from nets.kernels.layouts import Laid, single, to
from nets.kernels.plan import Kernel, Site
from nets.layers.attention import MultiheadAttention
from nets.layers.base import Bound
from nets.layers.conv import Conv2d
from nets.layers.linear import Linear
from nets.layers.norm import BatchNorm2d
from nets.layers.pool import MaxPool2d
from nets.layers.shape import AsImage, Flatten
from nets.layers.transposed_conv import ConvTranspose2d
from nets.numerics.normalise import Moments, normalised


def conv2d(plan: CpuPlan, bound: Bound, xs: Sequence[Laid]) -> Laid:
    y, bias = convolution(plan, bound, xs[0]), bound.given("bias")
    return y if bias is None else jax.tree.map(lambda v: v + per_channel(bias), y)


def convolution(plan: CpuPlan, bound: Bound, x: Laid) -> Laid:
    """Without the bias."""
    return convolve(plan.machine, framed(bound, x), bound.layer.kernel(bound), bound.layer.geometry(bound.takes[0]))


def framed(bound: Bound, x: Laid) -> Laid:
    """What a convolution goes over: the image with a frame that is not of zeros, where it gets one."""
    layer = bound.layer
    return x if layer.padding_mode == "zeros" else Laid(layer.framed(image(x), bound.takes[0]), "CHWB")


def transposed_conv2d(plan: CpuPlan, bound: Bound, xs: Sequence[Laid]) -> Laid:
    layer, value, bias = bound.layer, bound.takes[0], bound.given("bias")
    y = transposed(image(xs[0]), layer.kernel(bound), layer.geometry(value), layer.reached(value), plan.machine)
    y = layer.ended(y, value)
    return Laid(y if bias is None else y + per_channel(bias), "CHWB")


def linear(plan: CpuPlan, bound: Bound, xs: Sequence[Laid]) -> Laid:
    x, kernel, dtype = xs[0], bound.param("kernel"), plan.machine.dtype
    x = to(x, "BTC") if x.layout == "CTB" else x
    if x.layout == "CB":
        y = matmul_columns(x.array, kernel, dtype)
    else:
        rows = matmul_rows(x.array.reshape(-1, x.array.shape[-1]), kernel, dtype)
        y = rows.reshape(*x.array.shape[:-1], kernel.shape[1])
    bias = bound.given("bias")
    return Laid(y if bias is None else y + bias, "BTC" if x.layout == "BTC" else "BC")


def attention(plan: CpuPlan, bound: Bound, xs: Sequence[Laid]) -> Laid:
    layer, x = bound.layer, to(xs[0], "BTC").array
    y = attend(mapped(plan, bound, x, "in_proj"), layer.num_heads, layer.causal)
    return Laid(mapped(plan, bound, y, "out_proj"), "BTC")


def mapped(plan: CpuPlan, bound: Bound, x: Array, name: str) -> Array:
    """Each step of a sequence by one of the layer's linear maps."""
    kernel, bias = bound.param(f"{name}_kernel"), bound.given(f"{name}_bias")
    y = matmul_rows(x.reshape(-1, x.shape[-1]), kernel, plan.machine.dtype).reshape(*x.shape[:-1], -1)
    return y if bias is None else y + bias


def attends_plainly(site: Site) -> bool:
    """To its own sequence, in float32, with nothing done to queries, keys and weights but a causal mask.

    Few heads: each has programs of its own.
    """
    layer = site.nodes[0].layer
    assert isinstance(layer, MultiheadAttention)
    plain = not layer.rotary and layer.mask_value is None and not layer.added and not (layer.dropout and site.train)
    exact = site.plan.numerics.precision == "float32"
    return plain and exact and len(site.nodes[0].takes) == 1 and layer.num_heads <= ATTENTION_MOST_HEADS


def max_pool2d(plan: CpuPlan, bound: Bound, xs: Sequence[Laid]) -> Laid:
    layer = bound.layer
    return Laid(max_pool(image(xs[0]), layer.window, layer.geometry(bound.takes[0])), "CHWB")


def flatten(plan: CpuPlan, bound: Bound, xs: Sequence[Laid]) -> Laid:
    """An image of this plan is features already, but for its shape: no value moves."""
    x = single(xs[0])
    if x.layout == "CHWB":
        return Laid(x.array.reshape(-1, x.array.shape[3]), "CB")
    return Laid(bound.layer.apply(bound, x.array), "BC")


def as_image(plan: CpuPlan, bound: Bound, xs: Sequence[Laid]) -> Laid:
    _, high, wide = bound.gives.shape
    columns = to(xs[0], "CB").array
    return Laid(columns.reshape(1, high, wide, columns.shape[1]), "CHWB")


def batchnorm2d(plan: CpuPlan, bound: Bound, xs: Sequence[Laid]) -> Laid:
    return normalise(plan, bound, xs[0])


def normalise(
    plan: CpuPlan, bound: Bound, x: Laid, *, shift: Array | None = None, skip: Laid | None = None, relu: bool = False
) -> Laid:
    """Batch normalisation of an image; then add `skip`, then relu, where asked.

    shift: a bias that the convolution before left out: it cancels in the norm, and only moves the mean.
    """
    layer, running = bound.layer, bound.layer.running(bound)
    scale, bias = layer.affine_of(bound)
    if running is not None or not bound.train:
        if running is None:  # moments of the batch, in which a shift cancels
            z = layer.apply(bound.lying("CHWB"), image(x))
        else:
            mean = running[0] if shift is None else running[0] - shift
            z, _ = normalised(image(x), scale, bias, axis=0, eps=layer.eps, running=(mean, running[1]))
        z = z if skip is None else z + image(skip)
        return Laid(jax.nn.relu(z) if relu else z, "CHWB")
    x = x if x.layout == "phases" else to(x, "CHWB")
    around = NormOptions(layer.eps, plan.machine.dtype, relu_after=relu)
    y, mean, var = batch_norm(x.arrays, None if skip is None else to(skip, x.layout).arrays, scale, bias, around)
    layer.track(bound, Moments(mean if shift is None else mean + shift, var, x.batch * bound.takes[0].positions))
    return Laid(y, x.layout)


def flattens_image(site: Site) -> bool:
    return site.nodes[0].takes[0].kind == "image" and site.nodes[0].gives.kind == "features"


KERNELS = (
    Kernel(Conv2d, "by the first algorithm of the table of convolutions that fits", conv2d),
    Kernel(ConvTranspose2d, "the gradient of a convolution, by the row of the table that fits that", transposed_conv2d),
    Kernel(Linear, "a product of matrices with a gradient of its own, from images as they lie", linear),
    Kernel(
        MultiheadAttention, "head by head, cut out where they lie: nothing is transposed", attention, attends_plainly
    ),
    Kernel(MaxPool2d, "remembers which value it took, so that its gradient needs no search", max_pool2d),
    Kernel(BatchNorm2d, "two sums forwards and two backwards, and keeps its input alone", batchnorm2d),
    Kernel(Flatten, "an image lies as features do here: nothing moves", flatten, flattens_image),
    Kernel(AsImage, "features lie as an image of one channel does here: nothing moves", as_image),
)
