"""Numbers that stand for several measurements: medians with intervals, quantiles of steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import numpy as np

from nets.benchmarks.results import Interval, Quantiles
from nets.training.timing import weighted_quantiles

RESAMPLES, SEED, CONFIDENCE = 10_000, 0, 0.95


def interval(values: Sequence[float]) -> Interval:
    """The median, and its 95 % interval by the bootstrap (Efron, 1979)."""
    rng = np.random.default_rng(SEED)
    drawn = np.median(rng.choice(np.asarray(values), (RESAMPLES, len(values))), axis=1)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return {"median": median(values), "low": low, "high": high, "values": list(values)}


def quantiles(steps: Iterable[tuple[float, int]]) -> Quantiles | None:
    """Of seconds, each with how many steps took that."""
    kept = [(seconds, count) for seconds, count in steps]
    if not kept:
        return None
    p5, p50, p95 = weighted_quantiles(kept, 0.05, 0.5, 0.95)
    return {"p5": p5, "p50": p50, "p95": p95, "steps": sum(count for _, count in kept)}


def largest_difference(reference: Sequence[float], compared: Sequence[float]) -> float:
    """Of values in the same place, relative to the reference."""
    return max(abs(b - a) / max(abs(a), 1e-12) for a, b in zip(reference, compared, strict=True))
