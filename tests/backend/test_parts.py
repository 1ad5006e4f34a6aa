"""The parts of bodies: what is told of a wrong one, and that the document says the same."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from backend.parsing.parts import Architecture, Description, Hyperparams, ModelId, Name
from nets.errors import SpecError
from tests.backend.samples import ARCHITECTURE


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        (Name, 5, "must be a string, got 5"),
        (Name, "", 'must not be blank, got ""; leave it out instead'),
        (Name, "\t ", "must not be blank"),
        (Name, "x" * 201, "must have at most 200 characters, got 201"),
        (Name, "a\0", "must not contain a NUL character"),
        (Description, " ", "must not be blank"),
        (Description, "x" * 10_001, "must have at most 10000 characters"),
        (ModelId, "../x", 'must be 1 to 128 of A-Z.*got "../x"'),
        (ModelId, "save", "must not be 'save'"),
        (ModelId, "x" * 129, "must have at most 128 characters"),
    ],
)
def test_a_wrong_text_is_told_with_its_rule(part: object, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(part).validate_python(value)


def test_a_description_may_say_that_there_is_nothing_to_say() -> None:
    assert TypeAdapter(Description).validate_python("") == ""


def test_what_is_kept_as_it_came_also_says_what_it_means() -> None:
    sent = TypeAdapter(Hyperparams).validate_python({"dataset": "digits"})
    assert sent.json == {"dataset": "digits"} and sent.value.dataset_type == "digits"
    sent = TypeAdapter(Architecture).validate_python(ARCHITECTURE)
    assert sent.json is ARCHITECTURE and sent.value.graph.classes == 10


def test_the_problems_of_a_part_are_told_one_by_one() -> None:
    with pytest.raises(ValidationError) as failure:
        TypeAdapter(Hyperparams).validate_python({"epochs": 0, "seed": -1})
    [error] = failure.value.errors()
    inside = error["ctx"]["error"]
    assert isinstance(inside, SpecError)
    assert [problem.place for problem in inside.problems] == ["hyperparams.epochs", "hyperparams.seed"]


def test_parts_are_described_under_names_of_their_own() -> None:
    class Both(BaseModel):
        architecture: Architecture
        hyperparams: Hyperparams | None

    schema = Both.model_json_schema()
    assert schema["properties"]["architecture"] == {"$ref": "#/$defs/Architecture"}
    assert schema["$defs"]["Architecture"]["properties"]["input_height"]["anyOf"][0]["maximum"] == 4096
    assert schema["$defs"]["Architecture"]["properties"]["layers"]["minItems"] == 1
    assert schema["$defs"]["Hyperparams"]["properties"]["dataset"]["description"]
