"""How compiled code came into this process: compiled anew, read from the disk, or already there.

JAX tells of its programs by events (`jax.monitoring`), on the thread that compiles; kernels tell by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import jax
import jax.monitoring

from nets.facts import Source

HIT = "/jax/compilation_cache/cache_hits"  # the program was on the disk
COMPILED = "/jax/core/compile/backend_compile_duration"  # it was compiled, or read from the disk


@dataclass
class Origin:
    """How a program came about. `seconds`: on its thread, with all that it took. `kernels`: that came with it.

    needs: what has to be there before it is compiled, and is being made while it is traced.
    """

    source: Source = "cold"
    seconds: float = 0.0
    kernels: list[tuple[Literal["cold", "disk"], float]] = field(default_factory=list)
    needs: list[Future[None]] = field(default_factory=list)


_noted: ContextVar[Origin | None] = ContextVar("noted", default=None)  # of what this thread compiles
_awaited: ContextVar[Origin | None] = ContextVar("awaited", default=None)  # of what JAX compiles right now


@contextmanager
def noted() -> Iterator[Origin]:
    """What is compiled inside, on this thread, is noted."""
    origin, began = Origin(), time.perf_counter()
    token = _noted.set(origin)
    try:
        yield origin
    finally:
        _noted.reset(token)
        origin.seconds = time.perf_counter() - began


def executable(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """The program of what was lowered, and a note of where JAX had it from."""
    _listen()
    origin = _noted.get() or Origin()
    while origin.needs:
        origin.needs.pop().result()
    origin.source = "process"  # where no event tells otherwise: JAX itself has kept it
    token = _awaited.set(origin)
    try:
        return lowered.compile()
    finally:
        _awaited.reset(token)


def kernel(source: Literal["cold", "disk"], seconds: float) -> None:
    """Note a kernel of machine code that the program in hand needed first."""
    if (origin := _noted.get()) is not None:
        origin.kernels.append((source, seconds))


def needed(ready: Future[None]) -> None:
    """The program in hand needs something before it is compiled; where none is in hand, it is waited for at once."""
    origin = _noted.get()
    if origin is None:
        ready.result()
    else:
        origin.needs.append(ready)


@cache
def _listen() -> None:
    jax.monitoring.register_event_listener(_hit)
    jax.monitoring.register_event_duration_secs_listener(_compiled)


def _hit(event: str, **_: str | int) -> None:
    if event == HIT and (origin := _awaited.get()) is not None:
        origin.source = "disk"


def _compiled(event: str, duration_secs: float, **_: str | int) -> None:
    """Comes after the one above."""
    if event == COMPILED and (origin := _awaited.get()) is not None and origin.source == "process":
        origin.source = "cold"
