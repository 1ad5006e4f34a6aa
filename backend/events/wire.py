"""Events on the wire: Server-Sent Events, encoded once for all who follow."""

from __future__ import annotations

import msgspec

from backend.state.payloads import StateEvent
from backend.state.records import UNREADABLE, Json, RunState
from backend.state.rows import dumps
from nets.facts import StoppedBy, TargetReached

RETRY = b"retry: 3000\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


class Frame(msgspec.Struct, frozen=True):
    """One event of a run. `whole`: as it is sent. `event_id`: its place in the history, None for one without.

    `head`: how many bytes of it are the line of the id; without one it leaves the client's Last-Event-ID alone.
    """

    kind: str
    whole: bytes
    event_id: int | None = None
    head: int = 0

    def under(self, place: bytes) -> bytes:
        """The event with another id, which says to a reader of several runs how far all that it was sent goes."""
        return b"id: %b\n%b" % (place, self.whole[self.head :])


def state_data(
    run_id: str,
    state: RunState,
    *,
    error: str | None = None,
    test_accuracy: float | None = None,
    sample_predictions: list[Json] | None = None,
    worst: list[Json] | None = None,
    stopped_by: StoppedBy | None = None,
    target_reached: TargetReached | None = None,
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
    if worst is not None:
        data["worst"] = worst
    if stopped_by is not None:
        data["stopped_by"] = stopped_by
    if target_reached is not None:
        data["target_reached"] = target_reached
    if queue_position is not None:
        data["queue_position"] = queue_position
    if resumed:
        data["resumed"] = True
    return dict(data)


def encode(name: str, data: Json, event_id: int | None = None) -> Frame:
    """One event on the wire."""
    return frame(name, dumps(data), event_id)


def frame(name: str, text: str, event_id: int | None = None, *, of: str = "") -> Frame:
    """The same of data that is JSON already. An event that is damaged in the store is a comment, `of` a run."""
    head = "" if event_id is None else f"id: {event_id}\n"
    if name == UNREADABLE:
        told = f"{head}: event {event_id}{of} is damaged in the store and left out\n\n"
    else:
        told = f"{head}event: {name}\ndata: {text}\n\n"
    return Frame(name, told.encode(), event_id, len(head))


def comment(text: str) -> bytes:
    """Something for people alone."""
    return f": {text}\n\n".encode()
