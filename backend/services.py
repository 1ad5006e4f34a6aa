"""What the routes work with: one of each, made by `create_app`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import cast

from flask import current_app

from backend.actions.health import Writing
from backend.actions.infer import Predictors
from backend.actions.launch import DefaultDataset
from backend.config import Settings
from backend.events.capacity import Places
from backend.events.delivery import Delivery
from backend.events.log import EventLog
from backend.state.attempts import Attempts
from backend.state.checkpoints import Checkpoints
from backend.state.deaths import Deaths
from backend.state.store import Store
from backend.telemetry import Telemetry
from backend.training.limits import Limits
from backend.training.runs import Runs
from backend.training.warmer import Warmer


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts of a running server."""

    settings: Settings
    deaths: Deaths
    store: Store
    log: EventLog
    delivery: Delivery
    telemetry: Telemetry
    checkpoints: Checkpoints
    runs: Runs
    attempts: Attempts
    warmer: Warmer
    predictors: Predictors
    default_dataset: DefaultDataset
    limits: Limits
    streams: Places  # for event streams
    writing: Writing
    warnings: list[str] = field(default_factory=list)  # of the start, for health
    started: float = field(default_factory=time.monotonic)

    def close(self) -> None:
        """Stop the active run and end every event stream; the state on disk is complete afterwards."""
        self.warmer.close()
        self.runs.shutdown()
        self.log.close()
        self.delivery.close()
        self.store.close()


def services() -> Services:
    """Those of the application that answers the current request."""
    return cast(Services, current_app.extensions["lamina"])
