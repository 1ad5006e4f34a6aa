"""Pools that take a mean of each window."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Example, register
from nets.layers.pool import AS_CONV, CEIL, Pool
from nets.layers.windows import Padding1d, PaddingField, Steps
from nets.spec.fields import Boolean, Pair, Real, Whole
from nets.spec.values import Value, image, sequence

INCLUDES = (
    "Whether zeros of the padding count; left out, those of a number do, and those of `same` do not, as in Keras."
)


def counts(pool: Pool, value: Value, *, padding: bool) -> np.ndarray:
    """`[1, H', W', 1]`: how many values each window has. padding: whether zeros count that were asked for.

    What a last window sees beyond these never does.
    """
    found = []
    for axis, (low, high) in enumerate(pool.asked(value)):
        side, taps, step = pool.size(value)[axis], pool.window[axis], pool.strides[axis]
        first = np.arange(pool.places(value)[axis]) * step - low
        end = np.minimum(first + taps, side + high * padding)
        found.append((end - np.maximum(first, -low * padding)).astype(np.float32))
    return found[0][None, :, None, None] * found[1][None, None, :, None]


class AvgPool(Pool):
    """Base of the average pools."""

    padding: PaddingField = Field(0, description=f"Margin on each side, {AS_CONV}")
    ceil_mode: Boolean = Field(False, description=CEIL)
    count_include_pad: Boolean | None = Field(None, description=INCLUDES)

    @property
    def margin(self) -> Pair | str:
        return self.margins(self.padding)

    @property
    def rounds_up(self) -> bool:
        return self.ceil_mode

    def divisors(self, value: Value) -> np.ndarray:
        """What the sums of windows are divided by."""
        included = self.padding != "same" if self.count_include_pad is None else self.count_include_pad
        return counts(self, value, padding=included)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        value = bound.takes[0]
        sums = bound.numerics.sum_pool(self.as_image(xs[0]), self.window, self.geometry(value))
        return self.as_value(sums / self.divisors(value))


@register
class AvgPool2d(AvgPool):
    """Mean of each window. PyTorch's `nn.AvgPool2d`; `same` gives ceil(size / stride)."""

    type: Literal["avgpool2d"] = "avgpool2d"
    divisor_override: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="What sums are divided by, in place of the number of values."
    )

    also = ("avg_pool2d", "averagepooling2d", "averagepool2d")
    takes = ("image",)
    converts = True
    cures = {"sequence": "use avgpool1d"}
    examples = (
        Example({"type": "avgpool2d", "kernel_size": 3, "stride": 1, "padding": 1}, (image(3, 4, 4),), image(3, 4, 4)),
        Example(
            {
                "type": "avgpool2d",
                "pool_size": [3, 2],
                "strides": 2,
                "padding": 1,
                "ceil_mode": True,
                "count_include_pad": False,
            },
            (image(2, 4, 4),),
            image(2, 3, 3),
        ),
    )

    def divisors(self, value: Value) -> np.ndarray:
        if self.divisor_override is None:
            return super().divisors(value)
        return np.full(1, self.divisor_override, np.float32)


@register
class AvgPool1d(AvgPool):
    """Mean of each window of a sequence, feature by feature. PyTorch's `nn.AvgPool1d`."""

    type: Literal["avgpool1d"] = "avgpool1d"
    kernel_size: Steps = Field(description="Steps in a window.")
    stride: Steps | None = Field(None, description="Step of the window; the size of the window if left out.")
    padding: Padding1d = Field(0, description=f"Margin on each side, {AS_CONV}")

    also = ("avg_pool1d", "averagepooling1d", "averagepool1d")
    one_row = True
    takes = ("sequence",)
    cures = {"image": "use avgpool2d"}
    examples = (
        Example({"type": "avgpool1d", "kernel_size": 2}, (sequence(6, 3),), sequence(3, 3)),
        Example(
            {"type": "avgpool1d", "pool_size": 3, "strides": 2, "padding": "same"}, (sequence(4, 2),), sequence(2, 2)
        ),
    )


@register
class LpPool2d(Pool):
    """(sum of x^p)^(1/p) of each window; of an odd p with the sign of the sum. PyTorch's `nn.LPPool2d`."""

    type: Literal["lppool2d"] = "lppool2d"
    norm_type: Annotated[Real, Field(ge=1, le=16)] = Field(
        description="p: 1 gives sums, 2 lengths; the larger, the nearer to the largest value."
    )
    ceil_mode: Boolean = Field(False, description=CEIL)

    also = ("lp_pool2d",)
    takes = ("image",)
    converts = True
    examples = (
        Example({"type": "lppool2d", "norm_type": 2, "kernel_size": 2, "stride": 1}, (image(3, 4, 4),), image(3, 3, 3)),
        Example(
            {"type": "lppool2d", "norm_type": 3, "kernel_size": 3, "stride": 2, "ceil_mode": True},
            (image(2, 4, 5),),
            image(2, 2, 2),
        ),
    )

    @property
    def rounds_up(self) -> bool:
        return self.ceil_mode

    def apply(self, bound: Bound, *xs: Array) -> Array:
        value, p = bound.takes[0], self.norm_type
        powers = jnp.power(xs[0], int(p)) if p.is_integer() else jnp.power(jnp.abs(xs[0]), p)
        sums = bound.numerics.sum_pool(powers, self.window, self.geometry(value))
        # PyTorch takes the mean of what a window sees times what a whole one would: more than its sum at the end.
        sums = sums * (self.window[0] * self.window[1] / counts(self, value, padding=False))
        # The root has no slope at 0, where PyTorch's gradient is none.
        size = jnp.where(sums == 0, 1, jnp.abs(sums))
        return jnp.where(sums == 0, 0, jnp.sign(sums) * jnp.power(size, 1 / p))
