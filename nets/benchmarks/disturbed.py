"""Repeats that other work disturbed, and cells whose repeats differ: an average over all would hide them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nets.benchmarks.protocol import Spot
from nets.benchmarks.results import Cell
from nets.process.quiet import Usage, cores_in_words, disturbance

MOST_NAMED = 4
SPREAD = 0.15  # of a median: more than this, half of its interval, earns a warning


@dataclass(frozen=True)
class Disturbed:
    """A repeat of a cell, and the share of the cores' time that was not its own."""

    spot: Spot
    repeat: int
    share: float

    def __str__(self) -> str:
        return f"{self.share:.0%} in repeat {self.repeat + 1} of {self.spot}"


def disturbed(spot: Spot, repeat: int, before: Usage | None, after: Usage | None) -> Disturbed | None:
    """Whether one was, by the times of the cores before and after it; None too where the system does not tell."""
    share = disturbance(before, after)
    return None if share is None else Disturbed(spot, repeat, share)


def of_repeats(found: Sequence[Disturbed], measured: int) -> list[str]:
    """A sentence on all of them. measured: repeats in all."""
    if not found:
        return []
    worst = sorted(found, key=lambda one: -one.share)
    which = listed(map(str, worst)) if 2 * len(found) <= measured else f"{worst[0].share:.0%} at most"
    return [
        f"other work took some of the {cores_in_words()} time in {len(found)} of {measured} repeats ({which}): "
        "their values may be low; measure again when nothing else runs"
    ]


def of_spread(cells: Iterable[Cell]) -> list[str]:
    """A sentence on cells whose repeats differ by more than what a comparison can stand."""
    wide = sorted(((half, cell) for cell in cells if (half := half_width(cell)) > SPREAD), key=lambda each: -each[0])
    if not wide:
        return []
    named = listed(f"±{half:.0%} for {where(cell)}" for half, cell in wide)
    return [
        f"repeats differ: the 95 % interval of the median is {named}; "
        "measure again with more --repeats, or on a machine that nobody else uses"
    ]


def listed(items: Iterable[str]) -> str:
    """The first of them, and how many more there are."""
    every = list(items)
    more = len(every) - MOST_NAMED
    return "; ".join([*every[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])


def half_width(cell: Cell) -> float:
    """Of the interval of the median, the longer side as a share of it; 0 for one that was not measured."""
    speed = cell["samples_per_second"]
    if speed is None:
        return 0.0
    return max(speed["high"] - speed["median"], speed["median"] - speed["low"]) / speed["median"]


def where(cell: Cell) -> str:
    """A cell in words."""
    return str(Spot(cell["body"], cell["device"], cell["precision"], cell["batch_size"]))
