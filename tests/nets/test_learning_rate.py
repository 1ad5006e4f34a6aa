"""Runs with schedules: the rates that are told are those that train, nothing is compiled again, and stops change nothing."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.errors import SpecError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.training import fit as module
from nets.training.cache import ProgramCache
from nets.training.events import Compiled, EpochEnd, Finished
from nets.training.learning_rate import LearningRate, plateau_of, rates_of
from nets.training.metrics import EpochMetrics
from nets.training.snapshot import Snapshot, load_snapshot, save_snapshot
from nets.training.update import Update
from tests.nets.builders import network, stripes

NET = network({"type": "linear", "out": 3})
DATA = stripes()  # of which 54 train: 8 steps of 7
fit = partial(module.fit, NET, dataset=DATA, programs=ProgramCache())
SLOW = pytest.mark.slow
WARMED = {"type": "cosine", "warmup_epochs": 2.5}


def hyper(schedule: Any, epochs: int = 4, **fields: Any) -> Hyperparams:
    optimizer = {"type": "adam", "lr": 0.02}
    return parse_hyperparams(
        {"epochs": epochs, "batch_size": 7, "optimizer": optimizer, "lr_schedule": schedule, **fields}
    )


def metrics(events: list[Any]) -> list[tuple[float, float, float]]:
    return [(e.learning_rate, e.train_loss, e.val_loss) for e in events if isinstance(e, EpochMetrics)]


def stopped_after(epoch: int, h: Hyperparams, path: Path, resume: Snapshot | None = None) -> Snapshot:
    """The state after an epoch, through a file."""
    for event in fit(h, resume=resume):
        if isinstance(event, EpochEnd) and event.epoch == epoch:
            save_snapshot(path, event.take())
            break
    return load_snapshot(path, NET, h)


def test_a_step_has_the_learning_rate_that_is_told() -> None:
    """And the momentum that goes with it."""
    h = hyper({"type": "one_cycle"}, optimizer={"type": "sgd", "lr": 0.3, "momentum": 0.5})
    update, rate = Update.of(h, NET.graph), LearningRate.of(h, 54, ())
    scheduled = jax.jit(update.structure().scheduled)
    for step in (0, 11, 31):
        n = scheduled(jnp.int32(step), update.numbers(rate.inputs()))
        assert float(n["lr"]) == pytest.approx(rate.of_step(step + 1), rel=1e-6)
        assert 0.85 <= float(n["momentum"]) <= 0.95


@pytest.mark.parametrize(
    ("first", "others"),
    [
        (WARMED, [{"type": "cosine", "restart_epochs": 1.5, "final_lr": 1e-4}, {"type": "cosine", "horizon_epochs": 2}]),
        pytest.param({"type": "multistep", "milestones_epochs": [1]}, [{"type": "multistep", "milestones_epochs": [1, 2.5, 3], "gamma": 0.5}], marks=SLOW),
        pytest.param({"type": "one_cycle"}, [{"type": "one_cycle", "warmup_epochs": 1, "div_factor": 3, "max_momentum": 0.9}], marks=SLOW),
        ({"type": "reduce_on_plateau"}, [{"type": "reduce_on_plateau", "patience": 0, "threshold": 1, "warmup_epochs": 1}]),
        pytest.param({"type": "piecewise", "points": [[1, 0.1]]}, [{"type": "piecewise", "points": [[0, 0.5], [1, 2], [3, 0.1]]}], marks=SLOW),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_other_numbers_and_epochs_compile_nothing(first: Any, others: list[Any]) -> None:
    list(fit(hyper(first, 1)))
    for other in others:
        events = list(fit(hyper(other, 3)))
        (compiled,) = [event.compilation for event in events if isinstance(event, Compiled)]
        assert compiled["kind"] == "process", other
        told = rates_of(hyper(other, 3), DATA.info)
        if other["type"] != "reduce_on_plateau":
            assert metrics(events)[-1][0] == told["last"]
        assert len({rate for rate, *_ in metrics(events)}) > 1, other


def test_a_plain_run_has_no_schedule_in_its_program() -> None:
    update = Update.of(hyper(None), NET.graph)
    assert update.structure().schedule is None and update.numbers().keys() == {"optimizer"}
    list(fit(hyper(None, 1)))
    plain = metrics(list(fit(hyper(None, 2))))
    constant = metrics(list(fit(hyper({"type": "constant"}, 2))))
    assert plain == constant and {rate for rate, *_ in plain} == {0.02}


STOPPED = [
    (WARMED, 1, {}),  # in the warm-up
    pytest.param(WARMED, 3, {"ema": {"decay": 0.9}}, marks=SLOW),
    pytest.param({"type": "one_cycle"}, 2, {}, marks=SLOW),
    (
        {"type": "reduce_on_plateau", "patience": 1, "threshold": 1, "factor": 0.5, "cooldown": 1},
        2,
        {"keep_best": True},
    ),
    ({"type": "reduce_on_plateau", "patience": 1, "threshold": 1, "factor": 0.5}, 3, {}),
]


@pytest.mark.parametrize(("schedule", "epoch", "fields"), STOPPED)
def test_a_resumed_run_keeps_its_curve_to_the_last_bit(schedule: Any, epoch: int, fields: Any, tmp_path: Path) -> None:
    """Also one that is stopped again."""
    h = hyper(schedule, 6, **fields)
    whole = list(fit(h))
    first = stopped_after(epoch, h, tmp_path / "state", None)
    second = stopped_after(epoch + 1, h, tmp_path / "state", first)
    resumed = list(fit(h, resume=second))
    assert metrics(resumed) == metrics(whole)[epoch + 1 :]
    ends = [events[-1].variables["params"] for events in (whole, resumed) if isinstance(events[-1], Finished)]
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, ends), strict=True))
    assert len({rate for rate, *_ in metrics(whole)}) > 1


def test_a_plateau_goes_on_with_what_it_has_left() -> None:
    """A run that continues one: what is told first is what it trains with."""
    h = hyper({"type": "reduce_on_plateau", "patience": 0, "threshold": 1}, 3)
    taken = [event.take() for event in fit(h) if isinstance(event, EpochEnd)]
    more = hyper({"type": "reduce_on_plateau", "patience": 9}, 4)
    told = rates_of(more, DATA.info, taken[-1])
    assert told["first"] == told["last"] == pytest.approx(0.02 * 0.01)
    assert metrics(list(fit(more, resume=taken[-1])))[-1][0] == told["first"]


def test_other_batches_after_some_epochs_keep_the_place_on_the_curve() -> None:
    """Steps are counted over all epochs, and those of the epochs before were more."""
    h = hyper(WARMED, 4)
    taken = [event.take() for event in fit(h) if isinstance(event, EpochEnd)]
    other = hyper(WARMED, 4, batch_size=20)
    assert taken[1].state.step == 16
    resumed = metrics(list(fit(other, resume=taken[1])))
    assert [rate for rate, *_ in resumed] == [rate for rate, *_ in metrics(list(fit(other)))][2:]


def test_a_plateau_looks_at_any_number_of_the_validation() -> None:
    schedule = {"type": "plateau", "monitor": "f1", "mode": "max"}
    h = hyper(schedule, metrics=["f1"])
    rule = plateau_of(h)
    assert rule is not None and (rule.spec.metric, rule.goal) == ("val_f1", "maximize")
    assert Update.of(h, NET.graph).structure() == Update.of(hyper({"type": "plateau"}), NET.graph).structure()
    with pytest.raises(
        SpecError, match=r"lr_schedule\.monitor: must be one of .*, got \"f1\"\. Ask for it with metrics: \[\"f1\"\]"
    ):
        hyper(schedule)
