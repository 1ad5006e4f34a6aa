"""Compiled programs: how large one dispatch is, and that equal networks are compiled once."""

from __future__ import annotations

import os
import sys
from _thread import get_native_id
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from nets.architecture.read import Architecture, parse_architecture
from nets.datasets import DatasetInfo
from nets.errors import CompilersBusy
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.hyperparams.losses import loss_on
from nets.hyperparams.optimizers import Optimizer, Sgd
from nets.kernels import plan_for
from nets.network import Network, initial_variables, numbers_of
from nets.training.pace import BACKWARD, DISPATCH_SECONDS, image_seconds, images_at_most
from nets.training.sampling import split_sizes
from nets.training.steps import Data, Inputs, Steps, TrainState, nothing_of

Program = Callable[..., Any]
Report = TypeVar("Report")

MAX_CHUNK, MAX_ROWS = 1024, 65_536
LARGE_EVALUATION = 256  # images evaluated at a time where the plan does not ask for fewer
COMPILERS = 2  # programs of a run compiled at a time: the compiler itself uses little more than one core
# Programs compiled at a time in all. Those of runs that were given up cannot be stopped, and each takes memory and CPU.
MOST_UNDER_WAY = 16
LEAST_PRIORITY = 19  # of threads that compile what nobody waits for
ASKED_AGAIN = 0.1  # seconds between two reports of a compilation, which is when it can be given up
KEPT = 48  # compiled programs at a time, two or three for each network


