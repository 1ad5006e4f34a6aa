"""A run's metrics in short: how many there are, and where the best ones are, kept up with every epoch."""

from __future__ import annotations

from backend.state.records import Json

# Metrics of a run in its record: all of them, or the first, the last, the best and others at even distances.
SHOWN = 200
BEST = {"val_loss": min, "val_accuracy": max}


def extended(curve: Json | None, event_id: int, data: Json) -> Json:
    """The curve after one more metric event.

    `total`: how many there are; `val_loss`, `val_accuracy`: [id of its event, value] of the best so far.
    """
    before = curve or {"total": 0}
    best: Json = {}
    for name, better in BEST.items():
        came, kept = data.get(name), before.get(name)
        as_good = kept is not None and came is not None and better(kept[1], came) == kept[1]
        best[name] = kept if as_good or came is None else [event_id, came]
    return {"total": before["total"] + 1, **best}


def milestones(curve: Json, first: int, last: int) -> list[int]:
    """Where to look for the metrics to show of a run that has more than `SHOWN`, between two event ids.

    Each stands for the first metric from there on. No more than `SHOWN`; in the order of the ids.
    """
    steps = SHOWN - len(BEST) - 1
    even = {first + (last - first) * step // steps for step in range(steps + 1)}
    return sorted(even | {place[0] for name in BEST if (place := curve.get(name))})
