"""Neighbouring layers that this plan computes as one, and how.

A stage is a tail of layers behind a convolution, or one that begins with a norm. Where the sizes do not suit the fused
form, the layers of the stage run one by one; the numbers are the same, up to where bfloat16 rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import jax
from jax import Array

from nets.kernels.cpu.convolution import convolve_before_pool, convolve_relu, fuses_relu
from nets.kernels.cpu.layouts import Activation, Image, Phases, image, shape_of
from nets.kernels.cpu.norm import NormOptions, norm_pool
from nets.kernels.cpu.pool import relu_pool
from nets.kernels.cpu.pool_windows import Corners
from nets.kernels.cpu.problem import ConvProblem
from nets.kernels.plan import Bound, Stage
from nets.numerics.normalise import Moments
from nets.numerics.windows import NO_PADDING, Geometry, Pair

if TYPE_CHECKING:
    from nets.kernels.cpu.plan import CpuPlan


@dataclass(frozen=True)
class Source:
    """What a tail works on: an activation, and the convolution that is still to be applied to it."""

    plan: CpuPlan
    x: Activation
    conv: Bound | None
    size: Pair

    @property
    def bias(self) -> Array | None:
        return None if self.conv is None else _bias(self.conv)

    def without_bias(self) -> Activation:
        return self.x if self.conv is None else _convolve(self.plan, self.x, self.conv, None)

    def corners(self) -> Corners:
        """For a 2 x 2 pool; an odd last row or column may be missing."""
        if self.conv is None:
            return self.x.phases if isinstance(self.x, Phases) else image(self.x)
        return convolve_before_pool(self.plan.machine, self.x, self.conv.param("kernel"), _geometry(self.conv))


Tail = Callable[[Source, Sequence[Bound]], Activation | None]


def pool_relu(source: Source, bounds: Sequence[Bound]) -> Activation | None:
    """relu and the largest value may exchange places, so their order does not matter."""
    if not _pools_by_two(_find(bounds, "maxpool2d")):
        return None
    return Image(relu_pool(source.corners(), source.bias, source.plan.dtype))


def convolution_relu(source: Source, bounds: Sequence[Bound]) -> Activation | None:
    """In the pass that sums the convolution up, and rounded in it."""
    if source.conv is None:
        return None
    (_, *size, batch), kernel, at = shape_of(source.x), source.conv.param("kernel"), _geometry(source.conv)
    if not fuses_relu(ConvProblem.of(kernel.shape, at, size, batch, source.plan.machine)):
        return None
    return convolve_relu(source.plan.machine, source.x, kernel, source.bias, at)


def norm_relu(source: Source, bounds: Sequence[Bound]) -> Activation:
    """The bias of the convolution cancels in the norm: it is left out, has no gradient, and only moves the mean."""
    relu = any(bound.layer.type == "relu" for bound in bounds)
    return _normalise(source.plan, source.without_bias(), bounds[0], shift=source.bias, relu=relu)


def norm_relu_pool(source: Source, bounds: Sequence[Bound]) -> Activation | None:
    """A norm and a pool, with a relu before the norm or after it, or none."""
    norm, types = _find(bounds, "batchnorm2d"), [bound.layer.type for bound in bounds]
    even = source.size[0] % 2 == source.size[1] % 2 == 0
    if not (norm.train and even and _pools_by_two(_find(bounds, "maxpool2d"))):
        return None
    before = types[0] == "relu"
    options = NormOptions(
        norm.layer.eps, source.plan.dtype, relu_before=before, relu_after="relu" in types and not before
    )
    scale, bias = norm.param("scale"), norm.param("bias")
    y, mean, var = norm_pool(source.corners(), source.bias if before else None, scale, bias, options)
    if source.bias is not None and not before:
        mean = mean + source.bias
    batch = y.shape[-1]
    norm.layer.track(norm, Moments(mean, var, source.size[0] * source.size[1] * batch))
    return Image(y)


TAILS: Mapping[tuple[str, ...], Tail] = MappingProxyType(
    {
        ("relu",): convolution_relu,
        ("relu", "maxpool2d"): pool_relu,
        ("maxpool2d", "relu"): pool_relu,
        ("batchnorm2d",): norm_relu,
        ("batchnorm2d", "relu"): norm_relu,
        ("batchnorm2d", "maxpool2d"): norm_relu_pool,
        ("batchnorm2d", "relu", "maxpool2d"): norm_relu_pool,
        ("batchnorm2d", "maxpool2d", "relu"): norm_relu_pool,
        ("relu", "batchnorm2d", "maxpool2d"): norm_relu_pool,
    }
)
LONGEST = 1 + max(map(len, TAILS))


def cut(plan: CpuPlan, layers: Sequence[Any]) -> tuple[Stage, ...]:
    """The longest stage that starts at every place; layers that start none stand alone."""
    types = tuple(layer.type for layer in layers)
    stages: list[Stage] = []
    start = 0
    while start < len(types):
        stage = Stage(start, start + 1)
        for stop in range(start + 1, min(start + LONGEST, len(types)) + 1):
            # Only convolutions and norms are sure to be given an image.
            tail = TAILS.get(types[start + (types[start] == "conv2d") : stop])
            if tail is convolution_relu and types[stop : stop + 1] == ("batchnorm2d",):
                continue  # means and variances are taken of values that nobody has rounded
            if tail is not None and types[start] in ("conv2d", "batchnorm2d"):
                stage = Stage(start, stop, partial(_run, plan, tail))
        stages.append(stage)
        start = stage.stop
    return tuple(stages)


def _run(plan: CpuPlan, tail: Tail, x: Activation, bounds: Sequence[Bound]) -> Activation:
    first = bounds[0]
    size: Pair = (first.in_shape[1], first.in_shape[2])
    if first.layer.type == "conv2d":
        places = _geometry(first).places(size, first.layer.window)
        fused = tail(Source(plan, x, first, places), bounds[1:])
    else:
        fused = tail(Source(plan, x, None, size), bounds)
    return _one_by_one(plan, x, bounds) if fused is None else fused


def _one_by_one(plan: CpuPlan, x: Activation, bounds: Sequence[Bound]) -> Activation:
    alone: dict[str, Callable[[Activation, Bound], Activation]] = {
        "conv2d": lambda x, bound: _convolve(plan, x, bound, _bias(bound)),
        "relu": lambda x, _: plan.elementwise(jax.nn.relu, x),
        "batchnorm2d": lambda x, bound: _normalise(plan, x, bound, shift=None, relu=False),
        "maxpool2d": lambda x, bound: plan.max_pool2d(
            x, window=bound.layer.window, stride=bound.layer.strides, padding=bound.layer.pads(bound.in_shape)
        ),
    }
    for bound in bounds:
        x = alone[bound.layer.type](x, bound)
    return x


def _convolve(plan: CpuPlan, x: Activation, bound: Bound, bias: Array | None) -> Activation:
    at = _geometry(bound)
    return plan.conv2d(
        x,
        bound.param("kernel"),
        bias,
        stride=at.stride,
        padding=at.padding,
        dilation=at.dilation,
        groups=at.groups,
    )


def _normalise(plan: CpuPlan, x: Activation, bound: Bound, *, shift: Array | None, relu: bool) -> Activation:
    y, moments = plan.batch_norm(
        x,
        bound.param("scale"),
        bound.param("bias"),
        eps=bound.layer.eps,
        running=bound.layer.running(bound),
        shift=shift,
        relu=relu,
    )
    if moments is not None:
        bound.layer.track(bound, moments)
    return y


def _geometry(bound: Bound) -> Geometry:
    layer = bound.layer
    return Geometry(layer.strides, layer.pads(bound.in_shape), layer.dilations, layer.groups)


def _bias(bound: Bound) -> Array | None:
    return bound.param("bias") if bound.layer.bias else None


def _pools_by_two(bound: Bound) -> bool:
    layer = bound.layer
    return bool(layer.window == layer.strides == (2, 2) and layer.pads(bound.in_shape) == NO_PADDING)


def _find(bounds: Sequence[Bound], kind: str) -> Bound:
    return next(bound for bound in bounds if bound.layer.type == kind)
