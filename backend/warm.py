"""Compiling ahead: the programs of a saved definition are ready before somebody trains it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nets.programs import Recipe, compile_next, rehearse, smallest

logger = logging.getLogger("lamina.warm")

Wish = Callable[[], Recipe | None]

WAITING = 8  # definitions to compile; an older one gives way
NICE = 10  # of the thread that traces and compiles
POLL = 0.05  # seconds


class Warmer:
    """Compiles one program at a time while nothing trains. A run waits for the program in hand, never for a second."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: deque[Wish] = deque(maxlen=WAITING)
        self._paused = 0
        self._closed = False
        self._compiling = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="warmer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def warm(self, wish: Wish) -> None:
        """Compile a recipe when there is time. `wish` says which, when its turn has come: None for none after all."""
        with self._condition:
            self._waiting.append(wish)
            self._condition.notify_all()

    @contextmanager
    def paused(self, check: Callable[[], None]) -> Iterator[None]:
        """While a run trains: the cores are its own. `check` raises where the run shall stop waiting."""
        with self._condition:
            self._paused += 1
        try:
            while not self._compiling.acquire(timeout=POLL):
                check()
            self._compiling.release()
            yield
        finally:
            with self._condition:
                self._paused -= 1
                self._condition.notify_all()

    def close(self) -> None:
        """Begin no further compilation."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _work(self) -> None:
        if sys.platform == "linux":  # elsewhere a thread has no priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        rehearse(smallest())  # a new server's first run finds it done
        while (wish := self._next()) is not None:
            try:
                if (recipe := wish()) is not None:
                    self._compile(recipe)
            except Exception:  # the run itself will tell its client; nobody waits for this one
                logger.exception("a definition could not be compiled ahead")

    def _next(self) -> Wish | None:
        with self._condition:
            self._condition.wait_for(lambda: self._closed or (self._waiting and not self._paused))
            return None if self._closed else self._waiting.popleft()

    def _compile(self, recipe: Recipe) -> None:
        """All programs of a recipe; put back where a run comes in between."""
        while True:
            with self._compiling:
                if not compile_next(recipe):
                    rehearse(recipe)
                    return
            with self._condition:
                if self._closed:
                    return
                if self._paused:
                    if len(self._waiting) < WAITING:  # else it is the oldest, and gives way
                        self._waiting.appendleft(lambda: recipe)
                    return
