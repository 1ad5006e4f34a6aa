"""What training promises: it learns, it repeats itself to the last bit, it counts every sample, it stops when told."""

from __future__ import annotations

import itertools
import math
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nets.architecture.read import Architecture
from nets.datasets import Dataset
from nets.errors import SpecError, TrainingError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.kernels import plan_for
from nets.network import Network, initial_variables, input_statistics
from nets.training.check import check_pace
from nets.training.clock import Clock
from nets.training.events import EpochMetrics, Finished, Progress
from nets.training.fit import Pace, fit, grey
from nets.training.pace import BACKWARD, LONGEST_PART, LONGEST_STEP, even_part, image_seconds
from nets.training.programs import CACHE, numbers, recipe
from nets.training.sampling import batches, draw, epoch_order, split_sizes
from nets.training.steps import Data, Inputs
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


def hyper(**fields: Any) -> Hyperparams:
    return parse_hyperparams({"epochs": 2, "batch_size": 8, "train_split": 0.8, **fields})


def trained(a: Architecture, h: Hyperparams, data: Dataset | None = None) -> tuple[list[EpochMetrics], Finished]:
    events = list(fit(a, h, data or stripes()))
    finished = events[-1]
    assert isinstance(finished, Finished)
    return [event for event in events if isinstance(event, EpochMetrics)], finished


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


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("a", [CNN, NORMED], ids=["cnn", "normed"])
def test_same_seed_same_bits_other_seed_other_bits(a: Architecture, precision: str) -> None:
    one, two, other = (trained(a, hyper(seed=seed, precision=precision)) for seed in (7, 7, 8))
    assert untimed(one[0]) == untimed(two[0])
    assert same(one[1].variables, two[1].variables)
    assert one[1].test_loss == two[1].test_loss
    assert not same(one[1].variables, other[1].variables)


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
        assert all(math.isfinite(value) for value in vars(m).values())
        assert 0 <= m.train_accuracy <= 1 and 0 <= m.val_accuracy <= 1
        assert m.samples_per_sec > 0 and m.epoch_time > 0
    assert finished.compile_seconds >= 0 and finished.device.startswith("cpu: ")


def test_whoever_listens_takes_no_time_of_the_run() -> None:
    """Every event is held on to; what is told of times and paces is as if none had been."""
    list(fit(CNN, hyper(), stripes()))  # compiled
    metrics, held = [], 0.0
    for event in fit(CNN, hyper(), stripes()):
        if isinstance(event, EpochMetrics):
            metrics.append(event)
        time.sleep(0.1)
        held += 0.1
    assert held > 0.7
    assert sum(m.epoch_time for m in metrics) < 0.2 * held
    assert all(m.samples_per_sec > 48 / 0.1 for m in metrics)


def test_dispatches_stay_long_for_a_slow_listener() -> None:
    """The time that a listener takes does not pass for that of the steps before it."""
    clock, pace = Clock(lambda result: True), Pace(4)
    began = clock.now()
    for _ in clock.around(iter("ab")):
        time.sleep(0.05)
    pace.timed(4, clock.now() - began)
    assert pace.steps == 8


def test_what_the_device_does_while_somebody_listens_counts() -> None:
    done = False
    clock = Clock(lambda result: done)
    clock.dispatched("a chunk", expected=0.04)
    began = clock.now()
    heard = clock.around(iter("abc"))
    next(heard)
    time.sleep(0.05)
    next(heard)
    assert clock.now() - began >= 0.05, "the device was at work all the time"
    began, done = clock.now(), True
    time.sleep(0.2)
    next(heard)
    assert 0.04 <= clock.now() - began < 0.15, "it was done in between: about as soon as was expected"


def test_progress_goes_through_the_phases_and_never_back() -> None:
    CACHE.clear()
    seen = [event for event in fit(CNN, hyper(), stripes()) if isinstance(event, Progress)]
    fractions = [p.fraction for p in seen]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)
    phases = [p.phase for p in seen]
    assert list(dict.fromkeys(phases)) == ["loading", "compiling", "training", "evaluating"]
    assert {p.epoch for p in seen if p.phase == "training"} == {1, 2}


