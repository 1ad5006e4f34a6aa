"""A run's metrics in a few numbers, kept up with every epoch: what lists show of it and are sorted by."""

from __future__ import annotations

from dataclasses import fields

from backend.state.records import Json
from nets.metrics.names import metric_of, values_of
from nets.training.metrics import EpochMetrics

PLACE = frozenset({"epoch", "progress", "eta_seconds", "metrics"})  # where a run is, or what it was asked for beside
METRICS = tuple(field.name for field in fields(EpochMetrics) if field.name not in PLACE)
LOW = ("train_loss", "val_loss", "epoch_time")  # the lower, the better
HIGH = ("train_accuracy", "val_accuracy", "samples_per_sec")  # the higher, the better
VAL, TEST = "val_", "test_"  # before the names of metrics that were asked for, of validation and test
BEST = ("epoch", "val_loss", "val_accuracy")  # told of the epoch with the lowest val_loss


def summarised(summary: Json | None, data: Json) -> Json:
    """The summary after one more metric event. Values that are no finite numbers are left out.

    `best`: the epoch with the lowest `val_loss`, the first of equally good ones, as `keep_best` has it. `last`: the
    newest value of each metric. `reached`: the lowest or highest value of those in `LOW` and `HIGH`, and `reached_at`
    the first epoch that had it. Those of the metrics that were asked for are there as `val_f1` and so on.
    """
    before = summary or {"best": None, "last": {}, "reached": {}}
    now = {name: data[name] for name in ("epoch", *METRICS) if isinstance(data.get(name), int | float)}
    asked = {name: value for name, value in values_of(data.get("metrics"), VAL).items() if name not in now}
    now |= asked
    best = before["best"]
    if "val_loss" in now and (best is None or now["val_loss"] < best["val_loss"]):
        best = {name: now.get(name) for name in BEST}
    reached, reached_at = {**before["reached"]}, {**before.get("reached_at", {})}
    higher = [name for name in asked if (metric := metric_of(name.removeprefix(VAL))) is None or metric.higher]
    lower = [name for name in asked if name not in higher]
    for names, better in ((LOW, min), (HIGH, max), (lower, min), (higher, max)):
        for name in names:
            if name in now and (name not in reached or better(reached[name], now[name]) != reached[name]):
                reached[name], reached_at[name] = now[name], now.get("epoch")
    return {"best": best, "last": {**before["last"], **now}, "reached": reached, "reached_at": reached_at}


def tested(summary: Json | None, metrics: Json | None) -> Json:
    """The summary of a run that was tested: `test` has the single numbers among its metrics."""
    return {**(summary or {"best": None, "last": {}, "reached": {}}), "test": values_of(metrics, TEST)}


def beside(summary: Json | None) -> list[str]:
    """The metrics of a summary that were asked for, by name."""
    return [name for name in (summary or {}).get("last", {}) if name != "epoch" and name not in METRICS]
