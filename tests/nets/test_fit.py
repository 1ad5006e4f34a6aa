"""Networks of the literature in training, on arrays of every kind: they learn, are kept, and answer as they were tested."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.checkpoint import load_weights, save_weights
from nets.datasets import Dataset, from_arrays
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inference import Predictor
from nets.network import Network, Variables, initial_variables, numbers_of
from nets.training import programs
from nets.training.cache import Program, ProgramCache
from nets.training.events import Compiled, EpochEnd, Event, Finished, Progress
from nets.training.fit import fit
from nets.training.metrics import EpochMetrics
from nets.training.workload import Workload
from tests.nets.builders import network, stripes
from tests.nets.kernels.common import XLA, random
from tests.nets.networks import DENSENET, ENCODER, RESNET_20, SIAMESE, TWO_BRANCHES

LEARNT = 10  # samples drawn, of which eight are trained on
ADAM = {"type": "adam", "lr": 0.01}
SMALL: dict[str, tuple[dict[str, Any], str]] = {
    "DenseNet-BC": (DENSENET, "float32"),
    "two branches": (TWO_BRANCHES, "bfloat16"),
    "siamese": (SIAMESE, "float32"),
    "encoder": (ENCODER, "float32"),
}


def noise(a: Architecture, count: int = LEARNT) -> Dataset:
    """Samples of no meaning, to be learnt by heart."""
    generator, value = np.random.default_rng(3), a.graph.input

    def part() -> tuple[np.ndarray, np.ndarray]:
        shape = (count, *value.canonical)
        grey = generator.integers(0, 256, shape, np.uint8)
        inputs = grey if value.kind == "image" else generator.normal(size=shape)
        return inputs, np.arange(count) % a.graph.classes

    return from_arrays(*part(), *part(), classes=list(map(str, range(a.graph.classes))))


@cache
def trained(name: str, epochs: int = 40) -> tuple[Architecture, Dataset, list[EpochMetrics], Finished]:
    body, precision = SMALL[name]
    a = parse_architecture(body)
    fields = {"epochs": epochs, "batch_size": 4, "train_split": 0.8, "optimizer": ADAM, "precision": precision}
    data = noise(a)
    *events, finished = fit(a, parse_hyperparams(fields), data)
    assert isinstance(finished, Finished)
    return a, data, [event for event in events if isinstance(event, EpochMetrics)], finished


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_network_learns_eight_samples_by_heart(name: str) -> None:
    _, _, epochs, _ = trained(name)
    assert epochs[-1].train_loss < 0.3 * epochs[0].train_loss
    assert epochs[-1].train_accuracy == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_network_that_was_kept_answers_as_it_was_tested(name: str, tmp_path: Path) -> None:
    a, data, _, finished = trained(name)
    path = tmp_path / "weights.msgpack"
    kept = load_weights(path, a, sha256=save_weights(path, finished.variables))
    assert jax.tree.structure(kept) == jax.tree.structure(finished.variables)
    assert all(map(np.array_equal, jax.tree.leaves(kept), jax.tree.leaves(finished.variables)))
    scale = np.float32(255 if data.info.value.kind == "image" else 1)
    answers = Predictor(a, kept, precision=SMALL[name][1]).probabilities(data.test_inputs / scale)
    assert (answers.argmax(-1) == data.test_labels).mean() == pytest.approx(finished.test_accuracy)
    shown = finished.sample_predictions
    assert answers.argmax(-1)[: len(shown)].tolist() == [sample.prediction for sample in shown]
    confidence = [sample.confidence for sample in shown]
    # A sum that ends close to where bfloat16 rounds otherwise is seldom, and depends on its order.
    assert np.median(np.abs(answers.max(-1)[: len(shown)] - confidence)) < 1e-5


@pytest.mark.slow
def test_resnet_20_trains() -> None:
    a = parse_architecture(RESNET_20)
    fields = {"epochs": 6, "batch_size": 8, "train_split": 0.8, "optimizer": {"type": "adam", "lr": 0.002}}
    epochs = [event for event in fit(a, parse_hyperparams(fields), noise(a, 20)) if isinstance(event, EpochMetrics)]
    assert all(np.isfinite([epoch.train_loss, epoch.val_loss]).all() for epoch in epochs)
    assert epochs[-1].train_loss < 0.5 * epochs[0].train_loss


def test_weights_that_are_shared_stay_so() -> None:
    """One set of arrays, after training too, and the gradients of both towers in it."""
    a, _, _, finished = trained("siamese")
    own = [{key: part for key, part in layer.items() if key != "shares"} for layer in SIAMESE["layers"]]
    own[7] |= {"out": 16}
    own[9] |= {"out": 8}
    apart = parse_architecture({**SIAMESE, "layers": own})
    lent = {node.id: node.shares for node in a.graph.nodes if node.shares}
    assert sorted(lent.values()) == ["first", "one"]
    params = finished.variables["params"]
    assert params.keys() == {"linear_0", "first", "one", "linear_5", a.graph.last.id}
    copied = {**params, **{borrower: params[lender] for borrower, lender in lent.items()}}

    def gradients(a: Architecture, params: Any) -> Any:
        start = initial_variables(a.graph, seed=0)

        def loss(params: Any) -> jax.Array:
            state: Variables = {**start, "params": params, "numbers": numbers_of(a.graph)}
            y: jax.Array = Network(a.graph, XLA["float32"]).apply(state, random(8, 64), train=False)
            return jnp.square(y).sum()

        return jax.jit(jax.grad(loss))(params)

    ours, theirs = gradients(a, params), gradients(apart, copied)
    for borrower, lender in lent.items():
        for name, found in ours[lender].items():
            towers = theirs[lender][name], theirs[borrower][name]
            assert all(jnp.abs(tower).max() > 0 for tower in towers)
            np.testing.assert_allclose(found, sum(towers), rtol=1e-4, atol=1e-5)


LATE = network({"type": "linear", "out": 4}, {"type": "batchnorm1d"}, {"type": "linear", "out": 3})
TWO = parse_hyperparams({"epochs": 2, "batch_size": 20, "train_split": 0.8})  # 48 samples: the last batch is one of 8
WAITED = 0.3


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The program for the last batch is there once this is set."""
    compile_training, go_on = programs.compile_training, threading.Event()

    def compile(workload: Workload, chunk: int, batch: int) -> Program:
        assert batch != workload.tail or go_on.wait(60)
        return compile_training(workload, chunk, batch)

    monkeypatch.setattr(programs, "compile_training", compile)
    yield go_on
    go_on.set()


