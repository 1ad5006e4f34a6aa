"""Compiling ahead: a saved definition trains at once, and a run never competes with the warmer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from backend.warm import Warmer
from nets import programs
from nets.hyperparams import parse_hyperparams
from nets.programs import Recipe, recipe_on
from tests.nets.builders import network, stripes

DEADLINE = 60.0


@pytest.fixture
def warmer() -> Iterator[Warmer]:
    warmer = Warmer()
    warmer.start()
    yield warmer
    warmer.close()
    warmer._thread.join(DEADLINE)
    assert not warmer._thread.is_alive()


def recipe(width: int) -> Recipe:
    a = network({"type": "linear", "out": width}, {"type": "linear", "out": 3})
    return recipe_on(a, parse_hyperparams({}), stripes().info)


def compiled(wanted: Recipe) -> bool:
    return all((name, key) in programs.CACHE for name, key, _ in programs.parts(wanted))


def wait_for(wanted: Recipe) -> None:
    end = time.monotonic() + DEADLINE
    while not compiled(wanted):
        assert time.monotonic() < end
        time.sleep(0.01)


def nothing() -> None:
    return None


def test_a_wish_is_compiled_and_kept(warmer: Warmer) -> None:
    wanted = recipe(17)
    assert not compiled(wanted)
    warmer.warm(lambda: wanted)
    wait_for(wanted)
    assert list(programs.compiling(wanted, "must compile")) == []


def test_a_wish_for_nothing_or_a_broken_one_stops_nobody(warmer: Warmer, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Recipe | None:
        raise RuntimeError("no such thing")

    wanted = recipe(18)
    warmer.warm(nothing)
    warmer.warm(broken)
    warmer.warm(lambda: wanted)
    wait_for(wanted)
    assert "could not be compiled ahead" in caplog.text


def test_nothing_is_compiled_while_a_run_trains(warmer: Warmer) -> None:
    wanted, asked = recipe(19), threading.Event()

    def wish() -> Recipe:
        asked.set()
        return wanted

    with warmer.paused(nothing):
        warmer.warm(wish)
        assert not asked.wait(0.3)
    assert asked.wait(DEADLINE)
    wait_for(wanted)


def test_a_run_that_shall_stop_waits_for_no_compiler(warmer: Warmer) -> None:
    class Stop(Exception):
        pass

    def check() -> None:
        raise Stop

    with warmer._compiling, pytest.raises(Stop), warmer.paused(check):
        pass
    wanted = recipe(20)  # and it goes on afterwards
    warmer.warm(lambda: wanted)
    wait_for(wanted)
