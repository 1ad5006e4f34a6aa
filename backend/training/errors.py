"""What the queue refuses."""

from __future__ import annotations

from backend.state.records import RunState


class Busy(Exception):
    """A run is active or waiting, and the request did not ask to queue. `cancelling`: it is to end soon."""

    def __init__(self, active_run_id: str, *, cancelling: bool = False) -> None:
        super().__init__(f"run {active_run_id} is active")
        self.active_run_id, self.cancelling = active_run_id, cancelling


class QueueFull(Exception):
    """As many runs wait as may."""

    def __init__(self, places: int) -> None:
        super().__init__(f"the queue is full: {places} runs are waiting")
        self.places = places


class NotActive(Exception):
    """A run cannot be cancelled any more: it has ended in `state`."""

    def __init__(self, run_id: str, state: RunState) -> None:
        super().__init__(f"run {run_id} is {state}: only a queued or running run can be cancelled")
        self.run_id, self.state = run_id, state


class ShuttingDown(Exception):
    """No run is accepted any more: the server is stopping."""
