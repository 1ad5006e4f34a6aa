"""Runs side by side: what differs between them, and their metrics by epoch. Of records alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from functools import cache
from statistics import median
from typing import Any

from typing_extensions import TypedDict

from backend.state.curve import SHOWN
from backend.state.records import Json, RunRecord, RunState
from backend.state.summary import HIGH, LOW, METRICS, VAL, beside
from nets.architecture.common import KEPT_KEYS
from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.layers import LAYERS

MOST_EPOCHS = 400  # that metrics are compared at, about
Curve = Mapping[int, Json]  # metrics by epoch


class Reached(TypedDict):
    """A value of a metric. `epoch`: where; null for runs of earlier versions that kept none."""

    epoch: int | None
    value: float


class ComparedRun(TypedDict):
    """A run. `seconds`: from its last start to its end, or until now. `samples_per_second`: the median of the epochs
    that its record shows, without the first. `compilation`: where its programs came from, as in its record.
    `stopped_by`: the rule that ended it before its last epoch. `seconds_to_target`: of training, until its `target`.
    """

    run_id: str
    name: str
    model_id: str
    state: RunState
    dataset_type: str
    device: str | None
    precision: str | None
    parameters: int | None
    epoch: int
    epochs_total: int
    seconds: float | None
    compile_seconds: float | None
    samples_per_second: float | None
    compilation: str | None
    median_epoch_seconds: float | None
    median_step_seconds: float | None
    peak_memory_bytes: int | None
    stopped_by: str | None
    seconds_to_target: float | None
    test_accuracy: float | None
    test_loss: float | None
    test_metrics: Json | None
    baseline_accuracy: dict[str, float] | None
    best: Json | None


class Differences(TypedDict):
    """`differ`: by dotted name one value for each run, null where it has none. `equal`: how many are the same."""

    differ: dict[str, list[Any]]
    equal: int


class LayerDifference(TypedDict):
    """One layer in which runs differ. `places`: its index in `layers` of each run, null where there is none."""

    type: str
    places: list[int | None]
    differ: dict[str, list[Any]]


class LayerDifferences(TypedDict):
    """`equal`: how many layers are the same in all runs."""

    differ: list[LayerDifference]
    equal: int


class Comparison(TypedDict):
    """Runs side by side: every list has one item for each of `runs`, in their order.

    `computed`: with what: environment, versions, kernels, data. `input`: what the networks take. Fields of layers that
    follow from what comes before are left out. `best`, `last`: by metric. `metrics`: by metric, then by epoch; of long
    runs at some epochs, among them the first, the best and the last of each.
    """

    runs: list[ComparedRun]
    hyperparams: Differences
    computed: Differences
    input: Differences
    layers: LayerDifferences
    best: dict[str, list[Reached | None]]
    last: dict[str, list[Reached | None]]
    metrics: dict[str, dict[int, list[float | None]]]
    warnings: list[str]


def compare(
    runs: Sequence[RunRecord],
    curves: Sequence[Curve],
    epochs: Sequence[int],
    *,
    now: datetime,
    warnings: Sequence[str] = (),
) -> Comparison:
    """Runs with their metrics at `epochs`, as far as they have got. now: for those that have not ended."""
    read = Networks()
    networks = [read(run) for run in runs]
    asked = list(dict.fromkeys(name for run in runs for name in beside(run.summary)))
    frames = [{name: value for name, value in network.items() if name != "layers"} for network in networks]
    return {
        "runs": [described(run, read.parameters(run), now) for run in runs],
        "hyperparams": differences([flat(run.hyperparams) for run in runs]),
        "computed": differences([computed(run) for run in runs]),
        "input": differences([flat(frame) for frame in frames]),
        "layers": layer_differences([network["layers"] for network in networks]),
        "best": {name: [best(run, name) for run in runs] for name in (*LOW, *HIGH, *asked)},
        "last": {name: [last(run, name) for run in runs] for name in (*METRICS, *asked)},
        "metrics": {
            name: {epoch: [value_at(curve.get(epoch, {}), name) for curve in curves] for epoch in epochs}
            for name in (*METRICS, *asked)
        },
        "warnings": [*warnings],
    }


def value_at(metric: Json, name: str) -> float | None:
    """A metric of an epoch by name, be it one that was asked for."""
    found: float | None = metric.get(name, (metric.get("metrics") or {}).get(name.removeprefix(VAL)))
    return found


def described(run: RunRecord, parameters: int | None, now: datetime) -> ComparedRun:
    """A run in short."""
    return {
        "run_id": run.run_id,
        "name": run.name,
        "model_id": run.model_id,
        "state": run.state,
        "dataset_type": run.dataset,
        "device": run.device,
        "precision": run.precision,
        "parameters": parameters,
        "epoch": run.epoch,
        "epochs_total": run.epochs_total,
        "seconds": run.seconds if run.completed_at or run.state != "running" else since(run.started_at, now),
        "compile_seconds": run.compile_seconds,
        "samples_per_second": speed(run.metrics),
        "compilation": run.compilation["kind"] if run.compilation else None,
        "median_epoch_seconds": run.timing["median_epoch_seconds"] if run.timing else None,
        "median_step_seconds": steps["p50"] if (steps := run.timing and run.timing["step_seconds"]) else None,
        "peak_memory_bytes": run.peak_memory["bytes"] if run.peak_memory else None,
        "stopped_by": run.stopped_by["rule"] if run.stopped_by else None,
        "seconds_to_target": run.target_reached["seconds"] if run.target_reached else None,
        "test_accuracy": run.test_accuracy,
        "test_loss": run.test_loss,
        "test_metrics": run.test_metrics,
        "baseline_accuracy": run.baseline_accuracy,
        "best": run.best,
    }


def computed(run: RunRecord) -> dict[str, Any]:
    """What a run was computed with and on, by dotted names."""
    data = {"dataset_sha256": run.dataset_sha256} if run.dataset_sha256 else {}
    whole = {"environment": run.environment or {}, "versions": run.versions or {}, "kernels": run.kernels, **data}
    return flat(whole)


def since(moment: str | None, now: datetime) -> float | None:
    """Seconds from a moment of a record."""
    try:
        return (now - datetime.fromisoformat(moment)).total_seconds() if moment else None
    except (ValueError, TypeError):
        return None


def speed(metrics: Sequence[Json]) -> float | None:
    """Samples per second, the median of all epochs but the first, which warms up; None before the second."""
    found = [metric["samples_per_sec"] for metric in metrics[1:] if metric.get("samples_per_sec") is not None]
    return median(found) if found else None


def best(run: RunRecord, name: str) -> Reached | None:
    """The lowest or highest value of a metric."""
    summary = run.summary or {}
    value = summary.get("reached", {}).get(name)
    return None if value is None else {"epoch": summary.get("reached_at", {}).get(name), "value": value}


def last(run: RunRecord, name: str) -> Reached | None:
    """The newest value of a metric."""
    found = (run.summary or {}).get("last", {})
    return {"epoch": found.get("epoch"), "value": found[name]} if name in found else None


class Networks:
    """The networks of runs in canonical form, each read once however many runs have it."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[Json, int | None]] = {}

    def __call__(self, run: RunRecord) -> Json:
        return self._of(run)[0]

    def parameters(self, run: RunRecord) -> int | None:
        return self._of(run)[1] if run.parameters is None else run.parameters

    def _of(self, run: RunRecord) -> tuple[Json, int | None]:
        text = json.dumps(run.architecture, sort_keys=True)
        if text not in self._read:
            try:
                architecture = parse_architecture(run.architecture)
                found: tuple[Json, int | None] = architecture.to_json(), architecture.parameters
            except SpecError:  # written by another version, which knew other rules
                found = {"layers": [], **run.architecture}, None
            self._read[text] = essential(found[0]), found[1]
        return self._read[text]


