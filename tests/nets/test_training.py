"""What training promises: it learns, it repeats itself to the last bit, it counts every sample, it stops when told."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nets.architecture.architecture import Architecture
from nets.datasets import Dataset
from nets.datasets.input_statistics import input_statistics
from nets.errors import TrainingError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.kernels import Choice, plan_for
from nets.network import Network, initial_variables
from nets.training.cache import ProgramCache
from nets.training.clock import Clock
from nets.training.events import Compiled, EpochEnd, Event, Finished, Progress
from nets.training.fit import fit
from nets.training.metrics import EpochMetrics
from nets.training.sampling import draw
from tests.moved_clock import AheadClock
from tests.nets.builders import TINY_CNN, network, stripes

CNN = network(*TINY_CNN)
NORMED = network(
    {"type": "conv2d", "out_channels": 4, "kernel_size": 3},
    {"type": "batchnorm2d"},
    {"type": "relu"},
    {"type": "flatten"},
    {"type": "dropout", "p": 0.2},
    {"type": "linear", "out": 3},
)


PROGRAMS = ProgramCache()


def hyper(**fields: Any) -> Hyperparams:
    return parse_hyperparams({"epochs": 2, "batch_size": 8, "train_split": 0.8, **fields})


def trained(
    a: Architecture, h: Hyperparams, data: Dataset | None = None, programs: ProgramCache = PROGRAMS
) -> tuple[list[EpochMetrics], Finished]:
    events = list(fit(a, h, data or stripes(), programs=programs))
    finished = events[-1]
    assert isinstance(finished, Finished)
    return metrics_of(events), finished


def metrics_of(events: Iterable[Event]) -> list[EpochMetrics]:
    return [event for event in events if isinstance(event, EpochMetrics)]


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def untimed(metrics: list[EpochMetrics]) -> list[EpochMetrics]:
    return [replace(m, epoch_time=0, samples_per_sec=0, eta_seconds=0) for m in metrics]


@pytest.mark.parametrize("a", [CNN, NORMED], ids=["cnn", "normed"])
def test_it_overfits_eight_samples(a: Architecture) -> None:
    h = hyper(epochs=60, max_samples=10, optimizer={"type": "adam", "lr": 0.02})
    metrics, _ = trained(a, h)
    assert metrics[-1].train_loss < 0.1 < metrics[0].train_loss
    assert metrics[-1].train_accuracy == 1.0


def test_it_generalises_to_the_test_split() -> None:
    _, finished = trained(CNN, hyper(epochs=15, optimizer={"type": "adam", "lr": 0.02}))
    assert finished.test_accuracy > 0.9
    shown = finished.sample_predictions
    assert len(shown) == 8
    assert all(len(s.grid) == 8 and len(s.grid[0]) == 8 and 0 <= s.confidence <= 1 for s in shown)
    assert [s.label for s in shown] == stripes().test_labels[:8].tolist()
    assert sum(s.label == s.prediction for s in shown) >= 7


@pytest.mark.parametrize(
    ("a", "precision"),
    [
        pytest.param(CNN, "bfloat16", id="cnn-bfloat16"),
        pytest.param(NORMED, "float32", id="normed-float32"),
        pytest.param(CNN, "float32", id="cnn-float32", marks=pytest.mark.slow),
        pytest.param(NORMED, "bfloat16", id="normed-bfloat16", marks=pytest.mark.slow),
    ],
)
def test_same_seed_same_bits_other_seed_other_bits(a: Architecture, precision: str) -> None:
    one, two, other = (trained(a, hyper(seed=seed, precision=precision)) for seed in (7, 7, 8))
    assert untimed(one[0]) == untimed(two[0])
    assert same(one[1].variables, two[1].variables)
    assert one[1].test_loss == two[1].test_loss
    assert not same(one[1].variables, other[1].variables)


@pytest.mark.parametrize("kernels", ["products", pytest.param("xla", marks=pytest.mark.slow)])
def test_other_kernels_train_alike(kernels: Choice) -> None:
    """So that a doubt about one of them is settled: only the rounding differs, and grows from step to step."""
    h = hyper(optimizer={"type": "sgd", "lr": 0.01}, epochs=1)
    usual, [other] = trained(NORMED, h)[0], metrics_of(fit(NORMED, h, stripes(), programs=PROGRAMS, kernels=kernels))
    for name in ("train_loss", "val_loss"):
        assert getattr(other, name) == pytest.approx(getattr(usual[0], name), rel=1e-5)


def test_bfloat16_trains_as_well() -> None:
    h = {"epochs": 15, "optimizer": {"type": "adam", "lr": 0.02}}
    full, half = (trained(CNN, hyper(**h, precision=p))[1] for p in ("float32", "bfloat16"))
    assert half.test_accuracy == pytest.approx(full.test_accuracy, abs=0.07)
    assert not same(full.variables, half.variables)
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(half.variables))


def test_metrics_are_finite_and_in_order() -> None:
    metrics, finished = trained(CNN, hyper(epochs=3))
    assert [m.epoch for m in metrics] == [1, 2, 3]
    assert [m.progress for m in metrics] == pytest.approx([1 / 3, 2 / 3, 1])
    assert metrics[-1].eta_seconds == 0
    for m in metrics:
        assert m.metrics is None and all(math.isfinite(value) for name, value in vars(m).items() if name != "metrics")
        assert 0 <= m.train_accuracy <= 1 and 0 <= m.val_accuracy <= 1
        assert m.samples_per_sec > 0 and m.epoch_time > 0
    assert finished.compile_seconds >= 0 and finished.device.startswith("cpu: ")


def test_whoever_listens_takes_no_time_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every event is held on to for 1,000 s, the device done meanwhile; what is told of times is as if none had been."""
    clock, dispatched, sent = AheadClock(), Clock.dispatched, []
    monkeypatch.setattr("nets.training.clock.time", clock)

    def noted(self: Clock, result: Any, expected: float = 0.0) -> None:
        sent.append(result)
        dispatched(self, result, expected)

    monkeypatch.setattr(Clock, "dispatched", noted)
    metrics = []
    for event in fit(CNN, hyper(), stripes(), programs=PROGRAMS):
        if isinstance(event, EpochMetrics):
            metrics.append(event)
        jax.block_until_ready(sent[-1:])
        clock.now += 1000.0
    assert clock.now > 7000 and sent
    assert sum(m.epoch_time for m in metrics) < 500
    assert all(m.samples_per_sec > 48 / 500 for m in metrics)


