"""What a run tells of how it is computed: gathered while it trains, and recorded with what is recorded anyway."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import jax

from backend.state.records import Json, RunRecord
from backend.training import checkout
from backend.training.limits import Limits
from nets.facts import Compilation, Timing
from nets.process.environment import environment
from nets.process.peak_memory import PeakGauge

logger = logging.getLogger("lamina.runs")

SELDOM = 1.0  # seconds between two records of what changes all the time
# Seconds that a run waits at its end for the digest of its data set, which was begun before it trained: one that went
# well, which has trained for a while, and any other.
PATIENCE, LITTLE_PATIENCE = 30.0, 0.2


class Account:
    """Of one run, from one start to its end. Fails no run: what cannot be had is left out."""

    def __init__(self) -> None:
        self._news: Json = {}
        self._earlier: list[int] = []  # epochs that were the first after the starts before
        self._timing: Callable[[], Timing] | None = None
        self._gauge: PeakGauge | None = None
        self._digest: Future[str] | None = None
        self._told_at = 0.0

    def begin(self, record: RunRecord, limits: Limits, device: jax.Device | None = None) -> Json:
        """What is known at the start of a run. device: where it trains; None: the default."""
        self._earlier = list(record.timing["first_epochs"]) if record.timing else []
        settings = {"max_memory_gb": limits.memory_gb, "max_compile_seconds": limits.compile_seconds}
        facts: Json = {"compilation": None}  # that of a former start is no longer true
        try:
            self._gauge = PeakGauge(device=device)
            served = {"settings": {"kernels": record.kernels, **settings}, "git": checkout.git()}
            return {**facts, "environment": {**environment(device), **served}}
        except Exception:
            logger.exception("the environment of run %s cannot be told", record.run_id)
            return facts

    def compiled(self, compilation: Compilation) -> None:
        """Its programs are there."""
        self._news["compilation"] = compilation

    def trains_on(self, digest: Future[str]) -> None:
        """Its data set is there, its digest is or will be."""
        self._digest = digest

    def epoch(self, timing: Callable[[], Timing]) -> None:
        """An epoch has ended."""
        self._timing = timing

    def news(self) -> Json:
        """What was not told yet, and, once a second, what has changed since."""
        facts, self._news = self._news, {}
        if self._timing and time.monotonic() - self._told_at >= SELDOM:
            self._told_at = time.monotonic()
            facts |= self._measured()
        return facts | self._hashed(0)

    def last(self, *, patience: float = LITTLE_PATIENCE) -> Json:
        """All that is left to tell at the end. `patience`: seconds to wait for the digest of the data set."""
        return self._news | self._measured() | self._hashed(patience)

    def _measured(self) -> Json:
        facts: Json = {"peak_memory": self._gauge.told()} if self._gauge else {}
        timing = self._timing() if self._timing else None
        if timing and (timing["first_epochs"] or not self._earlier):
            firsts = sorted({*self._earlier, *timing["first_epochs"]})
            facts["timing"] = {**timing, "first_epochs": firsts}
        return facts

    def _hashed(self, patience: float) -> dict[str, Any]:
        if self._digest is None or not (patience or self._digest.done()):
            return {}
        digest, self._digest = self._digest, None
        try:
            return {"dataset_sha256": digest.result(patience)}
        except Exception:
            logger.exception("the digest of a data set cannot be told")
            return {}
