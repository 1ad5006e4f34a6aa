"""Seconds that so much of each amount takes: fitted to networks that were timed, near rates that are expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nets.calibration.expected import Kinds, expected
from nets.calibration.work import Amounts

Rates = Mapping[str, float]
SCALE = "scale"  # among the rates of what is done: what all that were expected have been multiplied by
CONFIDENCE = 0.2  # how much it counts that a rate is off from what is expected, beside that a time is
ROUNDS = 8  # of weighing each time by how far off it is
FINE = 0.03  # as a share of a time: closer than this counts no more
FOLDS = 8


class Timed(NamedTuple):
    """How long so much took, in seconds."""

    amounts: Amounts
    seconds: float


def seconds(rates: Rates, amounts: Amounts, kinds: Kinds) -> float:
    """How long so much will take. kinds: what is expected of amounts without a rate."""
    found = 0.0
    for name, amount in amounts.items():
        rate = rates.get(name)
        found += amount * (rates.get(scale_of(name), 1.0) * expected(name, kinds) if rate is None else rate)
    return found


def guessed(rates: Rates, amounts: Amounts, kinds: Kinds) -> float:
    """Which share of the time is that of amounts that have no rate of their own: 0 to 1."""
    without = {name: amount for name, amount in amounts.items() if name not in rates}
    return seconds(rates, without, kinds) / max(seconds(rates, amounts, kinds), 1e-12) if without else 0.0


def scale_of(name: str) -> str:
    """The name of the scale of what has no rate of its own."""
    return f"{name.partition('.')[0]}.{SCALE}"


def fitted(timed: Sequence[Timed], known: Rates, kinds: Kinds) -> dict[str, float]:
    """The rates, none below zero, by which the times come out with the least relative errors.

    known: rates of another machine; all are scaled first so that half of the times come out too long.
    """
    names = sorted({name for each in timed for name in each.amounts})
    if not names:
        return dict(known)
    scale = float(np.median([each.seconds / max(seconds(known, each.amounts, kinds), 1e-12) for each in timed]))
    floor = {name: expected(name, kinds) / 10 for name in names}  # a rate of zero would stay one
    around = scale * np.array([max(known.get(name, expected(name, kinds)), floor[name], 1e-12) for name in names])
    shares = np.array([[each.amounts.get(name, 0.0) / each.seconds for name in names] for each in timed]) * around
    found = _solved(shares, np.ones(len(timed)))
    for _ in range(ROUNDS):
        reached = shares @ found
        off = np.maximum(np.abs(np.log(np.maximum(reached, 1e-6))), FINE)
        found = _solved(shares, 1 / np.sqrt(off * np.maximum(reached, 0.3)))
    rates = {name: scale * rate for name, rate in known.items() if not name.endswith(SCALE)}
    return (
        rates
        | dict(zip(names, (found * around).tolist(), strict=True))
        | {own: scale * known.get(own, 1.0) for own in set(map(scale_of, names))}
    )


def _solved(shares: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Multiples of the expected rates."""
    from scipy.optimize import nnls  # takes as long to load as all else that predicts

    many = shares.shape[1]
    wanted = np.vstack([shares * weights[:, None], CONFIDENCE * np.eye(many)])
    found, _ = nnls(wanted, np.concatenate([weights, np.full(many, CONFIDENCE)]), maxiter=50 * many)
    return np.asarray(found, np.float64)


def left_out(timed: Sequence[Timed], known: Rates, kinds: Kinds) -> list[float]:
    """How far off each time is, as a share of it, by rates that were fitted without it; in the order of `timed`."""
    found = [0.0] * len(timed)
    for fold in range(min(FOLDS, len(timed))):
        rates = fitted([each for n, each in enumerate(timed) if n % FOLDS != fold], known, kinds)
        for n in range(fold, len(timed), FOLDS):
            found[n] = seconds(rates, timed[n].amounts, kinds) / timed[n].seconds - 1
    return found
