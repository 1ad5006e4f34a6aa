"""Compiled programs are bounded, and freed when they give way; who gives one up holds up nobody."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

import jax
import pytest

from nets.errors import CompilersBusy
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.training import programs
from nets.training.cache import ProgramCache
from nets.training.programs import Pending, Programs, compile_next, compiling, rehearse
from nets.training.workload import Workload, workload_of
from tests.nets.builders import network

DEADLINE = 60.0
KEPT = 4
SMALL_ONES = 10  # programs of JAX's own: keys, conversions


def executables() -> int:
    """Programs that the compiler's runtime holds."""
    gc.collect()
    return len(jax.local_devices()[0].client.live_executables())


@pytest.mark.slow
def test_programs_that_give_way_are_freed() -> None:
    cache = ProgramCache(kept=KEPT)
    before = executables()
    for width in range(3, 9):
        architecture = network({"type": "linear", "out": width}, {"type": "relu"}, {"type": "linear", "out": 3})
        made = workload_of(architecture, parse_hyperparams({"batch_size": 8}), train=16, samples=32)
        while compile_next(made, cache):
            pass
        rehearse(made)
        assert len(cache) <= KEPT
        assert executables() <= before + KEPT + SMALL_ONES
    assert len(cache) == KEPT


class Compiler:
    """In place of XLA: compiles nothing before it is told to. `begun`: the widths of networks, and its threads."""

    def __init__(self) -> None:
        self.cache = ProgramCache()
        self.begun: list[tuple[str, int, int]] = []
        self.stuck: set[int] = set()
        self.slow: set[str] = set()
        self.go_on = threading.Event()

    def compile(self, what: str, workload: Workload) -> Callable[..., object]:
        width = next(node.layer.out_features for node in workload.graph.nodes if node.arrays)
        self.begun.append((what, width, threading.get_native_id()))
        assert not (width in self.stuck or what in self.slow) or self.go_on.wait(DEADLINE)
        return lambda: (what, width)

    def of(self, width: int) -> list[str]:
        return sorted(what for what, its, _ in self.begun if its == width)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Compiler]:
    compiler = Compiler()
    monkeypatch.setattr(programs, "compile_training", lambda r, chunk, batch: compiler.compile(f"train {batch}", r))
    monkeypatch.setattr(programs, "compile_evaluation", lambda r: compiler.compile("evaluate", r))
    yield compiler
    compiler.go_on.set()
    until(lambda: not compiler.cache.under_way())


def of_width(width: int) -> Workload:
    """With three programs: 8 samples at a time, the last 5, and evaluation."""
    architecture = network({"type": "linear", "out": width}, {"type": "batchnorm1d"}, {"type": "linear", "out": 3})
    return workload_of(architecture, parse_hyperparams({"batch_size": 8}), train=21, samples=32)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def compiled(wanted: Workload, cache: ProgramCache) -> tuple[Programs, int]:
    """The programs, and how often somebody was told that they are being compiled."""
    generator, told = compiling(wanted, cache, None), 0
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value, told
        told += 1


def give_up(compiler: Compiler, width: int) -> None:
    compiler.stuck.add(width)
    run = compiling(of_width(width), compiler.cache, None)
    next(run)
    until(lambda: len(compiler.of(width)) == programs.COMPILERS)
    run.close()


def test_where_programs_came_from(compiler: Compiler) -> None:
    """Compiled for this run, compiled ahead, given up by another run while it was compiled, and used before."""
    assert compile_next(of_width(3), compiler.cache)
    give_up(compiler, 4)
    compiler.go_on.set()
    runs = [compiled(of_width(width), compiler.cache)[0] for width in (3, 3, 4)]
    told = [
        {each["name"]: (each["source"], each["ahead"]) for each in (one.told for one in run.origins)} for run in runs
    ]
    assert told[0] == {"train": ("cold", True), "evaluate": ("cold", False), "tail": ("cold", False)}
    assert set(told[1].values()) == {("process", False)}
    assert told[2] == {"train": ("cold", True), "evaluate": ("cold", True), "tail": ("cold", False)}


def test_compilations_that_were_given_up_hold_up_nobody(compiler: Compiler) -> None:
    for width in (3, 4, 5):
        give_up(compiler, width)
    for width in (6, 7):
        made, told = compiled(of_width(width), compiler.cache)
        assert callable(made.tail)
        assert [each() for each in (made.train, made.tail, made.evaluate)] == [
            ("train 8", width),
            ("train 5", width),
            ("evaluate", width),
        ]
        assert told <= 2
    assert [compiler.of(width) for width in (3, 4, 5)] == [["evaluate", "train 8"]] * 3, "the third was dropped"
    compiler.go_on.set()
    until(lambda: not compiler.cache.under_way())
    compiled(of_width(3), compiler.cache)
    assert compiler.of(3) == ["evaluate", "train 5", "train 8"], "what had begun was not compiled a second time"


