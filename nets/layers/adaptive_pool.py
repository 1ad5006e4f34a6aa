"""Pools that are told what size to give: each place sees its part of an image, whether sizes divide or not."""

from __future__ import annotations

from typing import Annotated, Literal

from jax import Array
from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule
from nets.layers.base import Bound, Example, register
from nets.layers.sliding import Sliding
from nets.layers.windows import LARGEST, NO_PLACES, Steps
from nets.numerics.windows import Pair
from nets.spec.fields import size, whole
from nets.spec.values import Value, image, sequence

SIDE = {"type": "integer", "minimum": 1, "maximum": LARGEST}
SIDES = {"type": "array", "items": {"anyOf": [SIDE, {"type": "null"}]}, "minItems": 2, "maxItems": 2}


def sides(value: object) -> int | tuple[int | None, int | None]:
    """A whole number, or a pair [height, width] of them, of which either may be null."""
    if isinstance(value, list | tuple) and len(value) == 2:
        high, wide = (None if side is None else side_of(side) for side in value)
        return high, wide
    try:
        return size(value, least=1)
    except BrokenRule as error:
        raise BrokenRule(f"{error}; null leaves an axis as it is", error.code) from None


def side_of(value: object) -> int:
    found = size(whole(value), least=1)
    assert isinstance(found, int)
    return found


OutputSize = Annotated[
    int | tuple[int | None, int | None], BeforeValidator(sides), WithJsonSchema({"anyOf": [SIDE, SIDES]})
]


class AdaptivePool(Sliding):
    """Base of the adaptive pools. Place i of n sees an axis from floor(i * size / n) to ceil((i + 1) * size / n)."""

    output_size: OutputSize = Field(description="Size of what comes out; null in place of a side leaves it as it is.")

    layouts = "any"

    def places(self, value: Value) -> Pair:
        if self.one_row:
            assert isinstance(self.output_size, int)
            return 1, self.output_size
        said = self.output_size if isinstance(self.output_size, tuple) else (self.output_size, self.output_size)
        high, wide = (size if side is None else side for side, size in zip(said, self.size(value), strict=True))
        return high, wide

    def padded(self, *inputs: Value) -> int:
        return inputs[0].size

    def output(self, *inputs: Value) -> Value:
        return self.made(inputs[0].channels, self.places(inputs[0]))


class AdaptiveAvgPool(AdaptivePool):
    """Base of those that take means."""

    def apply(self, bound: Bound, *xs: Array) -> Array:
        y = bound.numerics.adaptive_average(self.as_image(xs[0]), self.places(bound.takes[0]))
        return self.as_value(y)


class AdaptiveMaxPool(AdaptivePool):
    """Base of those that take the largest value."""

    refused = NO_PLACES

    def apply(self, bound: Bound, *xs: Array) -> Array:
        y = bound.numerics.adaptive_max(self.as_image(xs[0]), self.places(bound.takes[0]))
        return self.as_value(y)


@register
class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """Means of parts of an image, to a size that is asked for. PyTorch's `nn.AdaptiveAvgPool2d`. He et al., 2015."""

    type: Literal["adaptiveavgpool2d"] = "adaptiveavgpool2d"

    also = ("adaptive_avg_pool2d", "adaptive_avgpool2d")
    takes = ("image",)
    converts = True
    cures = {"sequence": "use adaptiveavgpool1d"}
    examples = (
        Example({"type": "adaptiveavgpool2d", "output_size": 6}, (image(3, 8, 7),), image(3, 6, 6)),
        Example({"type": "adaptiveavgpool2d", "output_size": [3, None]}, (image(2, 4, 5),), image(2, 3, 5)),
    )


@register
class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """The largest of parts of an image, to a size that is asked for. PyTorch's `nn.AdaptiveMaxPool2d`."""

    type: Literal["adaptivemaxpool2d"] = "adaptivemaxpool2d"

    also = ("adaptive_max_pool2d", "adaptive_maxpool2d")
    takes = ("image",)
    converts = True
    cures = {"sequence": "use adaptivemaxpool1d"}
    examples = (
        Example({"type": "adaptivemaxpool2d", "output_size": 6}, (image(3, 8, 7),), image(3, 6, 6)),
        Example({"type": "adaptivemaxpool2d", "output_size": [3, 2]}, (image(2, 4, 5),), image(2, 3, 2)),
    )


@register
class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """Means of parts of a sequence, to a length that is asked for. PyTorch's `nn.AdaptiveAvgPool1d`."""

    type: Literal["adaptiveavgpool1d"] = "adaptiveavgpool1d"
    output_size: Steps = Field(description="Length of what comes out.")

    also = ("adaptive_avg_pool1d", "adaptive_avgpool1d")
    one_row = True
    takes = ("sequence",)
    cures = {"image": "use adaptiveavgpool2d"}
    examples = (Example({"type": "adaptiveavgpool1d", "output_size": 4}, (sequence(6, 3),), sequence(4, 3)),)


@register
class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """The largest of parts of a sequence, to a length that is asked for. PyTorch's `nn.AdaptiveMaxPool1d`."""

    type: Literal["adaptivemaxpool1d"] = "adaptivemaxpool1d"
    output_size: Steps = Field(description="Length of what comes out.")

    also = ("adaptive_max_pool1d", "adaptive_maxpool1d")
    one_row = True
    takes = ("sequence",)
    cures = {"image": "use adaptivemaxpool2d"}
    examples = (Example({"type": "adaptivemaxpool1d", "output_size": 4}, (sequence(6, 3),), sequence(4, 3)),)
