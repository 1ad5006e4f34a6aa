"""The programs of a workload: what each depends on, how it is compiled, and how a run waits for it."""

from __future__ import annotations

import os
import sys
from _thread import get_native_id
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from nets.architecture.read import parse_architecture
from nets.errors import CompilersBusy
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.layers.linear import Linear
from nets.network import initial_variables
from nets.optimizers import Sgd
from nets.process.devices import on
from nets.process.garbage import seldom_searched
from nets.process.origins import executable
from nets.training.cache import Program, ProgramCache
from nets.training.compilation import Arrival
from nets.training.filing import joined_on_host, shapes_joined
from nets.training.means import read_by_shapes, shapes_of
from nets.training.state import TrainState
from nets.training.update import Update
from nets.training.workload import Workload, longest_chunk, shapes, workload_of

Report = TypeVar("Report")

COMPILERS = 2  # programs of a run compiled at a time: the compiler itself uses little more than one core
# Programs compiled at a time in all. Those of runs that were given up cannot be stopped, and each takes memory and CPU.
MOST_UNDER_WAY = 16
# Layers from which on only the training program is waited for, which has all processors then. The others of a smaller
# network are compiled beside it: a short epoch would have to wait for them.
MANY_LAYERS = 40
LEAST_PRIORITY = 19  # of threads that compile what nobody waits for
ASKED_AGAIN = 0.1  # seconds between two reports of a compilation, which is when it can be given up


@dataclass(frozen=True)
class Programs:
    """The executables of a workload; Pending where nobody has waited for it. `tail`: for the last batch where it
    differs, else the same as `train`.

    update: where a step is cut, the end of it; `train` then gathers the gradients of its parts.
    means: where a network ends in an embedding, where the classes are in it.
    average: where weights are averaged over epochs, what follows an epoch.
    origins: where each of them came from.
    """

    train: Program
    tail: Program | Pending
    evaluate: Program | Pending
    update: Program | None = None
    average: Program | None = None
    means: Program | Pending | None = None
    origins: Sequence[Arrival] = ()

    @property
    def late(self) -> list[Pending]:
        """Those that nobody has waited for, in the order in which a run needs them."""
        return [each for each in (self.tail, self.means, self.evaluate) if isinstance(each, Pending)]


@dataclass(frozen=True)
class Pending:
    """A program that is compiled while the run trains already: it is first needed at the end of an epoch.

    ahead: whether it was under way when the run asked. threads: those that compile it for this run.
    """

    part: Part
    cache: ProgramCache
    future: Future[Program]
    ahead: bool
    threads: Sequence[int]

    def awaited(self, report: Report) -> Generator[Report, None, Program]:
        """The program; yields `report` again and again while it is not there."""
        while wait([self.future], ASKED_AGAIN).not_done:
            yield report
        return self.future.result()

    def arrivals(self) -> list[Arrival]:
        """Where it came from; nothing where it has given way already."""
        return arrivals([self.part], self.cache, {self.part.name} if self.ahead else set())

    def give_up(self) -> None:
        """What has not begun is dropped; what has begun goes on at a low priority."""
        if not (self.future.cancel() or self.future.done()):
            give_way(self.threads)


@dataclass(frozen=True)
class Part:
    """One program of a workload: what it is for, what of the workload it depends on, and how it is compiled."""

    name: str
    depends_on: Workload
    compile: Callable[[], Program]

    @property
    def key(self) -> tuple[str, Workload]:
        return self.name, self.depends_on

    def program(self) -> Program:
        """It, compiled for the device of the workload."""
        with on(self.depends_on.place), seldom_searched():
            return self.compile()


def parts(workload: Workload) -> Iterator[Part]:
    """Every program of a workload."""
    if workload.cut:
        yield Part("train", workload, lambda: compile_gathering(workload))
        yield Part("update", workload, lambda: compile_update(workload))
    else:
        yield Part("train", workload, lambda: compile_training(workload, workload.chunk, workload.batch))
    yield evaluation(workload)
    if workload.objective.loss.embeds:
        yield means_of(workload)
    if workload.update.swa:
        yield Part("average", workload, lambda: compile_averaging(workload))
    if workload.rest:
        yield Part("tail", workload, lambda: compile_last(workload))
    elif workload.tail and not workload.cut:
        yield Part("tail", workload, lambda: compile_training(workload, 1, workload.tail))


def evaluation(workload: Workload) -> Part:
    """The program that evaluates. It knows no update and no batches of training: one program for all of them."""
    return Part("evaluate", evaluated(workload), lambda: compile_evaluation(workload))


def means_of(workload: Workload) -> Part:
    """The program that tells where classes are in an embedding."""
    return Part("means", evaluated(workload), lambda: compile_means(workload))


