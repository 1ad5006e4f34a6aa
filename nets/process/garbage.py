"""Python's search for reference cycles, which tracing a network sets off all the time and in vain."""

from __future__ import annotations

import gc
from _thread import allocate_lock
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 20_000  # new objects until the next search; Python's own 700 take a tenth of the time of a compilation

_lock = allocate_lock()
_inside = 0
_usual = gc.get_threshold()


@contextmanager
def seldom_searched() -> Iterator[None]:
    """While any thread is inside, new objects are searched for cycles less often; then as often as before."""
    global _inside, _usual
    with _lock:
        _inside += 1
        if _inside == 1:
            _usual = gc.get_threshold()
            gc.set_threshold(max(MANY, _usual[0]) if _usual[0] else 0, *_usual[1:])
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                gc.set_threshold(*_usual)