@pytest.mark.parametrize("a", [CNN, NORMED], ids=["cnn", "normed"])
def test_a_smaller_last_batch_counts_as_what_it_is(a: Architecture) -> None:
    """One epoch over 8 + 8 + 3 samples equals three hand-made steps on exactly those samples."""
    h = hyper(epochs=1, max_samples=24, shuffle=False, optimizer={"type": "sgd", "lr": 0.05})
    a = network(*[layer.to_json() for layer in a.layers if layer.type != "dropout"])
    data = stripes()
    _, finished = trained(a, h, data)
    split, plan = draw(h, 60), plan_for("cpu", training=False)
    assert len(split.train) == 19
    variables = initial_variables(a, seed=h.seed, images=data.train_images[split.train])
    step = optax.sgd(0.05)

    def loss(params: Any, stats: Any, rows: Any) -> Any:
        logits, changed = Network(a, plan).apply(
            {"params": params, "batch_stats": stats}, data.train_images[rows], train=True, mutable=["batch_stats"]
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


DENSE = network({"type": "linear", "out": 16}, {"type": "relu"}, {"type": "linear", "out": 3})


@pytest.mark.parametrize(
    ("architecture", "part", "batch"), [(CNN, 64, 130), (DENSE, 512, 1030)], ids=["images", "dense"]
)
def test_a_batch_computed_in_parts_is_the_same_step(architecture: Architecture, part: int, batch: int) -> None:
    """Large batches are cut up where no norm looks across them: one step, whole and in parts."""
    data = stripes(2000)
    h = hyper(epochs=1, batch_size=batch, max_samples=None, train_split=0.65)
    program = recipe(architecture, h, train=batch, samples=2100).steps
    plans = (plan_for("cpu", training=False), program.network.plan)
    assert program.part(batch) < batch
    assert [plan.micro_batch(architecture.layers) for plan in plans] == [None, part]
    inputs = Inputs({}, numbers(h.optimizer), jax.random.key(0))
    on_device = Data(jnp.asarray(data.train_images), jnp.asarray(data.train_labels))
    rows = jnp.arange(batch).at[-3:].set(-1)
    results = []
    for plan in plans:
        steps = replace(program, network=Network(architecture.structure, plan))
        state = steps.initial_state(initial_variables(architecture, seed=0), inputs.optimizer)
        results.append(jax.jit(steps.train_batch)(state, on_device, rows, inputs))
    for whole, parts in zip(jax.tree.leaves(results[0]), jax.tree.leaves(results[1]), strict=True):
        assert np.allclose(whole, parts, atol=1e-5)


def test_how_a_pass_is_cut_into_chunks_changes_no_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    one = trained(CNN, hyper())
    monkeypatch.setattr("nets.training.fit.DISPATCH_SECONDS", 1e-9)  # one step per dispatch after the first
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
    before = dict(CACHE)
    softer = network(
        *[{**layer.to_json(), **({"p": 0.4} if layer.type == "dropout" else {})} for layer in NORMED.layers]
    )
    _, finished = trained(softer, hyper(seed=9, epochs=1, optimizer={"type": "sgd", "lr": 0.01, "momentum": 0.5}))
    assert before == CACHE
    assert finished.compile_seconds < 0.05


def test_closing_the_generator_stops_the_run() -> None:
    events = fit(CNN, hyper(epochs=1000), stripes())
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


def test_the_split_is_disjoint_and_a_function_of_the_seed() -> None:
    h = hyper(max_samples=50)
    split = draw(h, 60)
    assert (len(split.train), len(split.validation)) == split_sizes(h, 60) == (40, 10)
    assert len(set(split.train) | set(split.validation)) == 50
    assert same(draw(h, 60).train, split.train)
    assert not same(draw(hyper(max_samples=50, seed=1), 60).train, split.train)
    assert split_sizes(hyper(max_samples=None), 60) == (48, 12)
    assert split_sizes(hyper(max_samples=1000), 60) == (48, 12)


def test_the_order_changes_every_epoch_unless_told_not_to() -> None:
    h = hyper()
    assert not same(epoch_order(h, 40, epoch=1), epoch_order(h, 40, epoch=2))
    assert sorted(epoch_order(h, 40, epoch=1)) == list(range(40))
    assert epoch_order(hyper(shuffle=False), 4, epoch=3).tolist() == [0, 1, 2, 3]
    assert batches(np.arange(5), 2).tolist() == [[0, 1], [2, 3], [4, -1]]


def test_images_are_standardised_by_statistics_that_travel_with_the_weights() -> None:
    data = stripes(channels=3)
    a = network(*TINY_CNN, shape=(3, 8, 8))
    _, finished = trained(a, hyper(), data)
    seen = data.train_images[draw(hyper(), 60).train] / 255
    kept = finished.variables["batch_stats"]["input"]
    assert np.allclose(kept["mean"], seen.mean((0, 1, 2)), atol=1e-6)
    assert np.allclose(kept["std"], seen.std((0, 1, 2)), atol=1e-6)
    assert input_statistics(network(*TINY_CNN), np.full((2, 8, 8, 1), 7, np.uint8))["std"] == np.float32(1 / 255)


def test_colours_become_grey() -> None:
    image = np.array([[[255, 255, 255], [255, 0, 0]]], np.uint8)
    assert grey(image).tolist() == [[255, 76]]


def test_colour_images_train() -> None:
    a = network(*TINY_CNN, shape=(3, 8, 8))
    _, finished = trained(a, hyper(), stripes(channels=3))
    assert len(finished.sample_predictions[0].grid) == 8
    assert jnp.isfinite(finished.test_loss)


@pytest.mark.parametrize(
    "layers",
    [
        [{"type": "maxpool2d", "kernel_size": 8}, {"type": "batchnorm2d"}],
        [{"type": "maxpool2d", "kernel_size": [4, 8]}, {"type": "batchnorm2d"}, {"type": "relu"}],
        [{"type": "maxpool2d", "kernel_size": [8, 4]}, {"type": "residual_block", "out_channels": 3}],
        [{"type": "maxpool2d", "kernel_size": 8}, {"type": "residual_block", "out_channels": 3}],
        [{"type": "conv2d", "out_channels": 2, "kernel_size": 3, "stride": 64, "padding": "same"}, {"type": "relu"}],
        [{"type": "conv2d", "out_channels": 2, "kernel_size": 3, "stride": 30, "padding": 30}],
        [{"type": "maxpool2d", "kernel_size": 8, "stride": 1, "padding": "same"}],
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
        "nets.training.steps.images_at_most", lambda network: 128
    )  # more than a part of 64, less than a batch
    monkeypatch.setattr("nets.training.programs.CACHE", OrderedDict())
    training = [e for e in fit(dropping, h, data) if isinstance(e, Progress) and e.phase == "training"]
    cut = trained(dropping, h, data)
    assert untimed(whole[0]) == untimed(cut[0]) and same(whole[1].variables, cut[1].variables)
    assert len(training) > 2 * len(whole[0]), "a run can be stopped within a batch"


def test_parts_of_a_long_step_hold_few_rows_that_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for batch, most in itertools.product((5, 17, 64, 65, 100, 1000), (1, 2, 8, 16, 48, 240)):
        part = even_part(batch, most)
        assert 1 <= part <= most and -(-batch // part) <= -(-batch // most)
        assert -(-batch // part) * (part - 16) < batch
    # 64 images: two parts of 32, and not 48 with 16; the last batch, of 16 images, is one part, and not two.
    monkeypatch.setattr("nets.training.steps.images_at_most", lambda network: 48)
    monkeypatch.setattr("nets.training.programs.CACHE", OrderedDict())
    for module in ("nets.training.fit", "nets.training.programs"):
        monkeypatch.setattr(f"{module}.DISPATCH_SECONDS", 1e-9)  # a part in each dispatch
    h = hyper(batch_size=64, epochs=1, max_samples=None, train_split=0.8)
    training = [
        e for e in fit(network(*TINY_CNN), h, stripes(100)) if isinstance(e, Progress) and e.phase == "training"
    ]
    assert len(training) == 2 + 1 + 1, "and once more at the end"


def test_no_dispatch_of_a_heavy_network_is_estimated_to_take_long() -> None:
    heavy = network(
        *[{"type": "conv2d", "out_channels": 256, "kernel_size": 3, "padding": "same"}] * 3,
        {"type": "linear", "out": 10},
        shape=(1, 28, 28),
    )
    for batch in (64, 65_536):
        r = recipe(heavy, hyper(batch_size=batch, max_samples=None), train=54_000, samples=70_000)
        each = image_seconds(r.steps.network)
        assert r.cut and r.part < 64 and r.part * each < LONGEST_PART
        assert r.evaluation_batch * r.first_evaluation() * each / BACKWARD < LONGEST_PART


def test_a_long_step_that_cannot_be_cut_is_refused_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nets.training.check.cores", lambda: 2)
    info = replace(stripes().info, shape=(28, 28, 1), train_size=60_000)
    conv = {"type": "conv2d", "out_channels": 256, "kernel_size": 3, "padding": "same"}
    normed = network(conv, conv, {"type": "batchnorm2d"}, {"type": "linear", "out": 3}, shape=(1, 28, 28))
    h = hyper(batch_size=65_536, max_samples=None)
    with pytest.raises(
        SpecError,
        match=r"batch_size: must be at most \d+ for this network, got 65536: a step of 48000 images takes about \d+",
    ):
        check_pace(normed, h, info)
    most = int(LONGEST_STEP / image_seconds(recipe(normed, h, train=48_000, samples=70_000).steps.network))
    check_pace(normed, hyper(batch_size=most, max_samples=None), info)
    # Measured: 1.3 s on two cores.
    usual = network(
        {**conv, "out_channels": 64},
        {"type": "maxpool2d", "kernel_size": 2},
        *[conv, {"type": "batchnorm2d"}, {"type": "relu"}] * 2,
        {"type": "linear", "out": 3},
        shape=(1, 28, 28),
    )
    check_pace(usual, hyper(batch_size=512, max_samples=None), info)
    taps = {"type": "conv2d", "out_channels": 32, "kernel_size": 15, "groups": 32, "padding": "same"}
    tall = network(
        {**conv, "out_channels": 32, "kernel_size": 1},
        taps,
        {"type": "batchnorm2d"},
        {"type": "linear", "out": 3},
        shape=(1, 28, 28),
    )
    with pytest.raises(SpecError, match="must be at most"):  # 3.5 s for 800, although its products are few
        check_pace(tall, hyper(batch_size=800, max_samples=None), info)
    with monkeypatch.context() as larger:
        larger.setattr("nets.training.check.cores", lambda: 4)
        check_pace(tall, hyper(batch_size=800, max_samples=None), info)
    wide = network(
        {**conv, "out_channels": 4000},
        {**conv, "out_channels": 4000, "kernel_size": 9},
        {"type": "linear", "out": 3},
        shape=(1, 28, 28),
    )
    with pytest.raises(SpecError, match=r"layers: one image takes about \d+\.\d s forward and back"):
        check_pace(wide, hyper(batch_size=1), info)
