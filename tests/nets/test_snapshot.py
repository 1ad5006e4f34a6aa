"""Resuming: whatever the run, wherever it stopped, it ends on the same bits as one that never stopped."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax import serialization

from nets.checkpoint import save_weights
from nets.errors import CheckpointError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.training import fit as module
from nets.training.cache import ProgramCache
from nets.training.events import EpochEnd, Finished, Progress
from nets.training.metrics import EpochMetrics
from nets.training.snapshot import BEFORE, FORMAT, Snapshot, load_snapshot, save_snapshot
from tests.nets.builders import TINY_CNN, network, stripes

CNN = network(*TINY_CNN[:3], {"type": "flatten"}, {"type": "dropout", "p": 0.3}, *TINY_CNN[3:])
NORMED = network(
    {"type": "conv2d", "out_channels": 4, "kernel_size": 3},
    {"type": "batchnorm2d"},
    {"type": "relu"},
    {"type": "flatten"},
    {"type": "dropout", "p": 0.2},
    {"type": "linear", "out": 3},
)
EPOCHS = 3
AUGMENT = [{"type": "random_crop", "padding": 1}, {"type": "alternating_flip"}, {"type": "mixup"}, {"type": "cutmix"}]
MOMENTUM = {"type": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True}
ADAM = {"type": "adam", "lr": 0.02}
DATA = stripes()
fit = partial(module.fit, programs=ProgramCache())


def hyper(**fields: Any) -> Hyperparams:
    return parse_hyperparams({"epochs": EPOCHS, "batch_size": 7, "train_split": 0.8, **fields})


def ends(result: list[Any], folder: Path) -> tuple[list[EpochMetrics], str, Finished]:
    """Metrics without their times, the SHA-256 of the weight file, and the results."""
    metrics = [
        replace(e, epoch_time=0, samples_per_sec=0, eta_seconds=0) for e in result if isinstance(e, EpochMetrics)
    ]
    finished = result[-1]
    assert isinstance(finished, Finished)
    sha256 = save_weights(folder / "weights", finished.variables)
    return metrics, sha256, replace(finished, variables={}, compile_seconds=0)


def stopped_after(epoch: int, a: Any, h: Hyperparams, path: Path, resume: Snapshot | None = None) -> None:
    """A run that writes its state after every epoch, and stops some way into the one after `epoch`."""
    events = fit(a, h, DATA, resume=resume)
    for event in events:
        if isinstance(event, EpochEnd):
            save_snapshot(path, event.take())
        elif isinstance(event, Progress) and event.epoch > epoch and event.phase == "training":
            break
    events.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("a", "fields"),
    [
        (CNN, {"optimizer": MOMENTUM}),
        pytest.param(NORMED, {"optimizer": MOMENTUM, "precision": "bfloat16"}, marks=pytest.mark.slow),
        (NORMED, {"optimizer": ADAM, "keep_best": True}),
        (CNN, {"optimizer": ADAM, "precision": "bfloat16", "shuffle": False}),
        pytest.param(NORMED, {"optimizer": {"type": "adamw", "lr": 0.01}}, marks=pytest.mark.slow),
        pytest.param(CNN, {"optimizer": {"type": "rmsprop", "lr": 0.01}, "keep_best": True}, marks=pytest.mark.slow),
        pytest.param(NORMED, {"optimizer": {"type": "sgd", "lr": 0.1}}, marks=pytest.mark.slow),
        pytest.param(CNN, {"optimizer": ADAM, "augment": AUGMENT}, marks=pytest.mark.slow),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_a_resumed_run_ends_on_the_same_bits(a: Any, fields: dict[str, Any], tmp_path: Path) -> None:
    h, path = hyper(**fields), tmp_path / "state"
    whole, sha256, finished = ends(list(fit(a, h, DATA)), tmp_path)
    for epoch in range(1, EPOCHS + 1):
        stopped_after(epoch, a, h, path)
        snapshot = load_snapshot(path, a, h)
        assert snapshot.epoch == epoch
        assert replace(snapshot.metrics, epoch_time=0, samples_per_sec=0, eta_seconds=0) == whole[epoch - 1]
        for _ in range(2):  # the snapshot outlives the run that began with it
            metrics, again, result = ends(list(fit(a, h, DATA, resume=snapshot)), tmp_path)
            assert metrics == whole[epoch:]
            assert (again, result) == (sha256, finished)


def test_a_run_may_be_stopped_after_every_epoch(tmp_path: Path) -> None:
    h, path = hyper(optimizer=ADAM, keep_best=True), tmp_path / "state"
    _, sha256, finished = ends(list(fit(NORMED, h, DATA)), tmp_path)
    snapshot = None
    for epoch in range(1, EPOCHS + 1):
        stopped_after(epoch, NORMED, h, path, snapshot)
        snapshot = load_snapshot(path, NORMED, h)
        assert snapshot.epoch == epoch
    assert ends(list(fit(NORMED, h, DATA, resume=snapshot)), tmp_path)[1:] == (sha256, finished)


def test_a_state_is_as_large_after_many_epochs_as_after_few(tmp_path: Path) -> None:
    sizes = []
    for event in fit(CNN, hyper(epochs=300, max_samples=10), DATA):
        if isinstance(event, EpochEnd) and event.epoch in (1, 300):
            save_snapshot(tmp_path / "state", event.take())
            sizes.append((tmp_path / "state").stat().st_size)
    assert sizes[1] - sizes[0] < 16  # a number of the epoch may take more digits


def test_the_time_that_is_left_follows_from_all_epochs_so_far(tmp_path: Path) -> None:
    h, path = hyper(epochs=4), tmp_path / "state"
    stopped_after(2, CNN, h, path)
    resumed = replace(load_snapshot(path, CNN, h), seconds=2000.0)
    third = next(event for event in fit(CNN, h, DATA, resume=resumed) if isinstance(event, EpochMetrics))
    assert third.eta_seconds == pytest.approx(2000 / 3, rel=0.01)


def test_a_state_that_holds_the_times_of_all_epochs_is_read_as_well(tmp_path: Path) -> None:
    """What was written before their sum took their place."""
    h, path = hyper(optimizer=ADAM, keep_best=True), tmp_path / "state"
    stopped_after(2, NORMED, h, path)
    snapshot = load_snapshot(path, NORMED, h)
    tree = serialization.msgpack_restore(path.read_bytes()[len(FORMAT) + 65 :])
    del tree["seconds"]
    body = serialization.msgpack_serialize({**tree, "epoch_times": [0.25, 0.5]})
    path.write_bytes(BEFORE + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    older = load_snapshot(path, NORMED, h)
    assert older.seconds == 0.75
    ended = [ends(list(fit(NORMED, h, DATA, resume=one)), tmp_path) for one in (snapshot, older)]
    assert ended[0] == ended[1]


def test_more_epochs_later_are_the_same_as_at_once(tmp_path: Path) -> None:
    first, path = hyper(epochs=3, optimizer=ADAM), tmp_path / "state"
    stopped_after(3, NORMED, first, path)
    longer = hyper(epochs=5, optimizer=ADAM)
    metrics, sha256, finished = ends(list(fit(NORMED, longer, DATA)), tmp_path)
    later = ends(list(fit(NORMED, longer, DATA, resume=load_snapshot(path, NORMED, longer))), tmp_path)
    assert later == (metrics[3:], sha256, finished)
    with pytest.raises(ValueError, match="3 epochs are done already, and 2 were asked for"):
        next(iter(fit(NORMED, hyper(epochs=2), DATA, resume=load_snapshot(path, NORMED, first))))


def test_progress_goes_on_where_it_was(tmp_path: Path) -> None:
    h, path = hyper(optimizer=ADAM), tmp_path / "state"
    stopped_after(2, CNN, h, path)
    events = fit(CNN, h, DATA, resume=load_snapshot(path, CNN, h))
    trained = [event for event in events if isinstance(event, Progress) and event.phase in ("training", "evaluating")]
    assert trained[0].epoch == 3 and 0.6 < trained[0].fraction < 1
    assert trained[-1].fraction == pytest.approx(1)


def test_the_best_epoch_is_what_is_tested_and_kept(tmp_path: Path) -> None:
    h = hyper(epochs=8, optimizer=ADAM, keep_best=True)
    noise = replace(DATA, train_labels=np.random.default_rng(0).permutation(DATA.train_labels))
    best_so_far, metrics, finished = [], [], None
    for event in fit(CNN, h, noise):
        if isinstance(event, EpochEnd):
            best_so_far.append((event.epoch, event.take()))
        elif isinstance(event, EpochMetrics):
            metrics.append(event)
        elif isinstance(event, Finished):
            finished = event
    assert finished is not None
    best = min(metrics, key=lambda m: m.val_loss).epoch
    assert finished.best_epoch == best < 8, "the run should get worse after its best epoch"
    at_best = best_so_far[best - 1][1].variables
    assert save_weights(tmp_path / "a", finished.variables) == save_weights(tmp_path / "b", at_best)
    last = list(fit(CNN, h.model_copy(update={"keep_best": False}), noise))[-1]
    assert last.best_epoch is None and last.test_loss != finished.test_loss


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "state.msgpack"
    stopped_after(1, CNN, hyper(optimizer=ADAM), path)
    return path


def loaded(path: Path, a: Any = CNN, **fields: Any) -> Snapshot:
    return load_snapshot(path, a, hyper(**{"optimizer": ADAM, **fields}))


def test_damage_at_any_place_is_noticed(saved: Path) -> None:
    content = saved.read_bytes()
    for at in [*range(0, len(FORMAT) + 80, 7), *range(100, len(content), len(content) // 40)]:
        saved.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(CheckpointError, match=r"state\.msgpack is damaged"):
            loaded(saved)
        saved.write_bytes(content[:at])
        with pytest.raises(CheckpointError, match=r"state\.msgpack is damaged"):
            loaded(saved)
    saved.unlink()
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        loaded(saved)


@pytest.mark.parametrize("optimizer", [{"type": "adamw"}, {"type": "rmsprop"}, {"type": "sgd"}, MOMENTUM])
def test_the_state_of_another_optimizer_is_refused(saved: Path, optimizer: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"does not fit the run: state: opt_state/.* (missing|unknown)"):
        loaded(saved, optimizer=optimizer)


def test_the_state_of_another_network_is_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="does not fit the run: state: batch_stats/.* missing"):
        loaded(saved, NORMED)


def test_a_whole_file_with_a_wrong_array_is_refused(saved: Path) -> None:
    tree = serialization.msgpack_restore(saved.read_bytes()[len(FORMAT) + 65 :])
    tree["state"]["step"] = np.float64(3)
    body = serialization.msgpack_serialize(tree)
    saved.write_bytes(FORMAT + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    with pytest.raises(CheckpointError, match=r"state: step must be int32\[\], got"):
        loaded(saved)
