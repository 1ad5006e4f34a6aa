"""The values of several metrics over one pass. None of them ever fails a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from nets.metrics.base import Metric, Value
from nets.metrics.reading import Reading, Undefined


@dataclass(frozen=True)
class Measured:
    """Values by name, None where there is none, and then the reason."""

    values: dict[str, Value | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def measured(metrics: Sequence[Metric], reading: Reading, *, whole: bool = True) -> Measured:
    """All of them. whole: with lists and tables, not only numbers."""
    found = Measured()
    for metric in metrics:
        for name, compute in metric.parts().items():
            if name in found.values or not (whole or name in metric.single):
                continue
            found.values[name] = None
            try:
                found.values[name] = finite(compute(reading)) if len(reading.labels) else no_samples()
            except Undefined as reason:
                found.reasons[name] = str(reason)
            except Exception as error:  # whatever goes wrong in a metric, the run is worth more
                found.reasons[name] = f"it cannot be computed: {type(error).__name__}: {error}"
    return found


def no_samples() -> Value:
    raise Undefined("there are no samples")


def finite(value: Value) -> Value:
    """A value that JSON can carry; Undefined for others."""
    if isinstance(value, float) and not math.isfinite(value):
        raise Undefined("the outputs of the network give no finite value")
    return value