def evaluated(workload: Workload) -> Workload:
    """What evaluation depends on of a workload."""
    batch = workload.batch if workload.objective.loss.embeds else 1
    update, objective = Update(Sgd().structure()), workload.objective.evaluated()
    return replace(
        workload, update=update, objective=objective, batch=batch, tail=0, micro=None, stacked=workload.stacks
    )


def compiling(
    workload: Workload, cache: ProgramCache, report: Report, *, late: bool = False
) -> Generator[Report, None, Programs]:
    """The programs of a workload; yields as `compiled` does, and raises as it does.

    late: those that a run needs at the end of an epoch are begun when all others are there, and not waited for.
    """
    wanted = list(parts(workload))
    behind = [p for p in wanted if late and needed_late(p) and not callable(cache.find(p.key))]
    wanted = [part for part in wanted if part not in behind]
    there = {part.name for part in wanted if cache.find(part.key) is not None}
    done: dict[str, Any] = yield from compiled(wanted, cache, report)
    done |= {each.part.name: each for each in pending(behind, cache)}
    return Programs(
        done["train"],
        done.get("tail", done["train"]),
        done["evaluate"],
        done.get("update"),
        done.get("average"),
        done.get("means"),
        arrivals(wanted, cache, there),
    )


def needed_late(part: Part) -> bool:
    """Whether a run trains already while it is compiled."""
    if part.name in ("evaluate", "means"):
        return len(part.depends_on.graph.nodes) >= MANY_LAYERS
    return part.name == "tail"


def compiled(
    wanted: Sequence[Part], cache: ProgramCache, report: Report
) -> Generator[Report, None, dict[str, Program]]:
    """Some programs by name; yields `report` again and again while one that is not in the cache is compiled.

    They are compiled side by side, on threads of their own. Closing the generator waits for none of them: what has not
    begun is dropped; what has begun cannot be stopped, goes on at a low priority, and is there for who asks again.
    Raises CompilersBusy.
    """
    if cache.under_way() >= MOST_UNDER_WAY and any(cache.find(part.key) is None for part in wanted):
        raise CompilersBusy(f"{cache.under_way()} programs of networks are being compiled; wait until some are done")
    compiler, threads = compilers(COMPILERS)
    waiting: list[Future[Program]] = []
    try:
        found = {part.name: begun(part, cache, compiler) for part in wanted}
        waiting = [future for future in found.values() if isinstance(future, Future)]
        while waiting:
            yield report
            waiting = list(wait(waiting, ASKED_AGAIN).not_done)
        return {name: future.result() if isinstance(future, Future) else future for name, future in found.items()}
    finally:
        if waiting:
            give_way(threads)
        compiler.shutdown(wait=False, cancel_futures=True)


def compilers(count: int) -> tuple[ThreadPoolExecutor, list[int]]:
    """So many threads to compile on, and their ids as they begin."""
    threads: list[int] = []
    return ThreadPoolExecutor(count, "compiler", initializer=lambda: threads.append(get_native_id())), threads


def pending(wanted: Sequence[Part], cache: ProgramCache) -> list[Pending]:
    """Programs whose compilation is under way or begins now, one after the other: beside them a run trains.

    The order is that in which it needs them.
    """
    compiler, threads = compilers(1)
    found = []
    for part in sorted(wanted, key=lambda part: part.name == "evaluate"):
        ahead = cache.find(part.key) is not None
        future = compiler.submit(cache.compiled, part.key, part.program)
        found.append(Pending(part, cache, future, ahead, threads))
    compiler.shutdown(wait=False)
    return found


def arrivals(wanted: Sequence[Part], cache: ProgramCache, there: Container[str]) -> list[Arrival]:
    """Where programs came from that a run uses from now on. there: the names of those that were not begun for it."""
    return [Arrival(part.name, *used, ahead=part.name in there) for part in wanted if (used := cache.used(part.key))]


def begun(part: Part, cache: ProgramCache, compiler: Executor) -> Program | Future[Program]:
    """A program from the cache; or its compilation, where it is under way or begins now."""
    return cache.find(part.key) or compiler.submit(cache.compiled, part.key, part.program)


def give_way(threads: Sequence[int]) -> None:
    """Leave the processors to all other threads. Those of the compiler's own pool do as before."""
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        for thread in threads:
            with suppress(ProcessLookupError):  # it is done
                os.setpriority(os.PRIO_PROCESS, thread, LEAST_PRIORITY)


def compile_next(workload: Workload, cache: ProgramCache) -> bool:
    """Compile one program of a workload that is not in the cache, on the calling thread; False if all are there."""
    for part in parts(workload):
        if part.key not in cache:
            cache.compiled(part.key, part.program)
            return True
    return False


def rehearse(workload: Workload) -> None:
    """Make a first state and drop it: JAX compiles small things of its own the first time, 0.2 s of them."""
    with on(workload.place):
        workload.numbers()
        start(workload, initial_variables(workload.graph, seed=0))


