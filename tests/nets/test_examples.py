"""Public networks: what is told of them, and that each is what its source says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from pydantic import TypeAdapter

from nets import examples
from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.datasets import DATASETS, Dataset, info
from nets.datasets.arrays import from_arrays
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.network import initial_variables
from nets.spec.values import Value
from nets.training.check import check_fit
from nets.training.events import Finished
from nets.training.fit import fit
from nets.training.learning_rate import LearningRate
from nets.training.programs import start
from nets.training.run import Run
from nets.training.sampling import draw
from nets.training.workload import workload_of

FOLDER = Path(examples.__file__).parent
QUICK = ("nielsen", "tensorflow-iris", "wine")  # compiled in a moment: they train everywhere, not in CI alone
# Compiled in 6 to 25 s, however few the samples are.
LARGE = ("densenet-40-12", "densenet-bc-100-12", "googlenet", "keras-vit", "mobilenet-v2")


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


def few(name: str, size: int) -> Hyperparams:
    """The recipe of an example for one epoch of batches so small."""
    body = {**examples.network(name)["body"]["hyperparams"], "epochs": 1, "batch_size": size, "max_samples": None}
    body.pop("dataset_type", None)
    return parse_hyperparams(body)


@pytest.mark.parametrize("name", QUICK)
def test_a_small_example_trains(name: str) -> None:
    """A run on few samples of noise: every loss is a number."""
    architecture, _ = parsed(name)
    samples = random_arrays(architecture.graph.input, architecture.graph.classes)
    *_, last = fit(architecture, few(name, 4), samples)
    assert isinstance(last, Finished) and np.isfinite(last.test_loss)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(examples.names()) - {*LARGE}))
def test_an_example_trains(name: str) -> None:
    """One step on two samples of noise, as XLA computes it: the loss is a number, and so is every weight after it.

    Not optimised, which would take the longest. How layers are computed faster is tested layer by layer.
    """
    architecture, _ = parsed(name)
    samples, hyperparams = random_arrays(architecture.graph.input, architecture.graph.classes, 4), few(name, 2)
    run = Run(architecture, hyperparams, samples, draw(hyperparams, 4), kernels="xla")
    rate = LearningRate.of(hyperparams, len(run.train), [])
    step = jax.jit(run.workload.steps.train_batch, compiler_options={"xla_backend_optimization_level": "0"})
    state = start(run.workload, initial_variables(run.workload.graph, seed=0))
    state, passed = step(state, run.data, jax.numpy.arange(2), run.numbers(rate))
    assert np.isfinite(passed.loss) and all(np.isfinite(array).all() for array in jax.tree.leaves(state.params))


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_step_of_a_large_example_can_be_traced(name: str) -> None:
    """A step of its own batch: shapes alone, and no number is computed, since compiling it would take the longest."""
    architecture, hyperparams = parsed(name)
    workload = workload_of(architecture, hyperparams, train=1000, samples=1000, kernels="xla")
    before, rows = workload.state(), jax.ShapeDtypeStruct((workload.batch,), np.int32)
    after, passed = jax.eval_shape(workload.steps.train_batch, before, workload.data(), rows, workload.numbers())
    assert passed.loss.shape == () and jax.tree.map(np.shape, after.params) == jax.tree.map(np.shape, before.params)
