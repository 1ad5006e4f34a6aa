"""Tables by name: one of each, and errors that tell what was meant."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from nets.errors import SpecError
from nets.layers import LAYERS
from nets.optimizers import OPTIMIZERS
from nets.spec.fields import Hint, Real, Spec, Whole
from nets.spec.registry import Names, Registry, Typed

SHAPES: Registry[Typed] = Registry("shape", example={"type": "circle", "radius": 2})


class Colour(Spec):
    """What shapes are sent with and do not have."""

    colour: Whole | None = None


@SHAPES.register
class Circle(Typed):
    type: Literal["circle"] = "circle"
    radius: Real
    aliases = {"r": "radius"}
    ignored = Colour


@SHAPES.register
class Square(Typed):
    type: Literal["square"] = "square"
    side: Real = 1.0
    also = ("quadrate",)


def problems(value: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        SHAPES.parse(
            value, ("shape",), elsewhere=lambda name, value: Hint(" It belongs elsewhere.") if name == "x" else Hint()
        )
    return [str(problem) for problem in caught.value.problems]


def test_an_object_becomes_what_its_type_says() -> None:
    assert SHAPES.parse({"type": "circle", "r": 2, "colour": 3}, ()) == Circle(radius=2)
    assert SHAPES.parse({"type": "square"}, ()) == Square(side=1)


def test_a_type_goes_by_its_other_names_too() -> None:
    assert SHAPES.parse({"type": "quadrate", "side": 2}, ()) == Square(side=2)
    assert SHAPES.near("Quadrat") == ["square"] and SHAPES.near("Quadrate") == ["square"]
    assert SHAPES.by_its_own_name({"type": "quadrate", "side": "x"}) == {"type": "square", "side": "x"}
    for sent in ({"type": ["quadrate"]}, "quadrate", {"type": "circle"}, {}):
        assert SHAPES.by_its_own_name(sent) is sent
    assert "shape.edge: is not a field of square" in problems({"type": "quadrate", "edge": 1})[0]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Circle", 'must be an object such as {"type": "circle", "radius": 2}, got "Circle"; write {"type": "circle"}'),
        ([1], 'shape: must be an object such as {"type": "circle", "radius": 2}, got [1]'),
        ({}, "shape.type: is required; one of circle, square"),
        ({"kind": "circle"}, 'shape.type: is required; one of circle, square; rename "kind" to type'),
        ({"type": "circel"}, "shape.type: must be one of circle, square, got \"circel\". Did you mean 'circle'?"),
        ({"type": ["circle"]}, 'shape.type: must be one of circle, square, got ["circle"]'),
        ("quadrate", 'got "quadrate"; write {"type": "square"}'),
        ({"type": "quadrat"}, "shape.type: must be one of circle, square, got \"quadrat\". Did you mean 'square'?"),
        ({"type": "circle", "r": "2"}, 'shape.r: must be a number, got "2"'),
        ({"type": "circle", "radius": 1, "r": 2}, "shape.r: says 2 where 'radius' says 1; send one"),
        ({"type": "square", "colour": 1}, "shape.colour: is not a field of square. Its fields: type, side"),
        ({"type": "square", "x": 1}, "shape.x: is not a field of square. It belongs elsewhere."),
    ],
)
def test_a_broken_rule_is_named_with_place_value_and_cure(value: Any, said: str) -> None:
    (problem,) = problems(value)
    assert said in problem


def test_what_is_ignored_is_checked_and_all_is_told_at_once() -> None:
    found = problems({"type": "circle", "radius": "1", "colour": "red", "y": 1})
    assert [problem.partition(":")[0] for problem in found] == ["shape.colour", "shape.radius", "shape.y"]


def test_a_name_is_taken_once() -> None:
    class Quadrate(Typed):
        type: Literal["quadrate"] = "quadrate"

    class Disc(Typed):
        type: Literal["disc"] = "disc"
        also = ("circle",)

    for kind, said in (
        (Circle, 'a shape called "circle" is registered already: choose another name'),
        (Quadrate, '"quadrate" is another name of the shape square already: choose another'),
        (Disc, 'the shape disc is also called "circle", which is the name of one'),
    ):
        with pytest.raises(ValueError, match=said):
            SHAPES.register(kind)
    assert list(SHAPES) == ["circle", "square"]


def test_a_name_of_one_is_asked_for_by_itself() -> None:
    colours: Names[int] = Names("colour")
    colours.add("red", 1)
    with pytest.raises(ValueError, match='^must be red, got "blue"$'):
        colours.known("blue")
    assert colours.known("red") == "red"


def test_the_schema_takes_what_is_parsed() -> None:
    circle, square = SHAPES.schema()["anyOf"]
    assert circle["properties"].keys() == {"type", "radius", "r", "colour"}
    assert circle["properties"]["type"] == {"const": "circle"}
    assert square["properties"]["type"] == {"enum": ["square", "quadrate"]}


@pytest.mark.parametrize("registry", [LAYERS, OPTIMIZERS], ids=lambda registry: registry.what)
def test_every_type_says_its_own_name_and_every_other_name_a_field(registry: Registry[Any]) -> None:
    for name, cls in registry.items():
        assert cls.model_fields["type"].default == name
        known = {field.alias or own for own, field in cls.model_fields.items()}
        assert set(cls.aliases.values()) <= known
        assert not {*cls.aliases, *cls.ignored.model_fields} & known