@cache
def following() -> frozenset[str]:
    """Fields of layers that follow from what comes before: they may be left out, and have no other value."""
    told = ((field.alias or name, field) for layer in LAYERS.values() for name, field in layer.model_fields.items())
    return frozenset(name for name, field in told if is_following(field.description or ""))


def is_following(description: str) -> bool:
    """Whether a field with such a description does: `at least` leaves a choice."""
    return "may be left out" in description and "at least" not in description


def essential(value: Any) -> Any:
    """JSON of a network without what follows from the rest, and what only builders know."""
    if isinstance(value, list):
        return [essential(item) for item in value]
    if not isinstance(value, dict):
        return value
    left_out = following() | KEPT_KEYS if "type" in value else frozenset()
    return {name: essential(item) for name, item in value.items() if name not in left_out}


def flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted names: `optimizer.lr`, `layers.0.out_channels`. Lists of anything but objects stay whole."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, list) and any(isinstance(each, dict | list) for each in item):
            item = {str(index): each for index, each in enumerate(item)}
        inner = flat(item) if isinstance(item, dict) else None
        found |= {name: item} if inner is None else {f"{name}.{key}": each for key, each in inner.items()}
    return found


def differences(flats: Sequence[Mapping[str, Any]]) -> Differences:
    """What is not the same in all."""
    names = dict.fromkeys(name for each in flats for name in each)
    values = {name: [each.get(name) for each in flats] for name in names}
    differ = {name: found for name, found in values.items() if any(one != found[0] for one in found)}
    return {"differ": differ, "equal": len(names) - len(differ)}


