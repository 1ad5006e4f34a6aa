"""A run's metrics, polled: as JSON, and as CSV for spreadsheets. All of them, read and sent piece by piece."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields

import msgspec
from flask import Response, request
from typing_extensions import TypedDict

from backend.state.records import Json, RunState, StoredEvent
from backend.state.store import Store
from backend.state.summary import VAL
from nets.metrics.names import names_of
from nets.training.metrics import EpochMetrics

COLUMNS = ("id", "run_id", *(field.name for field in fields(EpochMetrics) if field.name != "metrics"))
PIECE = 500  # events in memory at once


class Metrics(TypedDict):
    """A run's metrics after an event. `last_event_id`: what to send as `since` next time.

    `next`: the same number if `limit` has cut the list off, or null.
    """

    run_id: str
    state: RunState
    metrics: list[Json]
    last_event_id: int
    next: int | None
    warnings: list[str]


@dataclass
class Telling:
    """Metrics with event ids from after `since` on, `limit` of them, up to what there is at this moment.

    `told`: the id of the last event looked at; `more`: whether others follow. Both are right after `pieces` has ended.
    """

    store: Store
    run_id: str
    state: RunState
    since: int
    last: int
    limit: int | None = None

    def __post_init__(self) -> None:
        self.told, self.more = self.since, False

    @property
    def short(self) -> bool:
        """Whether it is but one piece."""
        return self.last - self.since <= PIECE

    def pieces(self) -> Iterator[list[StoredEvent]]:
        """The metrics, some at a time."""
        left = self.limit
        while self.told < self.last and not self.more:
            events = self.store.events(self.run_id, after=self.told, limit=min(PIECE, self.last - self.told))
            metrics = [event for event in events if event.name == "metric"]
            if left is not None and len(metrics) > left:
                metrics, self.more = metrics[:left], True
                self.told = metrics[-1].id if metrics else self.told
            else:
                self.told = events[-1].id if events else self.last  # none: the run was deleted meanwhile
                left = None if left is None else left - len(metrics)
            yield metrics


def telling(store: Store, run_id: str, *, since: int, limit: int | None) -> Telling:
    """What there is to tell now. `UnknownRecord` if there is no such run."""
    state, last = store.tail(run_id)
    return Telling(store, run_id, state, since, last, limit)


def prefers_csv() -> bool:
    """Whether the Accept header ranks CSV above JSON."""
    return request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv"


def metrics_json(found: Telling) -> Response:
    """One object, as `Metrics` says."""
    return _response(found, _as_json(found), "application/json")


def metrics_csv(found: Telling) -> Response:
    """One row per epoch below a row of names."""
    response = _response(found, _as_csv(found), "text/csv")
    response.headers["Content-Disposition"] = f'inline; filename="{found.run_id}.csv"'
    return response


def _response(found: Telling, parts: Iterator[bytes], mimetype: str) -> Response:
    return Response(b"".join(parts) if found.short else parts, mimetype=mimetype)


def _as_json(found: Telling) -> Iterator[bytes]:
    head = msgspec.json.encode({"run_id": found.run_id, "state": found.state})
    yield head[:-1] + b',"metrics":['
    comma = b""
    for metrics in found.pieces():
        if metrics:
            # As it is stored: read and written again, a long list takes twice as long.
            yield comma + ",".join(f'{{"id":{event.id},{event.text[1:]}' for event in metrics).encode()
            comma = b","
    warnings = found.store.unreadable.of_run(found.run_id)
    rest = msgspec.json.encode(
        {"last_event_id": found.told, "next": found.told if found.more else None, "warnings": warnings}
    )
    yield b"]," + rest[1:] + b"\n"


def _as_csv(found: Telling) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    run = found.store.get_run(found.run_id, metrics=False)
    asked = {f"{VAL}{name}": name for name in (names_of(run.hyperparams) if run else ())}
    asked = {column: name for column, name in asked.items() if column not in COLUMNS}
    writer.writerow([*COLUMNS, *asked])
    for metrics in itertools.chain([[]], found.pieces()):
        for event in metrics:
            measured = event.data.get("metrics") or {}
            beside = (as_cell(measured.get(name)) for name in asked.values())
            writer.writerow([event.id, *(event.data.get(name) for name in COLUMNS[1:]), *beside])
        if piece := text.getvalue():  # an empty one would end a response in chunks
            yield piece.encode()
        text.seek(0)
        text.truncate()


def as_cell(value: object) -> object:
    """A value of a metric as it is written: lists as JSON."""
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value
