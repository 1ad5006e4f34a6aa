"""Whether a program was compiled, read or there: JAX's events, each taken for the program of its thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import pytest

from nets.facts import Source
from nets.process import origins
from nets.process.origins import COMPILED, HIT, Origin, executable, noted

TOGETHER = 4
EVENTS: dict[Source, tuple[str, ...]] = {"cold": (COMPILED,), "disk": (HIT, COMPILED), "process": ()}


class Lowered:
    """In place of JAX's: tells what JAX tells, while others do."""

    def __init__(self, source: Source, together: threading.Barrier) -> None:
        self.source, self.together = source, together

    def compile(self) -> Source:
        for event in EVENTS[self.source]:
            self.together.wait(20)
            if event == HIT:
                jax.monitoring.record_event(event)
            else:
                jax.monitoring.record_event_duration_secs(event, 0.1)
        return self.source


@pytest.mark.parametrize("other", ["cold", "disk", "process"])
def test_threads_that_compile_are_told_apart(other: Source) -> None:
    apart = {source: threading.Barrier(2) for source in EVENTS}

    def one(source: Source) -> Origin:
        with noted() as origin:
            executable(cast(Any, Lowered(source, apart[source])))
            origins.kernel("cold", 1.0)
        return origin

    wanted: list[Source] = ["disk", "disk", other, other]
    apart["disk"] = threading.Barrier(wanted.count("disk"))
    with ThreadPoolExecutor(TOGETHER) as threads:
        found = list(threads.map(one, wanted))
    assert [origin.source for origin in found] == wanted
    assert all(origin.kernels == [("cold", 1.0)] and origin.seconds > 0 for origin in found)


def test_nothing_is_noted_where_nobody_asks() -> None:
    origins.kernel("cold", 1.0)
    assert executable(jax.jit(lambda x: x + 41).lower(jnp.float32(1)))(jnp.float32(1)) == 42


def test_what_a_program_needs_is_there_before_it_is_compiled() -> None:
    """As kernels are, which are compiled while it is traced."""
    first: Future[None] = Future()
    second: Future[None] = Future()
    seen: list[bool] = []

    class Watched:
        def compile(self) -> None:
            seen.extend([first.done(), second.done()])

    def compile() -> None:
        with noted():
            origins.needed(first)
            origins.needed(second)
            executable(cast(Any, Watched()))

    with ThreadPoolExecutor(1) as threads:
        compiling = threads.submit(compile)
        first.set_result(None)
        assert not wait([compiling], 0.05).done and not seen
        second.set_result(None)
        compiling.result(20)
    assert seen == [True, True]
    failed: Future[None] = Future()
    failed.set_exception(MemoryError())
    with pytest.raises(MemoryError):
        origins.needed(failed)  # there is no program in hand


def test_what_jax_itself_has_kept_is_not_compiled_anew() -> None:
    function, found = jax.jit(lambda x: x * 43), []
    for _ in range(2):
        with noted() as origin:
            jnp.arange(3) * 3  # a small program of JAX's own, compiled on the way
            executable(function.lower(jnp.float32(1)))
        found.append(origin.source)
    assert found == ["cold", "process"]


THREE_RUNS = """
import sys
from pathlib import Path
from nets import ProgramCache, fit, parse_architecture, parse_hyperparams
from nets.datasets import load
from nets.process.device import keep_compiled_programs

keep_compiled_programs(Path(sys.argv[1]))
layers = [{"type": "conv2d", "out_channels": 4, "kernel_size": 3}, {"type": "relu"}, {"type": "linear", "out": 10}]
network = parse_architecture({"input_size": 784, "layers": layers})
cache, hyperparams = ProgramCache(), parse_hyperparams({"epochs": 1, "max_samples": 320, "batch_size": 32})
for _ in range(2):
    *_, finished = fit(network, hyperparams, load("digits", Path(".")), programs=cache)
    told = finished.compilation
    kernels = {source: tally["count"] for source, tally in told["kernels"].items()}
    print(told["kind"], *(told[source]["count"] for source in ("cold", "disk", "process")), kernels)
"""


@pytest.mark.slow
def test_a_fresh_process_compiles_and_the_next_one_reads(tmp_path: Path) -> None:
    """With the kernels of machine code, where this processor has them."""

    def process() -> list[str]:
        command = [sys.executable, "-c", THREE_RUNS, str(tmp_path / "compiled")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=dict(os.environ))
        return done.stdout.splitlines()

    cold, again = process()
    disk, _ = process()
    assert cold.startswith("cold 2 0 0") and disk.startswith("disk 0 2 0") and again.startswith("process 0 0 2")
    assert "'disk': 0" in cold and "'cold': 0" in disk and "'cold': 0, 'disk': 0" in again
    assert cold.count("'cold': 0") == disk.count("'disk': 0"), "kernels that were compiled are read"
