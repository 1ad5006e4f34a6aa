"""Public networks: what is told of them, and that each is what its source says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from nets import examples
from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.datasets import DATASETS, Dataset, info
from nets.datasets.arrays import from_arrays
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.spec.values import Value
from nets.training.check import check_fit
from nets.training.events import Finished
from nets.training.fit import fit

FOLDER = Path(examples.__file__).parent
SMALL = 30_000  # parameters, up to which an example trains everywhere, not in CI alone


def parsed(name: str) -> tuple[Architecture, Hyperparams]:
    body = examples.network(name)["body"]
    assert set(body) == {"architecture", "hyperparams"}
    return parse_architecture(body["architecture"]), parse_hyperparams(body["hyperparams"])


def test_files_are_the_networks_of_their_names_written_for_people() -> None:
    kind = TypeAdapter(examples.PublicNetwork)
    files = {path.stem: path.read_text() for path in FOLDER.glob("*.json")}
    assert files.keys() == set(examples.names())
    for name, text in files.items():
        found = kind.validate_json(text, strict=True, extra="forbid")
        assert found["name"] == name and text == f"{examples.written(found)}\n"
        assert found["differs"] == list(dict.fromkeys(found["differs"])) and found["source"] and found["recipe"]


def test_json_for_people_is_json() -> None:
    for value in (1, [], {}, "ä", [{"a": [None, True]}] * 30, {"b": {"c": list(range(60))}}):
        text = examples.written(value)
        assert json.loads(text) == value and max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("name", examples.names())
def test_an_example_has_the_parameters_that_are_told_and_can_be_sent_again(name: str) -> None:
    architecture, hyperparams = parsed(name)
    assert architecture.parameters == examples.network(name)["parameters"]
    assert parse_architecture(architecture.to_json()).graph == architecture.graph
    check_fit(architecture, hyperparams, info_of(name, architecture))


def info_of(name: str, architecture: Architecture) -> Any:
    """Of the data set that the body names, else of arrays such as it takes."""
    named = examples.network(name)["body"]["hyperparams"].get("dataset_type")
    assert (named is None) == (examples.network(name)["arrays"] is not None)
    return (
        info(named) if named in DATASETS else random_arrays(architecture.graph.input, architecture.graph.classes).info
    )


def random_arrays(value: Value, classes: int, count: int = 10) -> Dataset:
    """Samples of noise, with a label each."""
    random = np.random.default_rng(0)
    shape, labels = (count, *value.canonical), np.arange(count) % min(classes, count)
    if value.kind == "image":
        inputs = random.integers(0, 256, shape).astype(np.uint8)
    elif value.kind == "tokens":
        inputs = random.integers(0, value.vocabulary or 0, shape).astype(np.int32)
    else:
        inputs = random.normal(size=shape).astype(np.float32)
    return from_arrays(inputs, labels, inputs, labels, classes=[str(number) for number in range(classes)])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if examples.network(name)["parameters"] < SMALL else pytest.mark.slow)
        for name in examples.names()
    ],
)
def test_an_example_trains(name: str) -> None:
    """Two steps of few samples of noise: every loss is a number."""
    architecture, _ = parsed(name)
    body = {**examples.network(name)["body"]["hyperparams"], "epochs": 1, "batch_size": 4, "max_samples": None}
    body.pop("dataset_type", None)
    *events, last = fit(
        architecture, parse_hyperparams(body), random_arrays(architecture.graph.input, architecture.graph.classes)
    )
    assert isinstance(last, Finished) and np.isfinite(last.test_loss)
