"""Compiling ahead: a saved definition trains at once, and a run never competes with the warmer."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from backend.state.attempts import Attempts
from backend.training import warmer as module
from backend.training.warmer import Warmer
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.training import programs
from nets.training.cache import Program, ProgramCache
from nets.training.workload import Workload, workload_on
from tests.backend.samples import eventually
from tests.nets.builders import network, stripes

DEADLINE = 60.0


@pytest.fixture
def warmer(tmp_path: Path) -> Iterator[Warmer]:
    warmer = Warmer(Attempts(tmp_path), ProgramCache())
    warmer.start()
    yield warmer
    warmer.close()
    warmer._thread.join(DEADLINE)
    assert not warmer._thread.is_alive()


def workload(width: int) -> Workload:
    a = network({"type": "linear", "out": width}, {"type": "linear", "out": 3})
    return workload_on(a, parse_hyperparams({}), stripes().info)


def compiled(wanted: Workload, cache: ProgramCache) -> bool:
    return all(part.key in cache for part in programs.parts(wanted))


def wait_for(wanted: Workload, cache: ProgramCache) -> None:
    end = time.monotonic() + DEADLINE
    while not compiled(wanted, cache):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_wish_is_compiled_and_kept(warmer: Warmer) -> None:
    wanted = workload(17)
    assert not compiled(wanted, warmer._programs)
    warmer.warm(lambda: wanted)
    wait_for(wanted, warmer._programs)
    assert list(programs.compiling(wanted, warmer._programs, "must compile")) == []


def test_a_wish_for_nothing_or_a_broken_one_stops_nobody(warmer: Warmer, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Workload | None:
        raise RuntimeError("no such thing")

    wanted = workload(18)
    warmer.warm(lambda: None)
    warmer.warm(broken)
    warmer.warm(lambda: wanted)
    wait_for(wanted, warmer._programs)
    assert "could not be compiled ahead" in caplog.text


def test_nothing_is_compiled_while_a_run_trains(warmer: Warmer) -> None:
    wanted, asked = workload(19), threading.Event()

    def wish() -> Workload:
        asked.set()
        return wanted

    with warmer.paused():
        warmer.warm(wish)
        assert not asked.wait(0.3)
    assert asked.wait(DEADLINE)
    wait_for(wanted, warmer._programs)


def test_the_oldest_wish_gives_way_to_those_that_came_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the one in hand, which goes back into the queue when a run comes."""
    warmer, first, newer = (
        Warmer(Attempts(tmp_path), ProgramCache()),
        workload(23),
        [workload(24 + each) for each in range(module.WAITING)],
    )
    monkeypatch.setattr(module, "compile_next", lambda *_: True)
    for wanted in newer:
        warmer.warm(lambda wanted=wanted: wanted)
    with warmer.paused():
        warmer._compile(first)
    assert [wish() for wish in warmer._waiting] == newer


@pytest.mark.slow
def test_a_run_waits_for_no_program_but_its_own(warmer: Warmer, monkeypatch: pytest.MonkeyPatch) -> None:
    """And takes that one from the thread that compiles it already."""
    theirs, ours, go_on = workload(20), workload(21), threading.Event()
    begun: list[Workload] = []

    def stuck(w: Workload, chunk: int, batch: int) -> Program:
        begun.append(w)
        assert w is ours or go_on.wait(DEADLINE)
        return compile_training(w, chunk, batch)

    compile_training = programs.compile_training
    monkeypatch.setattr(programs, "compile_training", stuck)
    warmer.warm(lambda: theirs)
    eventually(lambda: begun)
    with warmer.paused():
        assert finished(programs.compiling(ours, warmer._programs, None)) is not None
        joined = programs.compiling(theirs, warmer._programs, None)
        next(joined)
        go_on.set()
        assert finished(joined) is not None
    assert begun == [theirs, ours]


def finished(generator: Generator[None, None, programs.Programs]) -> programs.Programs:
    """What a generator returns."""
    while True:
        try:
            next(generator)
        except StopIteration as end:
            result: programs.Programs = end.value
            return result
