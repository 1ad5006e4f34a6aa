"""Images out of the JSON of an inference request."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from backend.errors import Unprocessable
from backend.parsing.strict_json import NotJson, Rows
from nets.errors import Code, Path, Problem
from nets.spec.fields import shown

Images = npt.NDArray[np.float32]
Dims = tuple[int, ...]
DEEPEST = 4  # image, and three axes
NUMBERS = {int, float}
ROUNDING = 1e-6  # what arithmetic in float32 leaves below 0 and above 1
PIXEL = {"type": "number", "minimum": 0, "maximum": 1}
GREY = 2  # from here on numbers look like grey values up to 255


def read_image(value: object, *, shape: Dims, name: str = "pixels") -> Images:
    """One image [1, h, w, c] from flat or nested numbers 0 to 1, also as a batch of one. `shape`: (c, h, w).

    Raises Unprocessable.
    """
    dims, numbers = _flatten(value, name, shape)
    return _arrange(numbers, dims, (1, *dims), name=name, shape=shape)


def read_batch(value: object, *, shape: Dims, name: str = "batch") -> Images:
    """Images [n, h, w, c] from a list of them, all laid out alike. Raises Unprocessable."""
    if not isinstance(value, list) or not value:
        code: Code = "too_short" if isinstance(value, list) else "wrong_type"
        rule = f"must be a list of at least one image, got {shown(value)}"
        raise Unprocessable(Problem((name,), rule, code, expected=_schema(shape, name)).seen_in({name: value}))
    dims, numbers = _flatten(value, name, shape)
    return _arrange(numbers, dims, dims, name=name, shape=shape)


def _flatten(value: object, name: str, shape: Dims) -> tuple[Dims, list[Any]]:
    """The lengths of nested lists and what is in the innermost ones. Types and lengths are compared in bulk.

    Rows come back as they are.
    """
    if not isinstance(value, list):
        rule = f"must be {_wanted(shape)}, got {_said(value)}"
        raise Unprocessable(Problem((name,), rule, "wrong_type", expected=_schema(shape, name), got=value))
    dims: Dims = (len(value),)
    level = value
    while list in (kinds := set(map(type, level))):
        if len(dims) == DEEPEST:
            rule = f"must be {_wanted(shape)}, got lists nested deeper"
            raise Unprocessable(Problem((name,), rule, "too_deep", expected=_schema(shape, name), got=value))
        if kinds != {list}:
            odd = next(index for index, item in enumerate(level) if type(item) is not list)
            rule, came = f"must be a list like its neighbours, got {_said(level[odd])}", level[odd]
            raise Unprocessable(
                Problem(_place(name, odd, dims), rule, "wrong_type", expected={"type": "array"}, got=came)
            )
        length = len(level[0])
        if set(map(len, level)) != {length}:
            odd = next(index for index, item in enumerate(level) if len(item) != length)
            detail = f"must have {length} values like the list before it, got {len(level[odd])}"
            code: Code = "too_short" if len(level[odd]) < length else "too_long"
            alike = {"type": "array", "minItems": length, "maxItems": length}
            raise Unprocessable(Problem(_place(name, odd, dims), detail, code, expected=alike, got=level[odd]))
        dims = (*dims, length)
        if isinstance(value, Rows):
            return dims, value
        level = list(chain.from_iterable(level))
    if not kinds <= NUMBERS:
        raise Unprocessable(next(_bad_numbers(level, dims, name)))
    return dims, level


def _arrange(numbers: list[Any], dims: Dims, counted: Dims, *, name: str, shape: Dims) -> Images:
    """Numbers as [n, h, w, c], checked against (c, h, w). `counted`: dims with the number of images first."""
    channels, height, width = shape
    count, each = counted[0], counted[1:]
    if each[:1] == (1,) and not _fits(each, shape):
        each = each[1:]
    if not _fits(each, shape):
        each = counted[1:]
        came = " x ".join(map(str, each)) if each else "no list of images"
        cure = "; send several images as batch" if name != "batch" and _fits(each[1:], shape) else ""
        rule = f"must be {_wanted(shape)}{' each' * (name == 'batch')}"
        expected = _schema(shape, name)
        raise Unprocessable(Problem((name,), f"{rule}, got {came}{cure}", "mismatch", expected=expected, got=numbers))
    try:
        values = np.array(numbers, np.float64)
    except OverflowError:
        values = np.array([np.nan])
    least, most = values.min(), values.max()
    if not (least >= -ROUNDING and most <= 1 + ROUNDING):  # also where one is NaN
        raise Unprocessable(next(_bad_numbers(numbers, dims, name)))
    if least < 0 or most > 1:
        values = values.clip(0, 1)
    if channels > 1 and each != (height, width, channels):
        values = values.reshape(count, channels, height, width).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(values.reshape(count, height, width, channels), np.float32)


def _fits(dims: Dims, shape: Dims) -> bool:
    """Whether an image of `shape`, (c, h, w), may be laid out so."""
    channels, height, width = shape
    layouts = [(math.prod(shape),), shape, (height, width, channels), *([(height, width)] if channels == 1 else [])]
    return dims in layouts


def _bad_numbers(values: list[Any], dims: Dims, name: str) -> Iterator[Problem]:
    flat = list(chain.from_iterable(values)) if isinstance(values, Rows) else values
    grey = any(type(value) in NUMBERS and GREY <= value <= 255 for value in flat)
    for index, value in enumerate(flat):
        if isinstance(value, NotJson):
            yield Problem(_place(name, index, dims), value.detail, value.code, expected=PIXEL, got=value)
        elif type(value) not in NUMBERS:
            rule = f"must be a number from 0 to 1, got {_said(value)}"
            yield Problem(_place(name, index, dims), rule, "wrong_type", expected=PIXEL, got=value)
        elif not -ROUNDING <= value <= 1 + ROUNDING:
            cure = "; divide grey values from 0 to 255 by 255" if grey else ""
            rule = f"must be a number from 0 to 1, got {_said(value)}{cure}"
            yield Problem(_place(name, index, dims), rule, "out_of_range", expected=PIXEL, got=value)


def _place(name: str, index: int, dims: Dims) -> Path:
    """Where a value of the flattened list was."""
    return (name, *(int(part) for part in np.unravel_index(index, dims)))


def _schema(shape: Dims, name: str) -> dict[str, Any]:
    """An image of `shape` as it can be sent, flat, or several of them for a batch, as JSON Schema."""
    numbers = math.prod(shape)
    image = {"type": "array", "items": PIXEL, "minItems": numbers, "maxItems": numbers}
    return {"type": "array", "items": image, "minItems": 1} if name == "batch" else image


def _wanted(shape: Dims) -> str:
    channels, height, width = shape
    rows = f"{height} rows of {width}" if channels == 1 else f"nested {channels} x {height} x {width}"
    return f"{math.prod(shape)} numbers from 0 to 1 in rows from the top, flat or as {rows}"


def _said(value: object) -> str:
    if isinstance(value, NotJson):
        return "a number that JSON does not have"
    typed_array = isinstance(value, dict) and "0" in value and all(map(str.isdecimal, value))
    cure = "; a typed array of JavaScript becomes such an object in JSON: send Array.from(array)" if typed_array else ""
    return f"{shown(value)}{cure}"
