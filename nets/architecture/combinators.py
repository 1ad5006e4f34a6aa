"""Lists of layers that stand in a network more than once, side by side, or with what goes around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import UNSAID, BrokenRule, Problem, SpecError
from nets.layers import LAYERS, Layer
from nets.layers.activation import Relu
from nets.layers.conv import Conv2d
from nets.layers.linear import Linear
from nets.layers.merge import MOST, Add, Concat, Merge
from nets.layers.steps import AsSequence, EachStep
from nets.spec.fields import Whole, shown
from nets.spec.registry import Registry, Typed
from nets.spec.values import Value, image, sequence

Json = dict[str, Any]
MAX_TIMES = 2048
JOINED = Concat(axis=None)


@dataclass(frozen=True)
class Copy:
    """One place of a list of layers in the network.

    body: which of the combinator's lists. name: its part of the ids of the layers in it. reads: which copy it takes
    its input from; None for what the combinator itself is given.
    """

    body: int
    name: str
    reads: int | None = None


@dataclass(frozen=True)
class Listed:
    """A list of layers in the JSON of a combinator. place: where. least: how many layers it must hold."""

    place: tuple[str | int, ...]
    layers: list[Any]
    least: int = 1


class Combinator(Typed):
    """Base of what holds lists of layers. It has no arrays: its layers take its place in the graph.

    given: what its examples may be given.
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    given: ClassVar[Value] = image(1, 28, 28)

    @classmethod
    def lists(cls, sent: Mapping[str, Any]) -> Iterator[Listed]:
        """Its lists of layers in what a client sent, as far as they are lists, in the order that copies count them."""
        raise AssertionError(f"{cls.__name__} holds no layers")

    def copies(self) -> tuple[Copy, ...]:
        """Where its lists stand, each behind those that it reads."""
        raise AssertionError(f"{type(self).__name__} has no copies")

    def entry_layer(self) -> Layer | None:
        """What makes of what it is given what its lists are given; None where that is the same.

        The merge reads what it is given behind the outputs of its copies.
        """
        return None

    def merge_layer(self) -> Layer | None:
        """What takes the outputs of all copies; None where the last copy's is what comes out."""
        return None

    def to_json(self, bodies: list[list[Json]]) -> Json:
        """The combinator as a client could send it, around the canonical layers of its lists."""
        raise AssertionError(f"{type(self).__name__} has no JSON")


COMBINATORS: Registry[Combinator] = Registry("combinator", example={"type": "repeat", "times": 3, "layers": []})
LIST = {"type": "array", "items": {"type": "object"}}
Layers = Annotated[list[Any], WithJsonSchema({**LIST, "minItems": 1})]
Linear8, Relu1, Conv4 = (dict(cls.examples[0].json) for cls in (Linear, Relu, Conv2d))


@COMBINATORS.register
class Repeat(Combinator):
    """The layers `times` times, one after the other, each time with weights of their own."""

    type: Literal["repeat"] = "repeat"
    times: Annotated[Whole, Field(ge=1, le=MAX_TIMES)] = Field(description="How many times.")
    layers: Layers = Field(description="The layers to repeat.")

    examples = ({"type": "repeat", "times": 3, "layers": [Linear8, Relu1]},)

    @classmethod
    def lists(cls, sent: Mapping[str, Any]) -> Iterator[Listed]:
        if isinstance(layers := sent.get("layers"), list):
            yield Listed(("layers",), layers)

    def copies(self) -> tuple[Copy, ...]:
        return tuple(Copy(0, str(time), time - 1 if time else None) for time in range(self.times))

    def to_json(self, bodies: list[list[Json]]) -> Json:
        return {"type": self.type, "times": self.times, "layers": bodies[0]}


@COMBINATORS.register
class Residual(Combinator):
    """x + f(x), or shortcut(x) + f(x). He et al., 2016."""

    type: Literal["residual"] = "residual"
    layers: Layers = Field(description="f; its first layer reads x.")
    shortcut: Annotated[list[Any] | None, WithJsonSchema({"anyOf": [LIST, {"type": "null"}]})] = Field(
        None, description="Layers for x, for an f that changes the shape."
    )

    examples = ({"type": "residual", "layers": [Conv4, Relu1], "shortcut": [Conv4]},)

    @classmethod
    def lists(cls, sent: Mapping[str, Any]) -> Iterator[Listed]:
        if isinstance(layers := sent.get("layers"), list):
            yield Listed(("layers",), layers)
        if isinstance(layers := sent.get("shortcut") or [], list):
            yield Listed(("shortcut",), layers, least=0)

    def copies(self) -> tuple[Copy, ...]:
        return Copy(0, "layers"), Copy(1, "shortcut")

    def merge_layer(self) -> Layer:
        return Add()

    def to_json(self, bodies: list[list[Json]]) -> Json:
        return {"type": self.type, "layers": bodies[0], "shortcut": bodies[1] or None}


