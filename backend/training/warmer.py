"""Compiling ahead: the programs of a saved definition are ready before somebody trains it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backend.state.attempts import COMPILING, READING, Attempts
from nets.training.cache import ProgramCache
from nets.training.programs import compile_next, rehearse, smallest
from nets.training.workload import Workload

logger = logging.getLogger("lamina.warm")

Wish = Callable[[], Workload | None]

WAITING = 8  # definitions to compile; an older one gives way
NICE = 10  # of the thread that traces and compiles


class Warmer:
    """Compiles one program at a time, and begins none while a run trains.

    A run waits for none: the program in hand is compiled beside it, at a low priority, and if it is one of the run's
    own, `nets.training.programs` has the run take it from there.
    Each network is an attempt: one that ended a server is left to the run that wants it.
    """

    def __init__(self, attempts: Attempts, programs: ProgramCache) -> None:
        self._attempts, self._programs = attempts, programs
        self._condition = threading.Condition()
        self._waiting: deque[Wish] = deque(maxlen=WAITING)
        self._paused = 0
        self._at_work = False
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="warmer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def warm(self, wish: Wish) -> None:
        """Compile a workload when there is time. `wish` says which, when its turn has come: None for none after all."""
        with self._condition:
            self._waiting.append(wish)
            self._condition.notify_all()

    def called_away(self) -> bool:
        """Whether a run trains, or the server closes: what goes on here at length ends itself."""
        return self._closed or self._paused > 0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While a run trains: the cores are its own."""
        with self._condition:
            self._paused += 1
        try:
            yield
        finally:
            with self._condition:
                self._paused -= 1
                self._condition.notify_all()

    def at_work(self) -> bool:
        """Whether it compiles now, which nothing can stop."""
        return self._at_work

    def close(self) -> None:
        """Begin no further compilation."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        self._attempts.close()

    def _work(self) -> None:
        if sys.platform == "linux":  # elsewhere a thread has no priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        self._fulfil(smallest, rehearse)  # a new server's first run finds it done
        while (wish := self._next()) is not None:
            self._fulfil(wish, self._compile)

    def _fulfil(self, wish: Wish, do: Callable[[Workload], None]) -> None:
        self._at_work = True
        try:
            if (workload := wish()) is None:
                return
            with self._attempts.of(COMPILING, depends_on=workload) as allowed:
                if allowed:
                    do(workload)
        except Exception:  # the run itself will tell its client; nobody waits for this one
            logger.exception("a definition could not be compiled ahead")
        finally:
            self._at_work = False

    def succeeded(self, workload: Workload, *, dataset: str) -> None:
        """A run has trained by this workload, and so by what the smallest one shares with it."""
        for each in (workload, smallest()):
            self._attempts.succeeded(COMPILING, depends_on=each)
        self._attempts.succeeded(READING, depends_on=dataset)

    def _next(self) -> Wish | None:
        with self._condition:
            self._condition.wait_for(lambda: self._closed or (self._waiting and not self._paused))
            return None if self._closed else self._waiting.popleft()

    def _compile(self, workload: Workload) -> None:
        """All programs of a workload; put back where a run comes in between."""
        while True:
            if not compile_next(workload, self._programs):
                rehearse(workload)
                return
            with self._condition:
                if self._closed:
                    return
                if self._paused:
                    if len(self._waiting) < WAITING:  # else it is the oldest, and gives way
                        self._waiting.appendleft(lambda: workload)
                    return
