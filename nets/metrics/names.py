"""The names of single numbers among the values of metrics, whatever their options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from nets.metrics.base import METRICS, Metric
from nets.metrics.confusion import ByClass

AVERAGES = ("weighted", "micro")  # beside macro, which is not named
TOP = re.compile(r"top_([1-9]\d{0,4})")  # the name of the value of a top_k


@cache
def usual() -> Mapping[str, Metric]:
    """Those of metrics without options, by name."""
    made = [cls.model_validate({}) for cls in METRICS.values()]
    return {name: metric for metric in made for name in metric.single}


def metric_of(name: str) -> Metric | None:
    """A metric that has a number of this name; None where none has."""
    if TOP.fullmatch(name):
        return usual()["top_5"]
    stem, _, how = name.rpartition("_")
    of_classes = usual().get(stem) if how in AVERAGES else None
    return of_classes if isinstance(of_classes, ByClass) else usual().get(name)


def values_of(metrics: Mapping[str, Any] | None, prefix: str) -> dict[str, float]:
    """The single numbers among some values, by names with a prefix, such as `val_f1`."""
    numbers = {name: value for name, value in (metrics or {}).items() if isinstance(value, int | float)}
    return {f"{prefix}{name}": value for name, value in numbers.items()}


def names_of(hyperparams: Mapping[str, Any]) -> list[str]:
    """All that the metrics of a run tell, by its hyperparameters as records have them; of others nothing."""
    found: dict[str, None] = {}
    for sent in hyperparams.get("metrics") or ():
        cls = METRICS.get(str(sent.get("type"))) if isinstance(sent, dict) else None
        if cls is not None:
            try:
                found |= dict.fromkeys(cls.model_validate(sent).parts())
            except ValueError:  # written by another version of Lamina, which knew other options
                continue
    return list(found)
