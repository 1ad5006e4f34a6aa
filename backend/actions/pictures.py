"""Pictures of runs: what is drawn is read and named here; it is drawn where a client does not have it yet."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version

from backend.errors import ApiError
from backend.parsing.queries import ComparedCurves, Curves
from backend.state.records import Json, RunRecord
from backend.state.store import Store
from backend.state.summary import METRICS, VAL
from nets.metrics.names import values_of
from nets.plots.course import Course

KEPT = 32  # pictures
PATIENCE = 5.0  # seconds in which a place in the line of who draws comes free
VERSIONS = tuple(version(name) for name in ("lamina", "matplotlib"))


@dataclass(frozen=True)
class Picture:
    """A picture that may be drawn. `tag`: equal for equal bytes. name: of a file."""

    name: str
    tag: str
    draw: Callable[[], str | bytes]
    media: str = "image/svg+xml"
    ending: str = "svg"


class Easel:
    """Draws one picture at a time: training and the other requests have the rest of the processor."""

    def __init__(self) -> None:
        self._drawing = threading.Lock()
        self._kept: OrderedDict[str, str | bytes] = OrderedDict()

    def drawn(self, picture: Picture) -> str | bytes:
        """What its file has; ApiError 503 where many others are waited for."""
        if not self._drawing.acquire(timeout=PATIENCE):
            raise ApiError(503, "Other pictures are being drawn; try again later", headers={"Retry-After": "2"})
        try:
            if picture.tag not in self._kept:
                self._kept[picture.tag] = picture.draw()
            self._kept.move_to_end(picture.tag)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return self._kept[picture.tag]
        finally:
            self._drawing.release()


def of_run(store: Store, run: RunRecord, query: Curves) -> Picture:
    """The curves of one run."""
    course = course_of(store, run, timed=query.x == "seconds")

    def draw() -> str:
        from nets.plots.curves import run_curves

        return run_curves(course, x=query.x, theme=query.theme, width=query.width, height=query.height)

    return Picture(run.run_id, tag_of("run", course, query), draw)


def of_runs(store: Store, runs: Sequence[RunRecord], query: ComparedCurves) -> Picture:
    """The curves of several."""
    courses = [course_of(store, run, timed=query.x == "seconds") for run in runs]
    metrics = query.metrics

    def draw() -> str:
        from nets.plots.curves import compared_curves

        return compared_curves(courses, metrics, x=query.x, theme=query.theme, width=query.width, height=query.height)

    return Picture("compare", tag_of("runs", courses, query), draw)


def course_of(store: Store, run: RunRecord, *, timed: bool) -> Course:
    """What a run has reached: of a long one the epochs that its record shows. timed: with the seconds of each."""
    shown = run.metrics
    epochs = [int(metric["epoch"]) for metric in shown]
    seconds = store.seconds_at(run.run_id, epochs) if timed else {}
    best = run.best["epoch"] if run.best else None
    place = "" if run.state in ("queued", "succeeded") else f", epoch {run.epoch} of {run.epochs_total}"
    return Course(
        run_id=run.run_id,
        name=run.name or run.run_id,
        epochs=epochs,
        seconds=[seconds.get(epoch, 0.0) for epoch in epochs] if timed else [],
        metrics=values_by_name(shown),
        best=epochs.index(best) if best in epochs else None,
        told=f"{run.state}{place}",
    )


def values_by_name(shown: Sequence[Json]) -> dict[str, list[float | None]]:
    """The values of epochs by metric, of those that the run was asked for as well, such as `val_f1`."""
    epochs = [{**values_of(metric.get("metrics"), VAL), **metric} for metric in shown]
    names = dict.fromkeys([*METRICS, *(name for epoch in epochs for name in epoch if name.startswith(VAL))])
    return {name: [epoch.get(name) for epoch in epochs] for name in names}


def tag_of(*parts: object) -> str:
    """A name of all that a picture depends on."""
    return sha256(repr((VERSIONS, parts)).encode()).hexdigest()[:32]
