"""Rules that end runs: when, what they tell, what is kept, and what they remember."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nets.errors import SpecError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.stopping import EarlyStopping
from nets.stopping.early_stopping import Patience
from nets.training import fit as module
from nets.training.cache import ProgramCache
from nets.training.events import EpochEnd, Finished, Log, Progress
from nets.training.metrics import EpochMetrics
from nets.training.snapshot import load_snapshot, save_snapshot
from tests.nets.builders import network, stripes

NET = network({"type": "linear", "out": 3})
NORMED = network({"type": "flatten"}, {"type": "batchnorm1d"}, {"type": "linear", "out": 3})
DATA = stripes()  # 54 samples to train on: 8 steps an epoch, the last one of 5 samples
fit = partial(module.fit, programs=ProgramCache())


def hyper(**fields: Any) -> Hyperparams:
    return parse_hyperparams({"epochs": 6, "batch_size": 7, **fields})


def run(h: Hyperparams, a: Any = NET, **options: Any) -> tuple[list[EpochMetrics], Finished, list[Any]]:
    events = list(fit(a, h, DATA, **options))
    assert isinstance(events[-1], Finished)
    return [each for each in events if isinstance(each, EpochMetrics)], events[-1], events


def stopped(h: Hyperparams, a: Any = NET) -> tuple[Any, list[EpochMetrics]]:
    metrics, finished, _ = run(h, a)
    return finished.stopped_by, metrics


def after(*values: float, **fields: Any) -> tuple[int | None, Patience]:
    """After how many epochs a rule ends a run with these values, if it does."""
    rule = Patience(EarlyStopping(**fields), "maximize" if fields.get("goal") == "maximize" else "minimize")
    for epoch, value in enumerate(values, 1):
        rule.see({"val_loss": value, "epoch": epoch})
        if rule.end:
            return epoch, rule
    return None, rule


def test_patience_is_that_of_keras() -> None:
    """Its `EarlyStopping`: as many epochs in a row without a better value as `patience` says."""
    assert after(3, 2, 2, 2, patience=2)[0] == 4
    assert after(3, 2, 2.5, 1, 1.5, patience=2)[0] is None
    assert after(3, 4, patience=1)[0] == 2
    epoch, rule = after(3, 2.95, 2.89, 2.85, min_delta=0.1, patience=2)
    assert (epoch, rule.best, rule.best_epoch, rule.bad) == (None, 2.89, 3, 1)
    assert after(0.5, 0.6, 0.55, 0.6, patience=2, goal="maximize")[0] == 4
    assert after(3, float("nan"), float("inf"), patience=2)[0] == 3  # no better values, and no errors


def test_a_run_that_no_longer_gets_better_ends_with_its_best_epoch() -> None:
    noise = replace(DATA, train_labels=np.random.default_rng(0).permutation(DATA.train_labels))
    h = hyper(epochs=40, early_stopping={"patience": 3}, optimizer={"type": "adam", "lr": 0.05})
    events = list(fit(NET, h, noise))
    metrics, finished = [each for each in events if isinstance(each, EpochMetrics)], events[-1]
    best = min(metrics, key=lambda each: each.val_loss).epoch
    assert len(metrics) == best + 3 < 40 and finished.best_epoch == best
    assert (finished.stopped_by["rule"], finished.stopped_by["epoch"]) == ("early_stopping", best + 3)
    assert (metrics[-1].progress, metrics[-1].eta_seconds) == (1.0, 0.0)
    assert [each for each in events if isinstance(each, Progress)][-1].fraction == pytest.approx(1)
    (log,) = (each for each in events if isinstance(each, Log))
    assert "ended by early_stopping: val_loss has not been better than" in log.message and "for 3 epochs" in log.message
    last = list(fit(NET, h.model_copy(update={"early_stopping": EarlyStopping(patience=3, restore_best=False)}), noise))
    assert last[-1].best_epoch is None and last[-1].test_loss != finished.test_loss


def test_the_best_epoch_is_kept_by_its_metric_also_where_training_runs_to_its_end() -> None:
    metrics, finished, _ = run(hyper(early_stopping={"metric": "val_accuracy", "patience": 50}))
    assert finished.stopped_by is None
    assert finished.best_epoch == max(metrics, key=lambda each: each.val_accuracy).epoch < 6


def test_a_target_ends_a_run_and_tells_when_it_was_reached() -> None:
    metrics, finished, _ = run(hyper(target={"metric": "val_loss", "value": 0.01}))
    epoch = next(each.epoch for each in metrics if each.val_loss <= 0.01)
    assert finished.stopped_by and finished.stopped_by["rule"] == "target" and len(metrics) == epoch < 6
    assert finished.target_reached and finished.target_reached["epoch"] == epoch
    assert finished.target_reached["seconds"] == pytest.approx(sum(each.epoch_time for each in metrics))
    whole, told, _ = run(hyper(target={"metric": "val_loss", "value": 0.01, "stop": False}))
    assert len(whole) == 6 and told.stopped_by is None
    assert told.target_reached and told.target_reached["epoch"] == epoch
    assert run(hyper(target={"value": 1.0, "metric": "val_loss", "goal": "max"}))[1].target_reached is None


@pytest.mark.parametrize(
    ("a", "most", "epoch", "whole"),
    [(NET, 3, 1, False), (NET, 8, 1, True), (NORMED, 12, 2, False), (NET, 47, 6, False)],
)
def test_steps_are_counted_exactly(a: Any, most: int, epoch: int, whole: bool) -> None:
    found, metrics = stopped(hyper(max_steps=most), a)
    assert [found[name] for name in ("rule", "epoch", "step", "whole")] == ["max_steps", epoch, most, whole]
    assert metrics[-1].progress == 1.0 and len(metrics) == epoch


def test_as_many_steps_as_all_epochs_have_end_nothing() -> None:
    assert stopped(hyper(max_steps=48))[0] is None and stopped(hyper(max_steps=900))[0] is None


def test_time_ends_a_run_within_a_chunk() -> None:
    found, metrics = stopped(hyper(epochs=100_000, max_seconds=0.3))
    assert found["rule"] == "max_seconds" and 0.3 <= found["seconds"] < 2
    assert len(metrics) == found["epoch"] < 100_000
    assert metrics[-2].progress == pytest.approx(0.3, abs=0.7) and metrics[-2].eta_seconds < 0.3


def test_a_rule_remembers_what_it_saw(tmp_path: Path) -> None:
    """A run that goes on ends where one does that was never stopped, also after it has been ended."""
    h, path = hyper(epochs=9, early_stopping={"patience": 3, "min_delta": 5}), tmp_path / "state"
    whole, _, _ = run(h)
    for epoch in (2, 4):
        for event in fit(NET, h, DATA):
            if isinstance(event, EpochEnd) and event.epoch == epoch:
                save_snapshot(path, event.take())
        metrics, finished, _ = run(h, resume=load_snapshot(path, NET, h))
        assert [each.val_loss for each in metrics] == [each.val_loss for each in whole[epoch:]]
        assert finished.stopped_by and finished.stopped_by["epoch"] == 4
    longer = hyper(epochs=9, early_stopping={"patience": 5, "min_delta": 5})
    assert len(run(longer, resume=load_snapshot(path, NET, longer))[0]) == 2
    other = hyper(epochs=9, early_stopping={"patience": 3, "metric": "train_accuracy", "min_delta": 5})
    assert len(run(other, resume=load_snapshot(path, NET, other))[0]) == 4
    limited = hyper(epochs=9, max_steps=20)
    assert run(limited, resume=load_snapshot(path, NET, limited))[0] == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"early_stopping": 5}, 'hyperparams.early_stopping: must be an object such as {"patience": 5}, got 5'),
        ({"early_stopping": {"patience": 0}}, "hyperparams.early_stopping.patience: must be at least 1, got 0"),
        ({"early_stopping": {"metric": "val_acc"}}, "Did you mean 'val_accuracy'?"),
        ({"early_stopping": {"metric": "f1"}}, 'Ask for it with metrics: ["f1"].'),
        ({"early_stopping": {"goal": "best"}}, "must be 'minimize' or 'maximize', got \"best\""),
        ({"early_stopping": {"patients": 3}}, "early_stopping.patients: is not a field of early_stopping"),
        ({"target": {"metric": "val_loss"}}, "hyperparams.target.value: is required by target"),
        ({"target": {"value": 99}}, "must be a share from 0 to 1, as val_accuracy is, got 99.0; send 0.99 for 99 %"),
        ({"target": {"metric": "test_accuracy", "value": 0.9}}, "The test is measured once, when training has ended"),
        ({"max_seconds": 0}, "hyperparams.max_seconds: must be greater than 0, got 0"),
        ({"max_steps": 0.5}, "hyperparams.max_steps: must be a whole number, got 0.5"),
    ],
)
def test_a_broken_rule_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        hyper(**fields)
    assert any(message in str(problem) for problem in caught.value.problems), caught.value.problems


def test_metrics_of_the_run_are_looked_at() -> None:
    h = hyper(
        metrics=["f1", "ece"],
        early_stopping={"metric": "f1"},
        target={"metric": "val_expected_calibration_error", "value": 0.0},
    )
    assert h.early_stopping and h.early_stopping.metric == "val_f1"
    assert (h.kept_by, h.goal_of("val_expected_calibration_error")) == (("val_f1", "maximize"), "minimize")
    metrics, finished, _ = run(hyper(metrics=["f1"], early_stopping={"metric": "f1", "patience": 9}))
    best = max(metrics, key=lambda each: (each.metrics or {})["f1"])
    assert finished.best_epoch == best.epoch
    metrics, finished, _ = run(hyper(metrics=["f1"], target={"metric": "f1", "value": 0.5}))
    assert finished.target_reached and finished.target_reached["metric"] == "val_f1" and len(metrics) == 1


def test_names_of_others_are_taken() -> None:
    part = hyper(early_stopping={"monitor": "val_accuracy", "mode": "max", "restore_best_weights": True}).early_stopping
    assert part == EarlyStopping(metric="val_accuracy", goal="maximize")
