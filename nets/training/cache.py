"""The compiled programs that whoever trains keeps: the most recently used ones, and those being compiled."""

from __future__ import annotations

from _thread import allocate_lock
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from nets.process.origins import Origin, noted

Program = Callable[..., Any]

KEPT = 48  # compiled programs at a time, two or three for each network


@dataclass
class _Kept:
    program: Program
    origin: Origin
    used: bool = False  # by a run


class ProgramCache:
    """Programs by all that they depend on. Safe to use from many threads: each program is compiled by one of them."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = allocate_lock()  # held for no longer than a look into the tables
        self._programs: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._under_way: dict[Hashable, Future[Program]] = {}

    def __len__(self) -> int:
        return len(self._programs)

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._programs

    def under_way(self) -> int:
        """How many programs are being compiled."""
        return len(self._under_way)

    def find(self, key: Hashable) -> Program | Future[Program] | None:
        """A program, used from now on; or its compilation, where that has begun."""
        with self._lock:
            if (kept := self._programs.get(key)) is None:
                return self._under_way.get(key)
            self._programs.move_to_end(key)
            return kept.program

    def used(self, key: Hashable) -> tuple[Origin, bool] | None:
        """How a program came about, and whether a run has used it before: one does now. None if it has given way."""
        with self._lock:
            if (kept := self._programs.get(key)) is None:
                return None
            before, kept.used = kept.used, True
            return kept.origin, before

    def compiled(self, key: Hashable, compile_program: Callable[[], Program]) -> Program:
        """A program: kept, or compiled on this thread; where another thread is at it, that one's is waited for."""
        with self._lock:
            if (kept := self._programs.get(key)) is not None:
                return kept.program
            mine: Future[Program] = Future()
            future = self._under_way.setdefault(key, mine)
        if future is mine:
            self._compile(key, compile_program, mine)
        return future.result()

    def _compile(self, key: Hashable, compile_program: Callable[[], Program], future: Future[Program]) -> None:
        try:
            with noted() as origin:
                program = compile_program()
        except BaseException as error:
            with self._lock:
                del self._under_way[key]
            future.set_exception(error)
            return
        with self._lock:
            del self._under_way[key]
            self._programs[key] = _Kept(program, origin)
            while len(self._programs) > self._kept:
                self._programs.popitem(last=False)
        future.set_result(program)

    def clear(self) -> None:
        """Forget every program that is not in use elsewhere."""
        with self._lock:
            self._programs.clear()