def layer_differences(lists: Sequence[Sequence[Json]]) -> LayerDifferences:
    """Layer by layer, those that are most alike side by side."""
    differ: list[LayerDifference] = []
    equal = 0
    for places in side_by_side(lists):
        found = [None if at is None else layers[at] for layers, at in zip(lists, places, strict=True)]
        if all(one == found[0] for one in found):
            equal += 1
            continue
        kind = next(one for one in found if one is not None).get("type")
        fields = differences([flat(one or {}) for one in found])["differ"]
        differ.append({"type": str(kind), "places": places, "differ": fields})
    return {"differ": differ, "equal": equal}


def side_by_side(lists: Sequence[Sequence[Json]]) -> list[list[int | None]]:
    """The layers of all lists in rows: equal ones in one row, and between those, ones of the same type."""
    rows: list[tuple[Json, list[int | None]]] = []
    for number, layers in enumerate(lists):
        merged: list[tuple[Json, list[int | None]]] = []
        for row, at in pairs([row[0] for row in rows], layers):
            known = ({}, [None] * number) if row is None else rows[row]
            merged.append((known[0] or (layers[at] if at is not None else {}), [*known[1], at]))
        rows = merged
    return [places for _, places in rows]


def pairs(ours: Sequence[Json], theirs: Sequence[Json]) -> Iterator[tuple[int | None, int | None]]:
    """Two lists of layers as one, in the order of both: indices of what stands side by side."""

    def whole(layer: Json) -> str:
        return json.dumps(layer, sort_keys=True)

    def kind(layer: Json) -> str:
        return str(layer.get("type"))

    for same, row, at in blocks(ours, theirs, whole):
        if same:
            yield from zip(row, at, strict=True)
            continue
        for alike, some, others in blocks([ours[i] for i in row], [theirs[i] for i in at], kind):
            if alike:
                yield from zip((row[i] for i in some), (at[i] for i in others), strict=True)
            else:
                yield from ((row[i], None) for i in some)
                yield from ((None, at[i]) for i in others)


def blocks(
    ours: Sequence[Json], theirs: Sequence[Json], key: Callable[[Json], str]
) -> Iterator[tuple[bool, range, range]]:
    """Stretches of two lists, and whether their keys are the same."""
    matcher = SequenceMatcher(None, [key(one) for one in ours], [key(one) for one in theirs], autojunk=False)
    for what, first, end, other, other_end in matcher.get_opcodes():
        yield what == "equal", range(first, end), range(other, other_end)


def epochs_of(runs: Sequence[RunRecord]) -> list[int]:
    """At which epochs to compare metrics: those that records show; of too many, some, and what tells most."""
    shown = sorted({metric["epoch"] for run in runs for metric in run.metrics})
    if len(shown) <= MOST_EPOCHS:
        return shown
    steps = MOST_EPOCHS // 2
    some = {shown[(len(shown) - 1) * step // steps] for step in range(steps + 1)}
    ends = {metric["epoch"] for run in runs for metric in (*run.metrics[:1], *run.metrics[-1:])}
    return sorted(some | ends | {run.best["epoch"] for run in runs if run.best})


def is_whole(run: RunRecord) -> bool:
    """Whether a record shows all of its metrics."""
    return run.metrics_total <= SHOWN