def test_progress_goes_through_the_phases_and_never_back() -> None:
    seen = [event for event in fit(CNN, hyper(), stripes()) if isinstance(event, Progress)]
    fractions = [p.fraction for p in seen]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)
    phases = [p.phase for p in seen]
    assert list(dict.fromkeys(phases)) == ["loading", "compiling", "training", "evaluating"]
    assert {p.epoch for p in seen if p.phase == "training"} == {1, 2}


def test_progress_tells_loss_and_accuracy_of_the_epoch_under_way() -> None:
    """Those of the training samples seen so far, while it validates, too; nothing before the first of them."""
    seen = list(fit(CNN, hyper(), stripes(), programs=PROGRAMS))
    reports = [event for event in seen if isinstance(event, Progress)]
    assert {p.loss for p in reports if p.phase in ("loading", "compiling")} <= {None}
    for at in metrics_of(seen):
        told = [(p.loss, p.accuracy) for p in reports if p.epoch == at.epoch and p.phase in ("training", "evaluating")]
        assert told and all(math.isfinite(value) for pair in told if pair[0] is not None for value in pair)
        assert told[-1] == (pytest.approx(at.train_loss, rel=1e-12), at.train_accuracy)


@pytest.mark.slow
@pytest.mark.parametrize("a", [CNN, NORMED], ids=["cnn", "normed"])
def test_a_smaller_last_batch_counts_as_what_it_is(a: Architecture) -> None:
    """One epoch over 8 + 8 + 3 samples equals three hand-made steps on exactly those samples."""
    h = hyper(epochs=1, max_samples=24, shuffle=False, optimizer={"type": "sgd", "lr": 0.05})
    a = network(*[layer for layer in a.to_json()["layers"] if layer["type"] != "dropout"])
    data = stripes()
    _, finished = trained(a, h, data)
    split, plan = draw(h, 60), plan_for("cpu", training=False)
    assert len(split.train) == 19
    variables = initial_variables(a.graph, seed=h.seed, statistics=input_statistics(data.train_inputs[split.train]))
    step = optax.sgd(0.05)

    def loss(params: Any, stats: Any, rows: Any) -> Any:
        logits, changed = Network(a.graph, plan).apply(
            {"params": params, "batch_stats": stats}, data.train_inputs[rows], train=True, mutable=["batch_stats"]
        )
        labels = data.train_labels[rows]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), {**stats, **changed.get("batch_stats", {})}

    params, stats = variables["params"], variables["batch_stats"]
    opt_state = step.init(params)
    for at in (0, 8, 16):
        gradients, stats = jax.grad(loss, has_aux=True)(params, stats, split.train[at : at + 8])
        updates, opt_state = step.update(gradients, opt_state, params)
        params = optax.apply_updates(params, updates)
    ours, theirs = jax.tree.leaves(finished.variables), jax.tree.leaves({"batch_stats": stats, "params": params})
    assert all(np.allclose(x, y, atol=2e-5) for x, y in zip(ours, theirs, strict=True))


