"""Events on the wire: Server-Sent Events, encoded once for all who follow."""

from __future__ import annotations

from backend.state.payloads import StateEvent
from backend.state.records import UNREADABLE, Json, RunState
from backend.state.rows import dumps

RETRY = b"retry: 3000\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def state_data(
    run_id: str,
    state: RunState,
    *,
    error: str | None = None,
    test_accuracy: float | None = None,
    sample_predictions: list[Json] | None = None,
    queue_position: int | None = None,
    resumed: bool = False,
) -> Json:
    """The data of a `state` event: always the five keys of the contract, and those of the others that say something."""
    data: StateEvent = {
        "run_id": run_id,
        "state": state,
        "error": error,
        "test_accuracy": test_accuracy,
        "sample_predictions": sample_predictions,
    }
    if queue_position is not None:
        data["queue_position"] = queue_position
    if resumed:
        data["resumed"] = True
    return dict(data)


def encode(name: str, data: Json, event_id: int | None = None) -> bytes:
    """One event on the wire; without an id it leaves the client's Last-Event-ID alone."""
    return frame(name, dumps(data), event_id)


def frame(name: str, text: str, event_id: int | None = None) -> bytes:
    """The same of data that is JSON already. An event that is damaged in the store is a comment."""
    if name == UNREADABLE:
        return f"id: {event_id}\n: event {event_id} is damaged in the store and left out\n\n".encode()
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {name}\ndata: {text}\n\n".encode()
