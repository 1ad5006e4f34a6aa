"""Compiled programs are kept by whoever trains: bounded, and shared by threads without compiling anything twice."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from nets.training.cache import Program, ProgramCache

DEADLINE = 60.0


def program(name: object) -> Program:
    return lambda: name


def test_the_most_recently_used_programs_are_kept() -> None:
    cache = ProgramCache(kept=2)
    for key in "ab":
        cache.compiled(key, lambda key=key: program(key))
    found = cache.find("a")
    assert found is not None and not isinstance(found, Future) and found() == "a"
    cache.compiled("c", lambda: program("c"))
    assert [key in cache for key in "abc"] == [True, False, True]
    assert len(cache) == 2


def test_a_program_that_fails_to_compile_can_be_compiled_again() -> None:
    cache = ProgramCache()

    def fail() -> Program:
        raise MemoryError

    with pytest.raises(MemoryError):
        cache.compiled("a", fail)
    assert cache.find("a") is None and cache.under_way() == 0
    assert cache.compiled("a", lambda: program("a"))() == "a"


def test_who_comes_while_a_program_is_compiled_waits_for_that_one() -> None:
    cache, begun, go_on = ProgramCache(), threading.Event(), threading.Event()

    def slow() -> Program:
        begun.set()
        assert go_on.wait(DEADLINE)
        return program("slow")

    with ThreadPoolExecutor() as threads:
        first = threads.submit(cache.compiled, "a", slow)
        assert begun.wait(DEADLINE)
        under_way = cache.find("a")
        assert isinstance(under_way, Future) and cache.under_way() == 1 and "a" not in cache
        second = threads.submit(cache.compiled, "a", lambda: program("another"))
        go_on.set()
        assert first.result(DEADLINE) is second.result(DEADLINE) is under_way.result()
        assert under_way.result()() == "slow"


class Slow(str):
    """A key that lets other threads come in between whenever it is hashed."""

    def __hash__(self) -> int:
        threading.Event().wait(1e-5)
        return super().__hash__()

    __eq__ = str.__eq__


def test_four_threads_fill_one_cache() -> None:
    """Tables that nobody locked raised KeyError here, where one thread dropped what another had just found."""
    cache, kept, made, lock = ProgramCache(kept=3), 3, Counter[str](), threading.Lock()
    together = threading.Barrier(4)

    def compile_counted(key: str) -> Program:
        with lock:
            made[key] += 1
        return program(key)

    def work(at: int) -> None:
        together.wait(DEADLINE)
        for i in range(300):
            key = Slow((i * (at + 1)) % 7)
            assert cache.compiled(key, lambda key=key: compile_counted(key))() == key
            found = cache.find(key)
            assert found is None or isinstance(found, Future) or found() == key
            assert len(cache) <= kept

    with ThreadPoolExecutor(4) as threads:
        done = wait([threads.submit(work, at) for at in range(4)], DEADLINE)
        assert not done.not_done
        for each in done.done:
            each.result()
    assert len(cache) == kept and cache.under_way() == 0
    assert set(made) == set("0123456")


def test_threads_that_ask_for_one_program_compile_it_once() -> None:
    cache, together, made = ProgramCache(), threading.Barrier(8), []

    def compile_once() -> Program:
        made.append(threading.get_ident())
        return program("a")

    def work() -> Program:
        together.wait(DEADLINE)
        return cache.compiled("a", compile_once)

    with ThreadPoolExecutor(8) as threads:
        found = {each.result(DEADLINE) for each in [threads.submit(work) for _ in range(8)]}
    assert len(found) == len(made) == 1