def late(width: int, cache: ProgramCache) -> tuple[Programs, Pending]:
    """The programs that a run waits for before it trains, and the one that it does not wait for."""
    generator = compiling(of_width(width), cache, None, late=True)
    while True:
        try:
            next(generator)
        except StopIteration as end:
            assert isinstance(end.value.tail, Pending)
            return end.value, end.value.tail


def test_the_program_for_the_last_batch_is_begun_behind_the_others(compiler: Compiler) -> None:
    compiler.slow.add("train 5")
    made, tail = late(3, compiler.cache)
    assert made.train() == ("train 8", 3) and {one.name for one in made.origins} == {"train", "evaluate"}
    until(lambda: compiler.of(3) == ["evaluate", "train 5", "train 8"])
    waits = tail.awaited("a while")
    assert next(waits) == next(waits) == "a while"
    compiler.go_on.set()
    with pytest.raises(StopIteration) as end:
        [next(waits) for _ in iter(int, 1)]
    assert end.value.value() == ("train 5", 3)
    assert [(one.name, one.told["source"], one.ahead) for one in tail.arrivals()] == [("tail", "cold", False)]
    again = compiling(of_width(3), compiler.cache, None, late=True)
    with pytest.raises(StopIteration) as there:
        next(again)
    assert there.value.value.tail() == ("train 5", 3), "what is there is no longer late"


def test_all_that_an_epoch_ends_with_is_begun_behind_the_training_program(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, in the order in which a run needs them: it trains beside them."""
    monkeypatch.setattr(programs, "MANY_LAYERS", 3)
    compiler.slow |= {"train 5", "evaluate"}
    made, _ = late(3, compiler.cache)
    assert [one.name for one in made.origins] == ["train"] and [one.part.name for one in made.late] == [
        "tail",
        "evaluate",
    ]
    until(lambda: len(compiler.begun) == 2)
    assert compiler.of(3) == ["train 5", "train 8"], "the one that evaluates waits for its turn"
    for each in made.late:
        each.give_up()
    compiler.go_on.set()
    until(lambda: not compiler.cache.under_way())
    assert compiler.of(3) == ["train 5", "train 8"], "what had not begun was dropped"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_the_program_for_the_last_batch_gives_way_when_its_run_ends_before(compiler: Compiler) -> None:
    compiler.slow.add("train 5")
    _, tail = late(3, compiler.cache)
    until(lambda: len(compiler.of(3)) == 3)
    tail.give_up()
    (thread,) = (thread for what, _, thread in compiler.begun if what == "train 5")
    assert os.getpriority(os.PRIO_PROCESS, thread) == 19
    _, again = late(3, compiler.cache)
    compiler.go_on.set()
    list(again.awaited(None))
    assert again.arrivals()[0].ahead and compiler.of(3) == ["evaluate", "train 5", "train 8"]


def test_who_asks_again_waits_for_the_compilation_that_was_given_up(compiler: Compiler) -> None:
    give_up(compiler, 3)
    again = compiling(of_width(3), compiler.cache, None)
    next(again)
    compiler.go_on.set()
    list(again)
    assert compiler.of(3) == ["evaluate", "train 5", "train 8"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_what_nobody_waits_for_leaves_the_processors_to_others(compiler: Compiler) -> None:
    give_up(compiler, 3)
    assert {os.getpriority(os.PRIO_PROCESS, thread) for *_, thread in compiler.begun} == {19}
    compiled(of_width(4), compiler.cache)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < 19


def test_programs_that_are_compiled_at_a_time_are_bounded(compiler: Compiler) -> None:
    for width in range(3, 3 + programs.MOST_UNDER_WAY // programs.COMPILERS):
        give_up(compiler, width)
    with pytest.raises(CompilersBusy, match=r"^16 programs of networks are being compiled; wait until some are done$"):
        next(compiling(of_width(20), compiler.cache, None))
    compiler.go_on.set()
    until(lambda: not compiler.cache.under_way())
    compiled(of_width(20), compiler.cache)


def test_a_compilation_that_fails_can_be_tried_again(compiler: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(workload: Workload) -> None:
        raise MemoryError

    with monkeypatch.context() as failing:
        failing.setattr(programs, "compile_evaluation", fail)
        with pytest.raises(MemoryError):
            compiled(of_width(3), compiler.cache)
    assert not compiler.cache.under_way()
    compiled(of_width(3), compiler.cache)
