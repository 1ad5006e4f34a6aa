"""The training state after an epoch, in one file that verifies itself: where a run that was cut off goes on."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import serialization

from nets.architecture.architecture import Architecture
from nets.checkpoint import differences, leaves
from nets.durable import sha256_of, write_durably
from nets.earlier_names import renamed
from nets.errors import CheckpointError
from nets.hyperparams.hyperparams import Hyperparams
from nets.network import Variables
from nets.packed import packed
from nets.stopping.goals import Goal
from nets.training.metrics import EpochMetrics, values_of
from nets.training.state import TrainState
from nets.training.update import Update, weights
from nets.training.workload import state_shapes

FORMAT = b"lamina training state 3\n"
BEFORE = b"lamina training state 2\n"  # as long, with the times of all epochs so far instead of their sum
DIGEST = 64  # hex digits of SHA-256 between the format and the body


@dataclass(frozen=True)
class Best:
    """The network of the epoch with the best value of a metric so far, on the host."""

    epoch: int
    metric: str
    value: float
    variables: Variables


BEST = tuple(each.name for each in fields(Best))


@dataclass(frozen=True)
class Snapshot:
    """All that the epochs after `epoch` depend on, beside the arguments of `fit`; numpy arrays on the host.

    rules: what the rules of the run remember, by name. evaluated: `Update.source` of the weights that the metrics, and
    the best ones, are of.

    Dropout keys follow from the seed and `state.step`, the order of samples from the seed and the epoch.
    """

    epoch: int
    state: TrainState
    seconds: float  # that the epochs so far took
    metrics: EpochMetrics
    best: Best | None = None
    rules: dict[str, Any] = field(default_factory=dict)
    evaluated: str = "params"

    @property
    def variables(self) -> Variables:
        """Params and running statistics, as they were evaluated."""
        return weights(self.state, self.evaluated)


def save_snapshot(path: Path, snapshot: Snapshot, *, owner: str = "") -> None:
    """Replace `path`: a crash leaves the old state or the new one, never a part.

    `owner`: whose state it is; whoever loads it must say the same.
    """
    best = snapshot.best
    tree = {
        "owner": owner,
        "epoch": snapshot.epoch,
        "state": serialization.to_state_dict(snapshot.state),
        "seconds": snapshot.seconds,
        "metrics": asdict(snapshot.metrics),
        "best": {name: getattr(best, name) for name in BEST} if best else {},
        "rules": snapshot.rules,
        "evaluated": snapshot.evaluated,
    }
    parts = list(packed(tree))
    write_durably(path, FORMAT + sha256_of(parts).encode() + b"\n", *parts)


def load_snapshot(path: Path, architecture: Architecture, hyperparams: Hyperparams, *, owner: str = "") -> Snapshot:
    """The state in `path`; CheckpointError unless it is whole, and owner and every array are those of the arguments.

    Averages that the run does not take are left out, and those that were not taken begin.
    """
    restored = renamed(_read(path), architecture.graph)
    if restored["owner"] != owner:
        raise CheckpointError(f"the training state {path.name} belongs to {restored['owner'] or 'no run'}")
    state = state_shapes(architecture.graph, Update.of(hyperparams, architecture.graph).structure())
    restored["state"]["averages"] = _averages(restored, serialization.to_state_dict(state)["averages"])

    def part(name: str, value: Any, expected: Any) -> None:
        declared = {place: (leaf.shape, leaf.dtype) for place, leaf in leaves(serialization.to_state_dict(expected))}
        problem = next(differences(value, declared), None)
        if problem is not None:
            raise CheckpointError(f"the training state {path.name} does not fit the run: {name}: {problem}")

    part("state", restored["state"], state)
    best = restored["best"]
    if best:
        part("best", best["variables"], {"params": state.params, "batch_stats": state.batch_stats})
    return Snapshot(
        epoch=restored["epoch"],
        state=serialization.from_state_dict(state, restored["state"]),
        seconds=restored["seconds"],
        metrics=EpochMetrics(**restored["metrics"]),
        best=Best(**best) if best else None,
        rules=restored["rules"],
        evaluated=restored["evaluated"],
    )


def best_of(snapshot: Snapshot, kept_by: tuple[str, Goal] | None) -> Best | None:
    """The best epoch of a run by its metric, for one that keeps it so; None where none is kept, or known."""
    if kept_by is None:
        return None
    if snapshot.best and snapshot.best.metric == kept_by[0]:
        return snapshot.best
    value = values_of(snapshot.metrics).get(kept_by[0])
    return None if value is None else Best(snapshot.epoch, kept_by[0], value, snapshot.variables)


def _averages(restored: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Those that are wanted, as they are; those that were not taken are of no weights yet."""
    found = restored["state"]["averages"]
    zeros = {
        name: jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes) for name, shapes in wanted.items()
    }
    return {name: found.get(name, zeros[name]) for name in wanted}


def _read(path: Path) -> dict[str, Any]:
    """The tree in a file of `save_snapshot`, not yet compared with anything."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"the training state {path.name} cannot be read: {error.strerror}") from None
    if not content.startswith((FORMAT, BEFORE)):
        raise CheckpointError(f"the training state {path.name} is damaged, or of another version of Lamina")
    start = len(FORMAT) + DIGEST + 1
    digest, body = content[len(FORMAT) : start], memoryview(content)[start:]
    if digest != hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise CheckpointError(f"the training state {path.name} is damaged: its SHA-256 is not the one written with it")
    restored: dict[str, Any] = serialization.msgpack_restore(body)
    restored.setdefault("rules", {})  # older states have none, and no averages
    restored["state"].setdefault("averages", {})
    restored.setdefault("evaluated", "params")
    if "val_loss" in restored["best"]:  # as it was when there was no other metric to be the best by
        restored["best"] |= {"metric": "val_loss", "value": restored["best"].pop("val_loss")}
    if content.startswith(BEFORE):
        restored["seconds"] = sum(restored["epoch_times"])
    return restored
