"""Reference cycles are searched for less often while something is compiled, and as often as before afterwards."""

from __future__ import annotations

import gc
import threading

import pytest

from nets.process.garbage import MANY, seldom_searched


def test_the_last_to_leave_brings_back_what_was() -> None:
    usual, go_on, inside = gc.get_threshold(), threading.Event(), threading.Event()

    def compile() -> None:
        with seldom_searched():
            inside.set()
            go_on.wait(20)

    other = threading.Thread(target=compile)
    with seldom_searched():
        other.start()
        assert inside.wait(20) and gc.get_threshold() == (MANY, *usual[1:])
    assert gc.get_threshold()[0] == MANY, "another thread is still inside"
    go_on.set()
    other.join()
    assert gc.get_threshold() == usual


@pytest.mark.parametrize("own", [0, 10 * MANY])
def test_whoever_searches_seldom_or_never_is_left_alone(own: int) -> None:
    usual = gc.get_threshold()
    try:
        gc.set_threshold(own)
        with pytest.raises(MemoryError), seldom_searched():
            assert gc.get_threshold()[0] == own
            raise MemoryError
        assert gc.get_threshold()[0] == own
    finally:
        gc.set_threshold(*usual)
