"""Parts of a value: one step of a sequence, or a range along an axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from jax import Array, lax
from pydantic import Field

from nets.layers.axes import Axis, axes_of, in_arrays, place_of
from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.spec.fields import Whole, shown
from nets.spec.values import AXES, Value, features, image, sequence

FARTHEST = 10_000_000
Place = Annotated[Whole, Field(ge=-FARTHEST, le=FARTHEST)]


@register
class Slice(Layer):
    """One step of a sequence as features, or a range of steps, channels, features, rows or columns, as in Python.

    PyTorch's `torch.select` of a step; of a range what indexing with `start:stop:step` gives.
    """

    type: Literal["slice"] = "slice"
    axis: Axis = Field(
        default=None,
        description="channels, height or width of images, features or length of sequences, or a number as in PyTorch "
        "(0 is the batch); without it length, channels or features.",
    )
    index: Place | None = Field(
        None, description="The one step of a sequence that becomes features; -1 is the last. In place of a range."
    )
    start: Place | None = Field(None, description="First of the range; from the end if negative.")
    stop: Place | None = Field(None, description="First behind the range; from the end if negative.")
    step: Annotated[Whole, Field(ge=1, le=FARTHEST)] = Field(
        1, description="Distance between those that are taken of the range."
    )

    aliases = {"dim": "axis", "end": "stop"}
    layouts = "any"
    keeps_values = True
    examples = (
        Example({"type": "slice", "stop": 2}, (image(3, 4, 4),), image(2, 4, 4)),
        Example({"type": "slice", "index": -1}, (sequence(5, 6),), features(6)),
        Example({"type": "slice", "axis": "length", "stop": -1, "step": 2}, (sequence(6, 3),), sequence(3, 3)),
        Example({"type": "slice", "axis": "width", "start": -2}, (image(2, 3, 4),), image(2, 3, 2)),
    )

    def along(self, value: Value) -> int | None:
        """Which axis of a value's shape; None where it has no such axis."""
        return 0 if self.axis is None else place_of(self.axis, value)

    @property
    def range(self) -> slice:
        return slice(self.start, self.stop, self.step)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        place, names = self.along(inputs[0]), AXES[inputs[0].kind]
        if place is None:
            detail = f"must be an axis of what {{before}} gives ({', '.join(names)} or 1 to {len(names)})"
            yield Misfit("axis", f"{detail}, got {shown(self.axis)}", fatal=True, expected=axes_of(inputs[0]))
            return
        size, name = inputs[0].shape[place], names[place]
        if self.index is None:
            if not range(size)[self.range]:
                yield self.nothing(size, name)
            return
        yield from self.of_index(inputs[0].kind == "sequence" and name == "length", size, name)

    def nothing(self, size: int, name: str) -> Misfit:
        """A range that reaches none of so many."""
        rule = f"{self.start}:{self.stop}:{self.step}".replace("None", "")
        detail = f"slice {rule} has none of the {size} along {name}; choose another start or stop"
        if not (reached := range(size)[self.start :]):
            expected = {"type": ["integer", "null"], "minimum": -size, "maximum": size - 1}
            return Misfit("start", detail, fatal=True, code="out_of_range", expected=expected)
        least = reached[0] + 1
        choices = [{"type": "integer", "minimum": least}, {"type": "null"}]
        if least < size:  # the same places, counted from the end
            choices.append({"type": "integer", "minimum": least - size, "maximum": -1})
        return Misfit("stop", detail, fatal=True, code="out_of_range", expected={"anyOf": choices})

    def of_index(self, steps: bool, size: int, name: str) -> Iterator[Misfit]:
        """What is wrong with a single place. steps: whether it is one of the steps of a sequence."""
        if not steps:
            last = "" if self.index in (-1, None) else self.index + 1
            cure = f"for one of the {name} set start to {self.index} and stop to {last or 'nothing'}"
            detail = f"is one of the steps of a sequence, not along {name}; {cure}"
            yield Misfit("index", detail, fatal=True, expected={"type": "null"})
        elif (self.start, self.stop, self.step) != (None, None, 1):
            detail = f"says one step, {self.index}, where start, stop or step say a range; send one of both"
            yield Misfit("index", detail, fatal=True, code="conflict", expected={"type": "null"})
        elif self.index is not None and not -size <= self.index < size:
            detail = f"must be one of the {size} steps, {-size} to {size - 1}, got {self.index}"
            expected = {"type": "integer", "minimum": -size, "maximum": size - 1}
            yield Misfit("index", detail, fatal=True, code="out_of_range", expected=expected)

    def output(self, *inputs: Value) -> Value:
        if self.index is not None:
            return features(inputs[0].channels)
        place = self.along(inputs[0])
        assert place is not None
        shape = list(inputs[0].shape)
        shape[place] = len(range(shape[place])[self.range])
        return replace(inputs[0], shape=tuple(shape))

    def apply(self, bound: Bound, *xs: Array) -> Array:
        place = self.along(bound.takes[0])
        assert place is not None
        axis, size = bound.axis(in_arrays(bound.takes[0], place)), bound.takes[0].shape[place]
        if self.index is not None:
            return lax.index_in_dim(xs[0], self.index % size, axis, keepdims=False)
        kept = range(size)[self.range]
        return lax.slice_in_dim(xs[0], kept.start, kept[-1] + 1, kept.step, axis)