def test_a_batch_larger_than_the_data_is_one_batch() -> None:
    metrics, _ = trained(CNN, hyper(batch_size=5000))
    assert len(metrics) == 2


def test_how_a_pass_is_cut_into_chunks_changes_no_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    one = trained(CNN, hyper())
    monkeypatch.setattr("nets.training.pace.DISPATCH_SECONDS", 1e-9)  # one step per dispatch after the first
    two = trained(CNN, hyper())
    assert untimed(one[0]) == untimed(two[0])
    assert one[1].test_loss == two[1].test_loss and same(one[1].variables, two[1].variables)


def test_a_last_batch_of_one_sample_keeps_a_norm_finite() -> None:
    _, finished = trained(NORMED, hyper(max_samples=22, batch_size=8))  # 17 samples: 8, 8, 1
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(finished.variables))


def test_a_diverged_run_says_where_and_what_to_try() -> None:
    a = network({"type": "linear", "out": 32}, {"type": "linear", "out": 32}, {"type": "linear", "out": 3})
    h = hyper(epochs=50, optimizer={"type": "sgd", "lr": 1000})
    with pytest.raises(TrainingError, match=r"the loss was (nan|inf) in epoch \d+, step \d+; try a smaller learning"):
        list(fit(a, h, stripes()))


def test_other_numbers_compile_nothing_new() -> None:
    trained(NORMED, hyper(optimizer={"type": "sgd", "lr": 0.1, "momentum": 0.9}))
    before = len(PROGRAMS)
    softer = network(
        *[{**layer, **({"p": 0.4} if layer["type"] == "dropout" else {})} for layer in NORMED.to_json()["layers"]]
    )
    _, finished = trained(softer, hyper(seed=9, epochs=1, optimizer={"type": "sgd", "lr": 0.01, "momentum": 0.5}))
    assert before == len(PROGRAMS)
    assert finished.compile_seconds < 0.05


def test_closing_the_generator_stops_the_run() -> None:
    events = fit(CNN, hyper(epochs=1000), stripes(), programs=PROGRAMS)
    for event in events:
        if isinstance(event, Progress) and event.phase == "training":
            break
    events.close()  # type: ignore[attr-defined]
    assert next(events, None) is None


def test_every_hyperparameter_acts() -> None:
    base: dict[str, Any] = {"epochs": 1, "optimizer": {"type": "sgd", "lr": 0.05}}
    plain = trained(CNN, hyper(**base))[1].variables
    changes: list[dict[str, Any]] = [
        {"epochs": 2},
        {"batch_size": 16},
        {"optimizer": {"type": "sgd", "lr": 0.06}},
        {"optimizer": {"type": "sgd", "lr": 0.05, "momentum": 0.9}},
        {"optimizer": {"type": "sgd", "lr": 0.05, "weight_decay": 0.1}},
        {"optimizer": {"type": "adam", "lr": 0.05}},
        {"seed": 1},
        {"train_split": 0.5},
        {"shuffle": False},
        {"max_samples": 30},
        {"precision": "bfloat16"},
    ]
    for change in changes:
        assert not same(plain, trained(CNN, hyper(**{**base, **change}))[1].variables), change


