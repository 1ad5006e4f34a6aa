"""Averages of weights: as PyTorch takes them, and in runs that are kept, stopped and continued."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.averages import Ema, swa
from nets.averages.average import RunningAverage, nothing
from nets.errors import SpecError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.training import fit as module
from nets.training.cache import ProgramCache
from nets.training.events import EpochEnd, Finished
from nets.training.metrics import EpochMetrics
from nets.training.snapshot import load_snapshot, save_snapshot
from nets.training.workload import workload_of
from tests.nets.builders import network, stripes

NET = network({"type": "linear", "out": 3})
fit = partial(module.fit, programs=ProgramCache())

# Two weights and a running mean after each of five steps; what PyTorch 2.13 makes of them: `AveragedModel` with
# `get_ema_multi_avg_fn(0.9)` and `use_buffers`, and without a function, as for SWA.
STEPS = [[0.5 * k * k - 1, 2 / (k + 1), 0.1 * k * k] for k in range(5)]
EMA = [
    [-1, 2, 0],
    [-0.95, 1.9, 0.01],
    [-0.755, 1.7766666, 0.049],
    [-0.3295, 1.6489999, 0.1341],
    [0.40345, 1.5241, 0.28069],
]
SWA = [[-1, 2, 0], [-0.75, 1.5, 0.05], [-1 / 6, 1.2222222, 1 / 6], [0.75, 1.0416666, 0.35], [2, 0.9133333, 0.6]]


def numbers(ema: Ema) -> dict[str, Any]:
    return {name: jnp.float32(value) for name, value in ema.numbers().items()}


def averages(ema: Ema) -> list[RunningAverage]:
    """After each of the steps."""
    average, found = nothing(jnp.zeros(3)), []
    for step, weights in enumerate(STEPS):
        average = ema.after(average, jnp.float32(weights), jnp.int32(step), numbers(ema))
        found.append(average)
    return found


def test_the_moving_average_is_that_of_pytorch() -> None:
    found = averages(Ema(decay=0.9))
    assert np.allclose([each.values for each in found], EMA, atol=1e-6)
    assert [int(each.seen) for each in found] == [1, 2, 3, 4, 5]


def test_the_mean_over_epochs_is_that_of_pytorch() -> None:
    average = nothing(jnp.zeros(3))
    for weights, expected in zip(STEPS, SWA, strict=True):
        average = swa.after(average, jnp.float32(weights))
        assert np.allclose(average.values, expected, atol=1e-6)


def test_an_average_of_every_other_step_sees_no_others() -> None:
    found = averages(Ema(decay=0.5, every_steps=2))
    assert [int(each.seen) for each in found] == [0, 1, 1, 2, 2]
    assert np.allclose(found[-1].values, np.add(STEPS[1], STEPS[3]) / 2)


def test_a_warm_up_forgets_the_first_weights_soon() -> None:
    second = averages(Ema(decay=0.999, warmup=True))[1].values
    assert np.allclose(second, 2 / 11 * np.float32(STEPS[0]) + 9 / 11 * np.float32(STEPS[1]))


def hyper(**fields: Any) -> Hyperparams:
    return parse_hyperparams({"epochs": 4, "batch_size": 9, **fields})


def run(h: Hyperparams, path: Path | None = None, **options: Any) -> tuple[list[EpochMetrics], Finished]:
    """Metrics and results; with a path the state after the second epoch is saved there."""
    metrics = []
    for event in fit(NET, h, stripes(), **options):
        if isinstance(event, EpochEnd) and path and event.epoch == 2:
            save_snapshot(path, event.take())
        if isinstance(event, EpochMetrics):
            metrics.append(event)
    assert isinstance(event, Finished)
    return metrics, event


def losses(metrics: list[EpochMetrics]) -> list[tuple[float, float]]:
    return [(each.train_loss, each.val_loss) for each in metrics]


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_averaged_weights_are_evaluated_and_saved_and_training_goes_on_with_the_others() -> None:
    plain, ema = run(hyper()), run(hyper(ema={"decay": 0.9}))
    assert [each.train_loss for each in ema[0]] == [each.train_loss for each in plain[0]]
    assert all(a.val_loss != b.val_loss for a, b in zip(plain[0], ema[0], strict=True))
    assert not same(plain[1].variables, ema[1].variables) and ema[1].test_loss != plain[1].test_loss
    beside = run(hyper(ema={"decay": 0.9, "evaluate": False}))
    assert losses(beside[0]) == losses(plain[0]) and same(beside[1].variables, plain[1].variables)


def test_the_mean_over_epochs_is_evaluated_from_its_first_epoch_on() -> None:
    plain, swa_, ends = run(hyper()), run(hyper(swa={"from_epoch": 3})), []
    assert losses(swa_[0])[:3] == losses(plain[0])[:3] and swa_[0][3].val_loss != plain[0][3].val_loss
    for event in fit(NET, hyper(), stripes()):
        if isinstance(event, EpochEnd):
            ends.append(event.take().variables)
    mean = jax.tree.map(lambda a, b: (a + b) / 2, ends[2], ends[3])
    assert all(
        np.allclose(a, b, atol=1e-6)
        for a, b in zip(jax.tree.leaves(mean), jax.tree.leaves(swa_[1].variables), strict=True)
    )


def test_the_best_epoch_of_averages_is_kept(tmp_path: Path) -> None:
    h, ends = hyper(ema={"decay": 0.8}, optimizer={"type": "sgd", "lr": 30}, keep_best=True), {}
    for event in fit(NET, h, stripes()):
        if isinstance(event, EpochEnd):
            ends[event.epoch] = event.take()
    assert isinstance(event, Finished) and event.best_epoch
    assert same(event.variables, ends[event.best_epoch].variables)
    assert same(event.variables, ends[event.best_epoch].state.averages["ema"].values)


def test_another_decay_compiles_nothing() -> None:
    one, other, plain = (
        workload_of(NET, hyper(**fields), train=50, samples=60)
        for fields in ({"ema": {}}, {"ema": {"decay": 0.55, "every_steps": 3, "evaluate": False}}, {})
    )
    assert one == other != plain


def test_a_run_with_averages_goes_on_to_the_bit(tmp_path: Path) -> None:
    h, path = hyper(ema={"decay": 0.9, "every_steps": 4, "warmup": True}, swa={"from_epoch": 2}), tmp_path / "state"
    whole, finished = run(h, path)
    metrics, again = run(h, resume=load_snapshot(path, NET, h))
    assert losses(metrics) == losses(whole)[2:] and same(again.variables, finished.variables)


def test_a_run_that_goes_on_may_begin_an_average_or_leave_it(tmp_path: Path) -> None:
    path, plain, with_ema = tmp_path / "state", hyper(), hyper(ema={"decay": 0.9})
    whole, _ = run(plain, path)
    begun = load_snapshot(path, NET, hyper(swa={"from_epoch": 1}))
    assert begun.state.averages["swa"].seen == 0
    assert losses(run(hyper(swa={"from_epoch": 1}), resume=begun)[0])[0] == losses(whole)[2]  # the mean of one
    run(with_ema, path)
    left = load_snapshot(path, NET, plain)
    assert left.state.averages == {} and losses(run(plain, resume=left)[0]) == losses(whole)[2:]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ema": 0.9}, 'hyperparams.ema: must be an object such as {"decay": 0.999}, got 0.9'),
        ({"ema": {"decay": 1}}, "hyperparams.ema.decay: must be less than 1, got 1"),
        ({"ema": {"momentum": 0.9}}, "hyperparams.ema.momentum: is not a field of ema"),
        ({"swa": {}}, "hyperparams.swa.from_epoch: is required by swa"),
        ({"swa": {"swa_start": 9}}, "hyperparams.swa.swa_start: must be at most 4, the number of epochs, got 9"),
    ],
)
def test_a_broken_rule_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        hyper(**fields)
    assert any(message in str(problem) for problem in caught.value.problems)
