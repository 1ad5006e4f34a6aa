"""Convolutions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal, Self, get_args

import numpy as np
from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Example, Misfit, register
from nets.layers.kernel import Bias, Dilation, Groups, Kernelled
from nets.layers.parameters import Arrays, dirac
from nets.layers.whitening import MOST_VALUES, whitening
from nets.layers.windows import Padding1d, Steps, largest_inside, largest_useful, pads, too_wide
from nets.numerics.framing import framed
from nets.numerics.windows import Geometry, Padding
from nets.spec.allowed import one_of
from nets.spec.fields import Pair
from nets.spec.values import Value, features, image, sequence

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class Convolved(Kernelled):
    """Base of the cross-correlations, whose kernel is `[kh, kw, in / groups, out]`."""

    dilation: Dilation = 1
    groups: Groups = 1
    bias: Bias = True
    padding_mode: PaddingMode = Field(
        default="zeros",
        description="What padding is made of. `reflect`: pixels mirrored at the edge, which is not repeated itself; "
        "`replicate`: the edge; `circular`: pixels of the other side.",
    )

    def pads(self, value: Value) -> Padding:
        margins = self.margins(self.padding)
        return pads(margins, self.size(value), window=self.window, stride=self.strides, dilation=self.dilations)

    def geometry(self, value: Value) -> Geometry:
        """Where the kernel goes over an image, which has a frame around it already unless that is of zeros."""
        at = Geometry(self.strides, dilation=self.dilations, groups=self.groups)
        return at if self.padding_mode != "zeros" else replace(at, padding=self.pads(value))

    def framed(self, x: Array, value: Value) -> Array:
        """`[_, H, W, _]` with a frame that is not of zeros, where it gets one."""
        return x if self.padding_mode == "zeros" else framed(x, self.pads(value), self.padding_mode)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from super().misfits(*inputs)
        size = self.size(inputs[0])
        if min(self.places(inputs[0])) < 1:
            yield Misfit(
                "kernel_size",
                f"a {self.by_axis(self.window)} kernel (dilation {self.by_axis(self.dilations)}) is larger than the "
                f"{self.in_words(size)} with padding {self.padding!r}; use a smaller kernel or more padding",
                fatal=True,
                code="out_of_range",
                expected=self.up_to(largest_inside(size, self.pads(inputs[0]), self.dilations)),
            )
        elif self.padding_mode != "zeros":
            yield from self.unframed(inputs[0])
        elif wide := too_wide(size, window=self.window, dilation=self.dilations, steps=self.one_row):
            most = largest_useful(size, self.dilations)
            yield Misfit("kernel_size", wide, code="out_of_range", expected=self.up_to(most))

    def unframed(self, value: Value) -> Iterator[Misfit]:
        """Padding for which an image has too few pixels."""
        size, sides = self.size(value), list(map(max, self.pads(value)))
        beyond = {"reflect": -1, "circular": 0}  # the side of an image
        fit = [
            mode
            for mode in get_args(PaddingMode)
            if all(edge <= side + beyond.get(mode, math.inf) for edge, side in zip(sides, size, strict=True))
        ]
        if self.padding_mode not in fit:
            least = "longer than" if self.padding_mode == "reflect" else "at least as long as"
            rule = f"{self.padding_mode} needs each side of the {self.in_words(size)} to be {least} the padding there, "
            detail = f"{rule}got {self.padding!r}; set {{field}} to replicate, or use less padding"
            yield Misfit("padding_mode", detail, True, "mismatch", one_of(fit))

    def joins(self, value: Value) -> Pair:
        return self.per_group(value.channels), self.out_channels

    def over(self, value: Value) -> Pair:
        high, wide = self.size(value)
        (above, below), (left, right) = ((0, 0), (0, 0)) if self.padding_mode == "zeros" else self.pads(value)
        return high + above + below, wide + left + right

    def convolved(self, bound: Bound, x: Array) -> Array:
        value = bound.takes[0]
        return bound.numerics.convolve(self.framed(x, value), self.kernel(bound), self.geometry(value))


@register
class Conv2d(Convolved):
    """Two-dimensional cross-correlation. PyTorch's `nn.Conv2d`; `same` also takes a stride: ceil(size / stride)."""

    type: Literal["conv2d"] = "conv2d"

    init: Literal["default", "dirac", "whitening"] = Field(
        default="default",
        description="How the kernel starts: as PyTorch's default; `dirac`: the first outputs are the "
        "inputs, further ones as by default; `whitening`: by the training images, so that results are uncorrelated "
        "and vary alike (Coates & Ng, 2012).",
    )

    also = ("convolution2d",)
    takes = ("image",)
    converts = True
    cures = {"sequence": "use conv1d"}
    examples = (
        Example(
            {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "stride": 1, "padding": "same"},
            (image(1, 9, 9),),
            image(4, 9, 9),
        ),
        Example(
            {"type": "conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3, "stride": 1, "padding": "same"},
            (image(1, 12, 12),),
            image(4, 12, 12),
        ),
        Example(
            {"type": "conv2d", "filters": 3, "kernel": 2, "stride": 2, "padding": "same"},
            (image(2, 7, 5),),
            image(3, 4, 3),
        ),
        Example(
            {"type": "conv2d", "out_channels": 4, "kernel_size": [3, 2], "padding": 1},
            (image(3, 6, 6),),
            image(4, 6, 7),
        ),
        Example(
            {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "dilation": 2, "groups": 2},
            (image(2, 9, 9),),
            image(4, 5, 5),
        ),
        Example(
            {"type": "conv2d", "out_channels": 2, "kernel_size": 3, "bias": False}, (features(36),), image(2, 4, 4)
        ),
        Example(
            {
                **{"type": "conv2d", "out_channels": 2, "kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
                "init": "dirac",
            },
            (image(3, 4, 4),),
            image(2, 4, 4),
        ),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from super().misfits(*inputs)
        if self.init != "default" and self.groups > 1:
            rule = (
                f"{self.init} is for convolutions of one group, got {self.groups} groups; leave out {{field}} or groups"
            )
            yield Misfit("init", rule, code="conflict", expected="default", set_to="default")
        values = inputs[0].channels * math.prod(self.window)
        if self.init == "whitening" and values > MOST_VALUES:
            rule = f"whitening takes kernels that see up to {MOST_VALUES} values, got {values}; use a smaller kernel"
            yield Misfit("init", rule, code="too_costly", expected=one_of(["default", "dirac"]))
        elif self.init == "whitening" and self.out_channels > 2 * values:
            rule = f"must be at most {2 * values} with whitening, twice the {values} values that the kernel sees, "
            detail = f"{rule}got {self.out_channels}"
            most = {"type": "integer", "minimum": 1, "maximum": 2 * values}
            yield Misfit("out_channels", detail, code="out_of_range", expected=most)

    def arrays(self, *inputs: Value) -> Arrays:
        made = super().arrays(*inputs)
        if self.init != "dirac":
            return made
        kernel = made.parameters["kernel"]
        return replace(
            made, parameters={**made.parameters, "kernel": replace(kernel, init=dirac(math.prod(kernel.shape[:-1])))}
        )

    def structure(self) -> Self:
        """How a kernel starts changes no program."""
        return super().structure().model_copy(update={"init": "default"})

    @property
    def from_samples(self) -> bool:
        return self.init == "whitening"

    def started(self, samples: np.ndarray) -> Mapping[str, np.ndarray]:
        return {"kernel": whitening(samples, window=self.window, outputs=self.out_channels)}


@register
class Conv1d(Convolved):
    """Cross-correlation along a sequence. PyTorch's `nn.Conv1d`; its channels are features here."""

    type: Literal["conv1d"] = "conv1d"
    kernel_size: Steps = Field(description="Steps that the kernel sees.")
    stride: Steps = Field(default=1, description="Step of the kernel.")
    padding: Padding1d = Field(
        default=0, description="Zeros on each side; `same` gives ceil(length / stride), `valid` is 0."
    )
    dilation: Steps = Field(default=1, description="Distance between neighbours in the kernel.")

    also = ("convolution1d",)
    one_row = True
    takes = ("sequence",)
    cures = {
        "image": "use conv2d",
        "features": "give the network an input_shape of [length, features]",
        "tokens": "put an embedding before it",
    }
    examples = (
        Example(
            {"type": "conv1d", "out_channels": 4, "kernel_size": 3, "padding": "same"},
            (sequence(6, 3),),
            sequence(6, 4),
        ),
        Example(
            {"type": "conv1d", "filters": 4, "kernel_size": [3], "strides": 2, "padding": 1, "groups": 2},
            (sequence(6, 2),),
            sequence(3, 4),
        ),
        Example(
            {
                "type": "conv1d",
                "out_channels": 3,
                "kernel_size": 2,
                "dilation": 2,
                "padding": 2,
                "padding_mode": "circular",
                "bias": False,
            },
            (sequence(5, 2),),
            sequence(7, 3),
        ),
    )
