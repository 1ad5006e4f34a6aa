"""The body of `POST /api/benchmarks`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from backend.parsing.parts import TEXT, Name, Rule
from backend.parsing.requests import PLAIN, Body, Editors
from backend.state.records import Json
from nets.errors import UNSAID, BrokenRule, Problem, SpecError
from nets.process.devices import find, name_of
from nets.spec.allowed import one_of
from nets.spec.fields import Boolean, Real, Whole, did_you_mean, got, shown, suggested, whole

MOST_BODIES = 16
MOST_OF_A_KIND = 16  # devices, precisions, batch sizes
LARGEST_BATCH = 65_536
Precision = Literal["float32", "bfloat16"]
Preset = Literal["quick", "standard", "full"]


@dataclass(frozen=True)
class Each(Rule):
    """A list of 1 to `most` values, each as `item` has it, and no two the same. `field`: whose value it is."""

    field: str
    item: Callable[[object], object]
    described: Callable[[], Json]  # one item, as JSON Schema
    most: int = MOST_OF_A_KIND

    def check(self, value: object) -> list[object]:
        if not isinstance(value, list):
            raise BrokenRule(f"must be a list, got {shown(value)}", "wrong_type")
        if not 1 <= len(value) <= self.most:
            rule = f"must have 1 to {self.most} items, got {len(value)}"
            raise BrokenRule(rule, "too_long" if value else "too_short")
        found: dict[int, object] = {}
        problems = []
        for number, each in enumerate(value):
            try:
                one = self.item(each)
                if one in found.values():
                    raise BrokenRule(f"must come once, got {shown(each)} again", "duplicate")
                found[number] = one
            except BrokenRule as broken:
                problems.append(broken.at((self.field, number)))
        if problems:
            raise SpecError(problems)
        return list(found.values())

    def schema(self) -> Json:
        return {"type": "array", "items": self.described(), "minItems": 1, "maxItems": self.most, "uniqueItems": True}


def precision(value: object) -> str:
    names = get_args(Precision)
    if value not in names:
        near = suggested(value, names)
        detail = f"must be one of {', '.join(names)}{got(value, did_you_mean(value, names))}"
        set_to = UNSAID if near is None else near
        raise BrokenRule(detail, "not_one_of", expected=one_of(names), suggestion=near, set_to=set_to)
    return str(value)


def batch_size(value: object) -> int:
    number = whole(value)
    if not 1 <= number <= LARGEST_BATCH:
        raise BrokenRule(f"must be 1 to {LARGEST_BATCH}, got {shown(value)}", "out_of_range")
    return number


def device(value: object) -> str:
    """The name of a device that is here: `gpu` is `gpu:0`."""
    if not isinstance(value, str):
        raise BrokenRule(f"must be a string, got {shown(value)}", "wrong_type")
    return name_of(find(value))


@dataclass(frozen=True)
class Networks(Rule):
    """Networks: bodies of `POST /api/train`, or names. What is inside is looked at later."""

    def check(self, value: object) -> list[Any]:
        if not isinstance(value, list):
            raise BrokenRule(f"must be a list, got {shown(value)}", "wrong_type")
        if not 1 <= len(value) <= MOST_BODIES:
            rule = f"must have 1 to {MOST_BODIES} items, got {len(value)}"
            raise BrokenRule(rule, "too_long" if value else "too_short")
        problems = [
            Problem(("bodies", number), f"must be an object or the name of a network, got {shown(each)}", "wrong_type")
            for number, each in enumerate(value)
            if not isinstance(each, dict | str)
        ]
        if problems:
            raise SpecError(problems)
        return value

    def schema(self) -> Json:
        body: Json = {"anyOf": [{"type": "string"}, {"type": "object"}]}
        return {"type": "array", "items": body, "minItems": 1, "maxItems": MOST_BODIES}


BATCH: Json = {"type": "integer", "minimum": 1, "maximum": LARGEST_BATCH}


class BenchmarkBody(Body):
    """Networks to measure side by side: each of them on each device, in each precision, with each batch size."""

    example: ClassVar[Json] = {
        "bodies": [{"architecture": PLAIN, "hyperparams": {"max_samples": 256, "dataset_type": "digits"}}],
        "batch_sizes": [16, 64],
        "repeats": 1,
    }
    editors: Editors = None
    name: Name | None = Field(None, description="What it is called; without it, as its networks.")
    bodies: Annotated[list[Any], Networks()] = Field(
        description="Bodies of `POST /api/train`, or names of networks as `lamina bench` takes them. "
        "What tells of a run alone (tags, notes, queue) is left aside."
    )
    devices: Annotated[list[str], Each("devices", device, lambda: TEXT)] | None = Field(
        None, description="As `GET /api/devices` names them, or platforms (`cpu`, `gpu`); left out: all that are here."
    )
    precisions: Annotated[list[str], Each("precisions", precision, lambda: one_of(get_args(Precision)))] | None = Field(
        None, description="Left out: `float32`."
    )
    batch_sizes: Annotated[list[int], Each("batch_sizes", batch_size, lambda: dict(BATCH))] | None = Field(
        None, description="Left out: as the preset has them."
    )
    repeats: Annotated[Whole, Field(ge=1, le=20)] | None = Field(
        None, description="How often each cell is measured, in turns with all others; left out: as the preset has it."
    )
    target: Annotated[Real, Field(gt=0, lt=1)] | None = Field(
        None, description="The validation accuracy to which the time is taken; left out: none is."
    )
    preset: Preset | None = Field(None, description="How thoroughly; left out: `quick`.")
    queue: Boolean | None = Field(
        None, description="Whether to wait while something else is active: yes unless false, then a 409."
    )
