"""What the queue refuses."""

from __future__ import annotations

from backend.training.job import Kind


class Busy(Exception):
    """Something is active or waiting, and the request did not ask to queue. `cancelling`: it is to end soon."""

    def __init__(self, active_id: str, *, kind: Kind = "run", cancelling: bool = False) -> None:
        super().__init__(f"{kind} {active_id} is active")
        self.active_id, self.kind, self.cancelling = active_id, kind, cancelling


class QueueFull(Exception):
    """As many runs and benchmarks wait as may."""

    def __init__(self, places: int) -> None:
        super().__init__(f"the queue is full: {places} runs are waiting")
        self.places = places


class NotActive(Exception):
    """A run, or a benchmark, cannot be cancelled any more: it has ended in `state`."""

    def __init__(self, identifier: str, state: str, *, kind: Kind = "run") -> None:
        super().__init__(f"{kind} {identifier} is {state}: only a queued or running {kind} can be cancelled")
        self.identifier, self.state, self.kind = identifier, state, kind


class ShuttingDown(Exception):
    """Nothing is accepted any more: the server is stopping."""
