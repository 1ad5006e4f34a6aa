"""What a run has reached, as pictures take it. Needs no matplotlib: who has no time to draw can say what would be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Along = Literal["epoch", "seconds"]


@dataclass(frozen=True)
class Course:
    """What a run has reached, epoch by epoch. `seconds`: at the end of each epoch, of training alone.

    best: the place in these lists of the epoch with the lowest validation loss. told: how the run stands, in words.
    """

    run_id: str
    name: str
    epochs: Sequence[int]
    seconds: Sequence[float]
    metrics: Mapping[str, Sequence[float | None]]
    best: int | None = None
    told: str = ""
