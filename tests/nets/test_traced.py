"""Traced numbers change no compiled program: a table over every layer and optimizer type that there is."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from nets.layers import LAYERS
from nets.optimizers import OPTIMIZERS
from nets.spec.fields import Boolean, Real
from nets.spec.traced import Traced, TracedSpec, traced


class Clip(TracedSpec):
    """A number, one that may be absent, a pair, and what is no number."""

    norm: Annotated[Real, Traced()] = 1.0
    noise: Annotated[Real, Traced(absent=0.0)] = 0.0
    between: Annotated[tuple[Real, Real], Traced(names=("low", "high"))] = (0.0, 1.0)
    hard: Boolean = False


def test_numbers_go_by_their_names() -> None:
    assert Clip(norm=2).numbers() == {"norm": 2, "low": 0, "high": 1}
    assert Clip(noise=0.5).numbers() == {"norm": 1, "noise": 0.5, "low": 0, "high": 1}


def test_the_amount_is_no_structure_and_absence_is() -> None:
    assert Clip(norm=2, between=(3, 4)).structure() == Clip().structure()
    assert Clip(noise=0.1).structure() == Clip(noise=0.2).structure() != Clip().structure()
    assert Clip(hard=True).structure() != Clip().structure()


def test_a_structure_is_its_own_and_has_the_same_names() -> None:
    clip = Clip(norm=3, noise=0.5)
    assert clip.structure().structure() == clip.structure()
    assert hash(clip.structure()) == hash(Clip(noise=9).structure())
    assert clip.structure().numbers().keys() == clip.numbers().keys()


TYPES = [
    *(pytest.param(cls(**cls.examples[0].json), id=name) for name, cls in LAYERS.items()),
    *(pytest.param(cls(), id=name) for name, cls in OPTIMIZERS.items()),
]


@pytest.mark.parametrize("spec", TYPES)
def test_every_traced_field_of_every_type_is_a_number_and_no_structure(spec: TracedSpec) -> None:
    for name, mark in traced(type(spec)).items():
        one, other = (spec.model_copy(update={name: amount(mark, number)}) for number in (0.25, 0.75))
        assert one.structure() == other.structure()
        for part in mark.names or (name,):
            assert (one.numbers()[part], other.numbers()[part]) == (0.25, 0.75)


def amount(mark: Traced, number: float) -> Any:
    return (number,) * len(mark.names) if mark.names else number


@pytest.mark.parametrize("spec", TYPES)
def test_every_number_of_every_type_comes_from_a_traced_field(spec: TracedSpec) -> None:
    marks = traced(type(spec))
    names = {part for name, mark in marks.items() for part in mark.names or (name,)}
    assert spec.numbers().keys() <= names
    untraced = {name for name in type(spec).model_fields if name not in marks}
    assert all(getattr(spec.structure(), name) == getattr(spec, name) for name in untraced)