def test_images_are_standardised_by_statistics_that_travel_with_the_weights() -> None:
    data = stripes(channels=3)
    a = network(*TINY_CNN, shape=(3, 8, 8))
    _, finished = trained(a, hyper(), data)
    seen = data.train_inputs[draw(hyper(), 60).train] / 255
    kept = finished.variables["batch_stats"]["input"]
    assert np.allclose(kept["mean"], seen.mean((0, 1, 2)), atol=1e-6)
    assert np.allclose(kept["std"], seen.std((0, 1, 2)), atol=1e-6)
    assert input_statistics(np.full((2, 8, 8, 1), 7, np.uint8))["std"] == np.float32(1 / 255)


def test_colour_images_train() -> None:
    a = network(*TINY_CNN, shape=(3, 8, 8))
    _, finished = trained(a, hyper(), stripes(channels=3))
    assert len(finished.sample_predictions[0].grid) == 8
    assert jnp.isfinite(finished.test_loss)


@pytest.mark.parametrize(
    "layers",
    [
        [{"type": "maxpool2d", "kernel_size": 8}, {"type": "batchnorm2d"}],
        pytest.param(
            [{"type": "maxpool2d", "kernel_size": [4, 8]}, {"type": "batchnorm2d"}, {"type": "relu"}],
            marks=pytest.mark.slow,
        ),
        [{"type": "maxpool2d", "kernel_size": [8, 4]}, {"type": "residual_block", "out_channels": 3}],
        pytest.param(
            [{"type": "maxpool2d", "kernel_size": 8}, {"type": "residual_block", "out_channels": 3}],
            marks=pytest.mark.slow,
        ),
        [{"type": "conv2d", "out_channels": 2, "kernel_size": 3, "stride": 64, "padding": "same"}, {"type": "relu"}],
        pytest.param(
            [{"type": "conv2d", "out_channels": 2, "kernel_size": 3, "stride": 30, "padding": 30}],
            marks=pytest.mark.slow,
        ),
        pytest.param([{"type": "maxpool2d", "kernel_size": 8, "stride": 1, "padding": "same"}], marks=pytest.mark.slow),
    ],
    ids=lambda layers: "-".join(layer["type"] for layer in layers),
)
def test_networks_at_the_edge_train(layers: list[dict[str, Any]]) -> None:
    metrics, finished = trained(network(*layers, {"type": "linear", "out": 3}), hyper(epochs=1))
    assert len(metrics) == 1 and np.isfinite(finished.test_loss)


def test_a_step_too_long_for_one_dispatch_is_several_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    data, h = stripes(1200), hyper(batch_size=500, max_samples=None)
    dropping = network(*TINY_CNN[:-2], {"type": "dropout", "p": 0.3}, *TINY_CNN[-2:])
    whole = trained(dropping, h, data)
    monkeypatch.setattr(
        "nets.training.steps.samples_at_most", lambda network: 128
    )  # more than a part of 64, less than a batch
    programs = ProgramCache()
    training = [
        e for e in fit(dropping, h, data, programs=programs) if isinstance(e, Progress) and e.phase == "training"
    ]
    cut = trained(dropping, h, data, programs)
    assert untimed(whole[0]) == untimed(cut[0]) and same(whole[1].variables, cut[1].variables)
    assert len(training) > 2 * len(whole[0]), "a run can be stopped within a batch"
    assert training[0].loss is None and training[-1].loss == pytest.approx(cut[0][-1].train_loss, rel=1e-12)


def test_a_run_tells_of_its_programs_and_times() -> None:
    a, h, programs = network({"type": "linear", "out": 3}), hyper(epochs=3), ProgramCache()
    events = list(fit(a, h, stripes(), programs=programs))
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.compilation and finished.timing
    assert [event.compilation for event in events if isinstance(event, Compiled)] == [finished.compilation]
    assert finished.compilation["process"]["count"] == 0 and finished.compilation["seconds"] == finished.compile_seconds
    assert finished.timing["first_epochs"] == [1] and finished.timing["median_epoch_seconds"]
    assert finished.timing["step_seconds"] and finished.timing["step_seconds"]["steps"] > 0
    snapshot = next(event for event in fit(a, h, stripes(), programs=programs) if isinstance(event, EpochEnd)).take()
    resumed = list(fit(a, h, stripes(), programs=programs, resume=snapshot))[-1]
    assert isinstance(resumed, Finished) and resumed.compilation and resumed.timing
    assert resumed.compilation["kind"] == "process" and resumed.timing["first_epochs"] == [2]