@dataclass(frozen=True)
class Recipe:
    """All that compiled programs depend on. Runs with equal recipes share them."""

    architecture: Architecture  # its structure
    optimizer: Optimizer  # its structure
    loss: str
    precision: str
    platform: str
    batch: int
    tail: int  # size of the last batch where it needs a program of its own, else 0
    samples: int

    @property
    def steps(self) -> Steps:
        plan = plan_for(self.platform, training=True, precision=self.precision)
        return Steps(Network(self.architecture, plan), self.optimizer, loss_on(self.platform, self.loss))

    @property
    def chunk(self) -> int:
        """The most steps that one dispatch can hold."""
        return longest_chunk(self.batch)

    @property
    def evaluation_batch(self) -> int:
        """Images evaluated at a time."""
        network = self.steps.network
        return min(network.plan.evaluation_batch or LARGE_EVALUATION, images_at_most(network, forward=True))

    def first_chunk(self) -> int:
        """How many steps to dispatch before any has been timed."""
        step = image_seconds(self.steps.network) * (self.part if self.cut else self.batch)
        return max(1, int(DISPATCH_SECONDS / step))

    def first_evaluation(self) -> int:
        """How many batches to evaluate before any has been timed."""
        seconds = image_seconds(self.steps.network) / BACKWARD * self.evaluation_batch
        return max(1, min(1024 // self.evaluation_batch, int(DISPATCH_SECONDS / seconds)))

    @property
    def part(self) -> int:
        """How many images go forward and back at a time."""
        return self.steps.part(self.batch)

    @property
    def cut(self) -> bool:
        """Whether a step is several dispatches: one for some parts of its batch each, and one for the update."""
        return self.steps.cut(self.batch)


def longest_chunk(batch: int) -> int:
    """Batches that one dispatch can hold: their row numbers are sent along with it."""
    return min(max(1, MAX_ROWS // batch), MAX_CHUNK)


def recipe_on(architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo) -> Recipe:
    """The recipe of a run on a data set of these sizes."""
    train, validation = split_sizes(hyperparams, info.train_size)
    return recipe(architecture, hyperparams, train=train, samples=train + validation + info.test_size)


def recipe(architecture: Architecture, hyperparams: Hyperparams, *, train: int, samples: int) -> Recipe:
    """The recipe of a run that trains on `train` of `samples` rows on the device."""
    batch = min(hyperparams.batch_size, train)
    return Recipe(
        architecture=architecture.structure,
        optimizer=hyperparams.optimizer.structure(),
        loss=hyperparams.loss,
        precision=hyperparams.precision,
        platform=jax.default_backend(),
        batch=batch,
        # Padding would enter the statistics of a norm over the batch: such networks see the true last batch.
        tail=train % batch if architecture.normalises else 0,
        samples=samples,
    )


@dataclass(frozen=True)
class Programs:
    """The executables of a recipe. `tail`: for the last batch where it differs, else the same as `train`.

    update: where a step is cut, the end of it; `train` then gathers the gradients of its parts.
    """

    train: Program
    tail: Program
    evaluate: Program
    update: Program | None = None


Key = tuple[str, Recipe]

CACHE: OrderedDict[Key, Program] = OrderedDict()
UNDER_WAY: dict[Key, Future[Program]] = {}  # compilations that have begun


def compiling(recipe: Recipe, report: Report) -> Generator[Report, None, Programs]:
    """The programs of a recipe; yields `report` again and again while one that is not in the cache is compiled.

    They are compiled side by side, on threads of their own. Closing the generator waits for none of them: what has not
    begun is dropped; what has begun cannot be stopped, goes on at a low priority, and is there for who asks again.
    Raises CompilersBusy.
    """
    if len(UNDER_WAY) >= MOST_UNDER_WAY and not all(known((name, key)) for name, key, _ in parts(recipe)):
        raise CompilersBusy(f"{len(UNDER_WAY)} programs of networks are being compiled; wait until some are done")
    threads: list[int] = []
    compiler = ThreadPoolExecutor(COMPILERS, "compiler", initializer=lambda: threads.append(get_native_id()))
    waiting: list[Future[Program]] = []
    try:
        found = {name: begun((name, key), compile_part, compiler) for name, key, compile_part in parts(recipe)}
        waiting = [future for future in found.values() if isinstance(future, Future)]
        while waiting:
            yield report
            waiting = list(wait(waiting, ASKED_AGAIN).not_done)
        done = {name: future.result() if isinstance(future, Future) else future for name, future in found.items()}
    finally:
        if waiting:
            give_way(threads)
        compiler.shutdown(wait=False, cancel_futures=True)
    for name, key, _ in parts(recipe):
        keep((name, key), done[name])
    return Programs(done["train"], done.get("tail", done["train"]), done["evaluate"], done.get("update"))


def known(key: Key) -> bool:
    """Whether a program is there, or being compiled. Asked by its key: other threads change both tables meanwhile."""
    return key in CACHE or key in UNDER_WAY


def give_way(threads: Sequence[int]) -> None:
    """Leave the processors to all other threads. Those of the compiler's own pool do as before."""
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        for thread in threads:
            os.setpriority(os.PRIO_PROCESS, thread, LEAST_PRIORITY)


def begun(key: Key, compile_part: Callable[[], Program], compiler: Executor) -> Program | Future[Program]:
    """A program from the cache; or its compilation, where it is under way or begins now."""
    return CACHE.get(key) or UNDER_WAY.get(key) or compiler.submit(compile_kept, key, compile_part)


def compile_next(recipe: Recipe) -> bool:
    """Compile one program of a recipe that is not in the cache, on the calling thread; False if all are there."""
    for name, key, compile_part in parts(recipe):
        if (name, key) not in CACHE:
            compile_kept((name, key), compile_part)
            return True
    return False


def rehearse(recipe: Recipe) -> None:
    """Make a first state and drop it: JAX compiles small things of its own the first time, 0.2 s of them."""
    inputs = Inputs(numbers_of(recipe.architecture), numbers(recipe.optimizer), jax.random.key(0))
    start(recipe, initial_variables(recipe.architecture, seed=0), inputs)


def smallest() -> Recipe:
    """The recipe of hardly any network: most of what its rehearsal compiles is the same for every other."""
    network = parse_architecture({"input_size": 1, "layers": [{"type": "linear", "out": 2}]})
    return recipe(network, parse_hyperparams({}), train=1, samples=1)


def compile_kept(key: Key, compile_part: Callable[[], Program]) -> Program:
    """Compile a program for the cache; where another thread is at it, wait for that one's."""
    mine: Future[Program] = Future()
    under_way = UNDER_WAY.setdefault(key, mine)
    if under_way is mine:
        try:
            program = compile_part()
            keep(key, program)
            mine.set_result(program)
        except BaseException as error:
            mine.set_exception(error)
        finally:
            del UNDER_WAY[key]
    return under_way.result()


def parts(recipe: Recipe) -> Iterator[tuple[str, Recipe, Callable[[], Program]]]:
    """Each program: its name, what of the recipe it depends on, and how it is compiled."""
    if recipe.cut:
        yield "train", recipe, lambda: compile_gathering(recipe)
        yield "update", recipe, lambda: compile_update(recipe)
    else:
        yield "train", recipe, lambda: compile_training(recipe, recipe.chunk, recipe.batch)
    # Evaluation knows no optimizer and no batches of training: one program for all of them.
    evaluated = replace(recipe, optimizer=Sgd().structure(), batch=1, tail=0)
    yield "evaluate", evaluated, lambda: compile_evaluation(recipe)
    if recipe.tail:
        yield "tail", recipe, lambda: compile_training(recipe, 1, recipe.tail)


def keep(key: Key, program: Program) -> None:
    """Put a program where the most recently used ones are."""
    CACHE[key] = program
    CACHE.move_to_end(key)
    while len(CACHE) > KEPT:
        CACHE.popitem(last=False)


def arguments(recipe: Recipe) -> tuple[TrainState, Inputs]:
    """The state of a run as shapes, and numbers in place of its own."""
    inputs = Inputs(numbers_of(recipe.architecture), numbers(recipe.optimizer), jax.random.key(0))
    return jax.eval_shape(recipe.steps.initial_state, shapes(recipe.architecture), inputs.optimizer), inputs


def compile_training(recipe: Recipe, chunk: int, batch: int) -> Program:
    """`Steps.train_chunk` for chunks of `chunk` batches; the state is donated."""
    steps, (state, inputs) = recipe.steps, arguments(recipe)
    function = jax.jit(steps.train_chunk, donate_argnums=0, compiler_options=steps.network.compiler_options)
    program: Program = function.lower(state, data(recipe), rows(chunk, batch), np.int32(0), inputs).compile()
    return program


def compile_gathering(recipe: Recipe) -> Program:
    """`Steps.gather` for the parts of a batch; what was gathered is donated."""
    steps, (state, inputs) = recipe.steps, arguments(recipe)
    gathered, zero = jax.eval_shape(nothing_of, state.params), np.int32(0)
    function = jax.jit(steps.gather, donate_argnums=0, compiler_options=steps.network.compiler_options)
    parts = rows(-(-recipe.batch // recipe.part), recipe.part)
    program: Program = function.lower(gathered, state, data(recipe), parts, (zero, zero), zero, inputs).compile()
    return program


def compile_update(recipe: Recipe) -> Program:
    """`Steps.step_by`; what was gathered and the state are donated."""
    steps, (state, inputs) = recipe.steps, arguments(recipe)
    gathered = jax.eval_shape(nothing_of, state.params)
    function = jax.jit(steps.step_by, donate_argnums=(0, 1), compiler_options=steps.network.compiler_options)
    program: Program = function.lower(gathered, state, np.int32(0), inputs).compile()
    return program


def compile_evaluation(recipe: Recipe) -> Program:
    """`Steps.evaluate_chunk`."""
    steps = recipe.steps
    function = jax.jit(steps.evaluate_chunk, compiler_options=steps.network.compiler_options)
    order = rows(longest_chunk(recipe.evaluation_batch), recipe.evaluation_batch)
    layers = numbers_of(recipe.architecture)
    program: Program = function.lower(shapes(recipe.architecture), data(recipe), order, np.int32(0), layers).compile()
    return program


def data(recipe: Recipe) -> Data:
    channels, height, width = recipe.architecture.input
    images: Any = jax.ShapeDtypeStruct((recipe.samples, height, width, channels), jnp.uint8)
    labels: Any = jax.ShapeDtypeStruct((recipe.samples,), jnp.int32)
    return Data(images, labels)


def rows(chunk: int, batch: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((chunk, batch), jnp.int32)


def shapes(architecture: Architecture) -> dict[str, Any]:
    """`nets.network.initial_variables` as shapes."""
    return {
        collection: {
            layer: {name: jax.ShapeDtypeStruct(p.shape, jnp.float32) for name, p in arrays.items()}
            for layer, arrays in layers.items()
        }
        for collection, layers in architecture.arrays().items()
    }


def numbers(optimizer: Optimizer) -> dict[str, jax.Array]:
    """The optimizer's numbers as inputs of a program."""
    return {name: jnp.float32(value) for name, value in optimizer.numbers().items()}


def start(recipe: Recipe, variables: Any, inputs: Inputs) -> TrainState:
    """The state before the first step. Every optimizer of the table starts from zeros, so nothing is compiled."""
    state = jax.eval_shape(recipe.steps.initial_state, variables, inputs.optimizer)
    opt_state, step = jax.tree.map(
        lambda leaf: jax.device_put(np.zeros(leaf.shape, leaf.dtype)), (state.opt_state, state.step)
    )
    variables = jax.device_put(variables)
    return TrainState(variables["params"], variables["batch_stats"], opt_state, step)
