"""The fields of an architecture around its layers: what goes in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule, Change, Code, Path, Problem, SpecError, set_to
from nets.spec.fields import MOST_WIDTH, Spec, Width, shown, whole
from nets.spec.values import AXES, UNNAMED, Kind, Value, image, kind_of

MAX_SIDE = 4096
Side = Annotated[int, BeforeValidator(whole), Field(ge=1, le=MAX_SIDE)]
SIDES = ("input_channels", "input_height", "input_width")


def sizes(value: object) -> object:
    """One to three sizes of what goes in."""
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) not in UNNAMED:
        forms = "[features], [length, features] or [channels, height, width]"
        raise BrokenRule(f"must be {forms}, got {shown(value)}", "malformed")
    most = MAX_SIDE if kind_of(value) == "image" else MOST_WIDTH
    numbers = tuple(whole(number) for number in value)
    if not all(1 <= number <= most for number in numbers):
        raise BrokenRule(f"must be sizes of 1 to {most}, got {shown(value)}", "out_of_range")
    return numbers


def named(value: object) -> object:
    """Names of outputs."""
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        rule = 'must be a list of names of layers such as ["main", "aux"]'
        raise BrokenRule(f"{rule}, got {shown(value)}", "wrong_type")
    if not 1 <= len(value) <= MOST_OUTPUTS:
        code: Code = "too_long" if value else "too_short"
        raise BrokenRule(f"must name 1 to {MOST_OUTPUTS} layers, got {len(value)}", code)
    if len(set(value)) < len(value):
        raise BrokenRule(
            f"must name each layer once, got {shown(list(value))}", "duplicate", set_to=[*dict.fromkeys(value)]
        )
    return tuple(value)


MOST_OUTPUTS = 16
NAMED = {
    "anyOf": [
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_OUTPUTS, "uniqueItems": True},
        {"type": "null"},
    ]
}
LEFT_OUT = {"type": "null"}
SIZE = {"type": "integer", "minimum": 1, "maximum": MOST_WIDTH}
SHAPE = {"anyOf": [{"type": "array", "items": SIZE, "minItems": 1, "maxItems": 3}, {"type": "null"}]}


class Frame(Spec):
    """The fields of an architecture around its layers."""

    input_size: Width | None = Field(None, description="Number of values of the input; follows from the other fields.")
    input_channels: Side | None = None
    input_height: Side | None = None
    input_width: Side | None = None
    input_shape: Annotated[tuple[int, ...] | None, BeforeValidator(sizes), WithJsonSchema(SHAPE)] = Field(
        None, description="[features], [length, features] of a sequence, or [channels, height, width] of images."
    )
    input_vocabulary: Width | None = Field(
        None, description="Number of different tokens, for an input of tokens; input_shape is then [length]."
    )
    outputs: Annotated[tuple[str, ...] | None, BeforeValidator(named), WithJsonSchema(NAMED)] = Field(
        None,
        description="Names of layers that no other layer reads, where there are several: the first is the output, the "
        "others are trained beside it.",
    )
    layers: list[Any]


def input_value(frame: Frame, path: Path) -> Value:
    """What goes in, from whichever fields came; images of 1 x 28 x 28 without any."""
    value = _given(frame, path)
    if frame.input_size not in (None, value.size):
        fields = ", ".join(SIDES[:2]) + f" and {SIDES[2]}" if value.kind == "image" else "an input_shape"
        rule = f"must be {value.described()} = {value.size}, got {frame.input_size}"
        detail = f"{rule}; send {fields} whose product is input_size"
        raise SpecError([set_to(value.size, (*path, "input_size"), detail, got=frame.input_size)])
    return value


def _given(frame: Frame, path: Path) -> Value:
    shape = frame.input_shape
    if frame.input_vocabulary is not None and (shape is None or len(shape) != len(AXES["tokens"])):
        came = "none" if shape is None else shown(list(shape))
        rule = f"needs an input_shape of [length], got {came}; send one, or leave input_vocabulary out"
        raise SpecError(
            [Problem((*path, "input_vocabulary"), rule, "conflict", expected=LEFT_OUT, got=frame.input_vocabulary)]
        )
    if problems := list(_contradictions(frame, path)):
        raise SpecError(problems)
    if shape is None:
        return _image(frame)
    kind: Kind = kind_of(shape) if frame.input_vocabulary is None else "tokens"
    return Value(kind, shape, frame.input_vocabulary)


def _contradictions(frame: Frame, path: Path) -> Iterator[Problem]:
    """Sides of an image that input_shape does not have."""
    shape = frame.input_shape
    if shape is None:
        return
    for index, name in enumerate(SIDES):
        said = getattr(frame, name)
        if said is not None and kind_of(shape) != "image":
            rule = f"belongs to an image, but input_shape is {shown(list(shape))}; send one of them"
            fix = (Change("remove", (*path, name)),)
            yield Problem((*path, name), rule, "conflict", expected=LEFT_OUT, got=said, fix=fix)
        elif said is not None and said != shape[index]:
            rule = f"is {said}, but input_shape says {shape[index]}; send one of them"
            yield set_to(shape[index], (*path, name), rule, got=said)


def _image(frame: Frame) -> Value:
    channels = frame.input_channels or 1
    if frame.input_height is None and frame.input_width is None and frame.input_size is not None:
        side = math.isqrt(frame.input_size // channels)
        return image(channels, side, side)
    return image(channels, frame.input_height or frame.input_width or 28, frame.input_width or frame.input_height or 28)


def frame_json(value: Value) -> dict[str, Any]:
    """The frame as a client could send it, every field filled in that its kind of input has."""
    if value.kind == "image":
        return {"input_size": value.size, **dict(zip(SIDES, value.shape, strict=True))}
    vocabulary = {} if value.vocabulary is None else {"input_vocabulary": value.vocabulary}
    return {"input_size": value.size, "input_shape": list(value.shape), **vocabulary}