def smallest() -> Workload:
    """The workload of hardly any network: most of what its rehearsal compiles is the same for every other."""
    network = parse_architecture({"input_size": 1, "layers": [Linear.model_validate({"out": 2}).to_json()]})
    return workload_of(network, parse_hyperparams({}), train=1, samples=1)


def start(workload: Workload, variables: Any) -> TrainState:
    """The state before the first step: zeros, but for what the update begins otherwise. Nothing is compiled."""
    state, variables = workload.state(), workload.filing.together(variables, joined_on_host)
    opt_state, step, averages = jax.tree.map(
        lambda leaf: jax.device_put(np.zeros(leaf.shape, leaf.dtype)), (state.opt_state, state.step, state.averages)
    )
    opt_state = workload.update.begin(opt_state, variables["params"])
    variables = jax.device_put(variables)
    return TrainState(variables["params"], variables["batch_stats"], opt_state, step, averages)


def compile_training(workload: Workload, chunk: int, batch: int) -> Program:
    """`Steps.train_chunk` for chunks of `chunk` batches; the state is donated."""
    steps = workload.steps_on(batch)
    function = jax.jit(steps.train_chunk, donate_argnums=0, compiler_options=steps.network.compiler_options)
    order, count = rows(chunk, batch), np.int32(0)
    return executable(function.lower(workload.state(), workload.data(), order, count, workload.numbers()))


def compile_gathering(workload: Workload) -> Program:
    """`Steps.gather` for the parts of a batch; what was gathered is donated."""
    steps, state, zero = workload.steps, workload.state(), np.int32(0)
    gathered = gathered_shapes(workload, state)
    function = jax.jit(steps.gather, donate_argnums=0, compiler_options=steps.network.compiler_options)
    order = rows(-(-workload.batch // workload.part), workload.part)
    lowered = function.lower(gathered, state, workload.data(), order, (zero, zero), zero, workload.numbers())
    return executable(lowered)


def compile_last(workload: Workload) -> Program:
    """`Steps.last` for the part of the last batch that is shorter; what was gathered is donated."""
    steps, state = workload.steps_on(workload.tail), workload.state()
    last = partial(steps.last, size=workload.rest)
    function = jax.jit(last, donate_argnums=0, compiler_options=steps.network.compiler_options)
    order = rows(-(-workload.batch // workload.part), workload.part)
    gathered = gathered_shapes(workload, state)
    return executable(function.lower(gathered, state, workload.data(), order, np.int32(0), workload.numbers()))


def gathered_shapes(workload: Workload, state: TrainState) -> Any:
    """What the parts of a batch give, as shapes."""
    return jax.eval_shape(workload.steps.nothing, state)


def compile_update(workload: Workload) -> Program:
    """`Steps.step_by`; what was gathered and the state are donated."""
    steps, state = workload.steps, workload.state()
    gathered = gathered_shapes(workload, state)
    function = jax.jit(steps.step_by, donate_argnums=(0, 1), compiler_options=steps.network.compiler_options)
    return executable(function.lower(gathered, state, np.int32(0), workload.numbers()))


def compile_averaging(workload: Workload) -> Program:
    """`Update.epoch_averaged`; the state is donated."""
    return executable(jax.jit(workload.update.epoch_averaged, donate_argnums=0).lower(workload.state()))


def compile_evaluation(workload: Workload) -> Program:
    """`Steps.evaluate_chunk`."""
    steps = workload.steps
    function = jax.jit(steps.evaluate_chunk, compiler_options=steps.network.compiler_options)
    order, numbers = rows(longest_chunk(workload.evaluation_batch), workload.evaluation_batch), workload.numbers()
    variables, layers, objective = (
        read_shapes(workload),
        numbers.layers,
        workload.objective.of_evaluation(numbers.objective),
    )
    return executable(function.lower(variables, workload.data(), order, np.int32(0), layers, objective))


def read_shapes(workload: Workload) -> Any:
    """What is evaluated, as shapes."""
    found = workload.filing.together(shapes(workload.graph), shapes_joined)
    if not workload.objective.loss.embeds:
        return found
    return {**found, "classes": read_by_shapes(workload.classes, workload.graph.classes)}


def compile_means(workload: Workload) -> Program:
    """`Steps.means_chunk`."""
    steps, layers = workload.steps, workload.numbers().layers
    function = jax.jit(steps.means_chunk, compiler_options=steps.network.compiler_options)
    order = rows(longest_chunk(workload.evaluation_batch), workload.evaluation_batch)
    held = shapes_of(workload.classes, workload.graph.classes)
    variables = workload.filing.together(shapes(workload.graph), shapes_joined)
    return executable(function.lower(held, variables, workload.data(), order, np.int32(0), layers))


def rows(chunk: int, batch: int) -> jax.ShapeDtypeStruct:
    """The row numbers of a dispatch as shapes."""
    return jax.ShapeDtypeStruct((chunk, batch), jnp.int32)