def outcome(events: list[Event]) -> Any:
    """All that repeats itself."""
    metrics = [
        replace(m, epoch_time=0, samples_per_sec=0, eta_seconds=0) for m in events if isinstance(m, EpochMetrics)
    ]
    assert isinstance(events[-1], Finished)
    return metrics, jax.tree.map(np.ndarray.tolist, events[-1].variables)


def test_training_begins_before_the_program_for_the_last_batch_is_there(held: threading.Event) -> None:
    """What the run waits for it is told as compilation, is no time of an epoch, and changes no digit."""
    cache, events, began, seen, trains, took = ProgramCache(), [], 0.0, [], 0.0, 0.0
    for event in fit(LATE, TWO, stripes(), programs=cache):
        events.append(event)
        if isinstance(event, Compiled):
            seen.append(event.compilation)
            trains = trains or time.perf_counter()
        if isinstance(event, EpochMetrics):
            took = took or time.perf_counter() - trains
        if isinstance(event, Progress) and event.phase == "compiling" and event.epoch:
            began = began or time.monotonic()
            assert event.epoch == 1 and 0 <= event.fraction < 1
            if time.monotonic() > began + WAITED:
                held.set()
    assert [[each["name"] for each in told["programs"]] for told in seen] == [
        ["train", "evaluate"],
        ["train", "evaluate", "tail"],
    ]
    assert seen[1]["seconds"] >= seen[0]["seconds"] + WAITED
    first, finished = next(event for event in events if isinstance(event, EpochMetrics)), events[-1]
    assert first.epoch_time + seen[1]["seconds"] - seen[0]["seconds"] <= took + 0.01, "each second counts once"
    assert isinstance(finished, Finished) and finished.compilation == seen[1]
    assert finished.compile_seconds == seen[1]["seconds"]
    again = list(fit(LATE, TWO, stripes(), programs=cache))
    assert [event.compilation["kind"] for event in again if isinstance(event, Compiled)] == ["process"]
    assert outcome(again) == outcome(events)


def test_training_begins_before_the_program_that_evaluates_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch that is shorter waits for it, which is no time of the epoch; every digit is that of a run that did not."""
    at_once = list(fit(LATE, TWO, stripes()))
    compile_evaluation, go_on, seen, waits = programs.compile_evaluation, threading.Event(), [], 0

    def compile(workload: Workload) -> Program:
        assert go_on.wait(60)
        return compile_evaluation(workload)

    monkeypatch.setattr(programs, "compile_evaluation", compile)
    monkeypatch.setattr(programs, "MANY_LAYERS", 3)
    events, fractions, trained = [], [], 0
    for event in fit(LATE, TWO, stripes()):
        events.append(event)
        if isinstance(event, Compiled):
            seen.append([each["name"] for each in event.compilation["programs"]])
        if isinstance(event, Progress) and event.epoch:
            fractions.append(event.fraction)
            trained += event.phase == "training"
            if event.phase == "compiling" and len(seen) == 2:
                assert trained and event.epoch == 1
                waits += 1
                if waits == 3:
                    go_on.set()
    assert seen == [["train"], ["train", "tail"], ["train", "tail", "evaluate"]]
    assert waits >= 3 and fractions == sorted(fractions), "progress never goes back"
    assert outcome(events) == outcome(at_once)


def test_a_run_that_is_stopped_while_it_waits_resumes_to_the_same_digits(held: threading.Event) -> None:
    cache = ProgramCache()
    run = fit(LATE, TWO, stripes(), programs=cache)
    assert any(isinstance(event, Progress) and event.phase == "compiling" and event.epoch for event in run)
    run.close()
    held.set()
    kept, whole = [], []
    for event in fit(LATE, TWO, stripes(), programs=cache):
        whole.append(event)
        kept += [event.take()] if isinstance(event, EpochEnd) else []
    resumed = list(fit(LATE, TWO, stripes(), programs=cache, resume=kept[0]))
    assert outcome(resumed)[1] == outcome(whole)[1] and outcome(resumed)[0] == outcome(whole)[0][1:]


def test_a_program_that_cannot_be_compiled_ends_the_run_that_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_training = programs.compile_training

    def fail(workload: Workload, chunk: int, batch: int) -> Program:
        if batch == workload.tail:
            raise MemoryError
        return compile_training(workload, chunk, batch)

    monkeypatch.setattr(programs, "compile_training", fail)
    with pytest.raises(MemoryError):
        list(fit(LATE, TWO, stripes()))