def merges() -> Registry[Layer]:
    """The layer types that are made to join values; not every type of several inputs is."""
    found: Registry[Layer] = Registry("merge", example={"type": JOINED.type})
    found.update({name: cls for name, cls in LAYERS.items() if issubclass(cls, Merge)})
    return found


def merging(value: object) -> object:
    """A merge by the name of its type, or as a layer."""
    if isinstance(value, Layer):
        return value
    try:
        return merges().parse({"type": value} if isinstance(value, str) else value, ())
    except SpecError as error:
        said = "; ".join(_without_place(problem.place, problem.detail) for problem in error.problems)
        raise BrokenRule(said, error.problems[0].code, **_of_a_name(value, error.problems[0])) from None


def _of_a_name(value: object, problem: Problem) -> dict[str, Any]:
    """What is expected in place of a merge's name that is none."""
    if not isinstance(value, str) or problem.code != "not_one_of":
        return {}
    set_to = UNSAID if problem.suggestion is None else problem.suggestion
    return {"expected": problem.expected, "suggestion": problem.suggestion, "set_to": set_to}


def _without_place(place: str, detail: str) -> str:
    return detail if place in ("body", "type") else f"{place}: {detail}"


def lists_of_layers(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(branch, list) for branch in value):
        raise BrokenRule(f"must be a list of lists of layers, got {shown(value)}", "wrong_type")
    if not 2 <= len(value) <= MOST:
        rule = f"must have 2 to {MOST} lists of layers, got {len(value)}"
        raise BrokenRule(rule, "too_short" if len(value) < 2 else "too_long")
    return value


MERGE = {"anyOf": [{"type": "string"}, {"type": "object", "required": ["type"]}], "default": JOINED.type}
BRANCHES = {"type": "array", "items": LIST, "minItems": 2, "maxItems": MOST}


@COMBINATORS.register
class Parallel(Combinator):
    """Several lists of layers that read the same input, joined by a merge. Szegedy et al., 2015."""

    type: Literal["parallel"] = "parallel"
    branches: Annotated[list[list[Any]], BeforeValidator(lists_of_layers), WithJsonSchema(BRANCHES)] = Field(
        description="Lists of layers; an empty one passes its input on."
    )
    merge: Annotated[Layer, BeforeValidator(merging), WithJsonSchema(MERGE)] = Field(
        JOINED, description="A layer type that merges, such as add or concat, or an object with its type and options."
    )

    examples = ({"type": "parallel", "branches": [[Conv4], []], "merge": JOINED.type},)

    @classmethod
    def lists(cls, sent: Mapping[str, Any]) -> Iterator[Listed]:
        found = sent.get("branches")
        for index, layers in enumerate(found[:MOST] if isinstance(found, list) else []):
            if isinstance(layers, list):
                yield Listed(("branches", index), layers, least=0)

    def copies(self) -> tuple[Copy, ...]:
        return tuple(Copy(index, str(index)) for index in range(len(self.branches)))

    def merge_layer(self) -> Layer:
        return self.merge

    def to_json(self, bodies: list[list[Json]]) -> Json:
        return {"type": self.type, "branches": bodies, "merge": self.merge.to_json()}


@COMBINATORS.register
class TimeDistributed(Combinator):
    """The layers applied to each step of a sequence by itself, with the same weights. Keras's `TimeDistributed`.

    They are given the features of a step, and give features: those of a step of the sequence that comes out. Norms see
    the steps of all samples.
    """

    type: Literal["timedistributed"] = "timedistributed"
    layers: Layers = Field(description="What each step goes through; it begins with features and ends with features.")

    also = ("time_distributed",)
    given = sequence(5, 6)
    examples = ({"type": "timedistributed", "layers": [Linear8, Relu1]},)

    @classmethod
    def lists(cls, sent: Mapping[str, Any]) -> Iterator[Listed]:
        if isinstance(layers := sent.get("layers"), list):
            yield Listed(("layers",), layers)

    def copies(self) -> tuple[Copy, ...]:
        return (Copy(0, "layers"),)

    def entry_layer(self) -> Layer:
        return EachStep()

    def merge_layer(self) -> Layer:
        return AsSequence()

    def to_json(self, bodies: list[list[Json]]) -> Json:
        return {"type": self.type, "layers": bodies[0]}
