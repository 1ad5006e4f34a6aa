"""What a run computes, as amounts that a rate each turns into seconds: operations, values, kernels, launches."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache

from nets.architecture.cost import own_parameters
from nets.architecture.graph import Graph
from nets.kernels.cpu.convolution import choose
from nets.kernels.cpu.plan import CpuPlan
from nets.kernels.cpu.problem import ConvProblem
from nets.kernels.loops import Loop, looped
from nets.kernels.plan import Plan
from nets.kernels.schedule import Stage, schedule
from nets.layers.base import Layer
from nets.training.workload import Workload

Amounts = Mapping[str, float]  # by the name of what there is so much of
MILLION, BILLION = 1e6, 1e9  # amounts of values are told in the first, operations in the second
WAYS = 3  # through a layer while training: forward, and to the gradients of its input and of its weights
BY_THEMSELVES = ("relu", "sigmoid", "tanh")  # functions of each value whose time is counted apart from all others
CACHED = 2.0  # millions of values up to which what a stage reads and writes is found in the caches


def sort_of(graph: Graph) -> str:
    """Which networks are predicted alike well: `sequences`, `images`, `features`."""
    kinds = {value.kind for node in graph.nodes for value in (*node.takes, node.gives)}
    return "sequences" if kinds & {"sequence", "tokens"} else "images" if graph.has_images else "features"


def of_training(workload: Workload, train: int) -> dict[str, float]:
    """One pass over so many training samples."""
    whole, rest = divmod(train, workload.batch)
    steps = whole if workload.tail else whole + bool(rest)
    tail = [(1.0, {"train.tail": 1.0}), (1.0, of_step(workload, workload.tail))] if workload.tail else []
    once = {"train.pass": 1.0, "train.rows": train / MILLION}
    return added((float(steps), of_step(workload, workload.batch)), (1.0, once), *tail)


def of_evaluation(workload: Workload, samples: int) -> dict[str, float]:
    """One pass over so many samples without a way back."""
    batch = workload.evaluation_batch
    steps = -(-samples // batch)
    return added((float(steps), through(workload, batch, train=False)), (1.0, {"evaluate.pass": 1.0}))


@lru_cache(256)
def of_step(workload: Workload, batch: int) -> dict[str, float]:
    """One step of training on `batch` samples."""
    part = workload.unstacked.part(batch)
    parts = -(-batch // part)
    return added((float(parts), through(workload, part, train=True)), (1.0, of_update(workload, parts)))


def of_update(workload: Workload, parts: int) -> dict[str, float]:
    """Weights, gradients and what the optimizer keeps of each; gradients of parts of a batch are added up."""
    update, many = workload.update, parameters(workload.graph)
    touched = many * (2 * update.trained + update.moved)
    gathered = (parts + 1) * many if parts > 1 else 0.0
    found = {
        f"update.{update.optimizer.type}": touched,
        "update.spilled": max(0.0, touched - CACHED) + (gathered if many > CACHED else 0.0),
        "update.gathered": gathered,
        "update.arrays": float(sum(len(node.arrays.parameters) for node in workload.graph.nodes)),
        "train.step": 1.0,
    }
    return {name: amount for name, amount in found.items() if amount}


def parameters(graph: Graph) -> float:
    return sum(map(own_parameters, graph.nodes)) / MILLION


@lru_cache(256)
def through(workload: Workload, batch: int, *, train: bool) -> dict[str, float]:
    """So many samples forward, and back where they train."""
    graph, plan = workload.graph, workload.plan_on(batch if train else 0)
    found: defaultdict[str, float] = defaultdict(float)
    found["input"], found["part"] = graph.input.size * batch / MILLION, 1.0
    gradients = with_gradients(graph)
    stages = schedule(graph, plan, batch=batch, train=train)
    for place in looped(stages, plan.least_copies, positions=plan.least_positions):
        loop = isinstance(place, Loop)
        block, times = (place.copies[0], len(place.copies)) if isinstance(place, Loop) else ((place,), 1)
        for stage in block:
            for name, amount in of_stage(stage, plan, batch, train, gradients):
                found[name] += amount * times
            if loop:
                found["looped.values"] += times * stage.nodes[-1].times * stage.nodes[-1].gives.size * batch / MILLION
                found["looped.weights"] += times * sum(map(own_parameters, stage.nodes)) / MILLION
                found["looped.calls"] += times
    prefix, precision = "train" if train else "evaluate", workload.precision
    return {named(prefix, name, precision): amount for name, amount in found.items() if amount}


def named(prefix: str, name: str, precision: str) -> str:
    """Operations take another time in another precision; all else is counted together."""
    return f"{prefix}.{name}" + (f".{precision}" if name.endswith("flops") and precision != "float32" else "")


@lru_cache(256)
def with_gradients(graph: Graph) -> frozenset[str]:
    """The values that depend on weights: a gradient goes back to them."""
    found: set[str] = set()
    for node in graph.nodes:
        if node.layer.arrays(*node.takes).parameters or any(name in found for name in node.inputs):
            found.add(node.id)
    return frozenset(found)


Found = Iterator[tuple[str, float]]


def of_stage(stage: Stage, plan: Plan, batch: int, train: bool, gradients: frozenset[str]) -> Found:
    """What a stage has to do."""
    first, rest = stage.nodes[0], stage.nodes
    back = any(name in gradients for name in stage.inputs)
    ways = (WAYS if back else WAYS - 1) if train else 1
    if next(first.layer.convolutions(*first.takes), None):
        yield from of_convolution(stage, plan, batch, ways)
        rest = rest[1:]
    if not rest:
        return
    name = "+".join(sorted(kind_of(each.layer) for each in rest))
    if macs := sum(each.cost.macs for each in rest):
        yield f"{name}.flops", 2 * macs * batch * ways / BILLION
        yield f"{name}.weights", sum(map(own_parameters, rest)) * ways / MILLION
    gives = rest[-1].times * rest[-1].gives.size
    left = max(rest[0].cost.held, gives) if len(rest) == 1 else gives
    moved = (sum(value.times * value.size for value in rest[0].takes) + left) * batch / MILLION
    yield f"{name}.values", moved * (1 if macs or not train or back else 0.5)
    yield f"{name}.calls", 1.0
    if (rounds := sum(each.layer.rounds(*each.takes) for each in rest)) > len(rest):
        yield f"{name}.rounds", float(rounds)
    yield "spilled", max(0.0, moved - CACHED)
    if train:
        yield f"{rest[0].gives.kind}.drawn", sum(each.cost.drawn for each in rest) * batch / MILLION


def kind_of(layer: Layer) -> str:
    """What its time is counted under: its type, and one name for all functions of each value but the commonest."""
    plain = layer.layouts == "elementwise" and not layer.random
    return "function" if plain and layer.type not in BY_THEMSELVES else layer.type


def of_convolution(stage: Stage, plan: Plan, batch: int, ways: int) -> Found:
    """The convolution that a stage begins with."""
    node = stage.nodes[0]
    ((kernel, at, size),) = node.layer.convolutions(*node.takes)
    if isinstance(plan, CpuPlan):
        problem = ConvProblem.of(kernel, at, size, batch * node.times, plan.machine)
        name, touched = of_algorithm(problem)
        macs = float(problem.result_values * math.prod(problem.kernel[:3]))
    else:
        name = "grouped" if at.groups > 1 else "plain"
        touched, macs = 0, float(node.cost.macs * batch)
    images, results = (node.times * value.size * batch / MILLION for value in (node.takes[0], node.gives))
    yield f"{name}.flops", 2 * macs * ways / BILLION
    yield f"{name}.image", images * ways
    yield f"{name}.result", results * ways
    yield f"{name}.touched", touched / MILLION
    yield f"{name}.calls", 1.0
    yield "spilled", max(0.0, (images + results) - CACHED) * ways


@lru_cache(4096)
def of_algorithm(problem: ConvProblem) -> tuple[str, int]:
    """What computes a convolution, and the bytes that it works with."""
    found = choose(problem)
    taken = found.footprint(problem)
    return found.name, taken.kept + taken.working


def of_compiling(workload: Workload, *, evaluation: bool = True) -> dict[str, float]:
    """All programs of a workload, with that for evaluation or without it, compiled anew.

    Equal blocks in a loop are compiled once.
    """
    network = workload.unstacked.network
    parts = [(workload.part, True), *([(workload.tail, True)] if workload.tail else [])]
    if evaluation:
        parts.append((workload.evaluation_batch, False))
    found: defaultdict[str, float] = defaultdict(float)
    for batch, train in parts:
        known: set[object] = set()
        plan = workload.plan_on(batch if train else 0)
        stages = schedule(network.graph, plan, batch=batch, train=train)
        way = "compile" if train else "compile.evaluation"
        for place in looped(stages, plan.least_copies, positions=plan.least_positions):
            for stage in place.copies[0] if isinstance(place, Loop) else (place,):
                for name, amount in to_compile(stage, plan, batch, known):
                    found[f"{way}.{name}"] += amount
        found[f"{way}.programs"] += 1
    found["compile.weights"] += len(parts) * parameters(network.graph)
    return dict(found)


def of_reading(workload: Workload) -> dict[str, float]:
    """The same programs traced, and read from the disk: what takes time is how much there is, whatever it is."""
    found: defaultdict[str, float] = defaultdict(float)
    for name, amount in of_compiling(workload).items():
        found[f"read.{name.rpartition('.')[2]}"] += amount
    return dict(found)


def to_compile(stage: Stage, plan: Plan, batch: int, known: set[object]) -> Found:
    """What of a stage takes time to compile. known: convolutions that are compiled already, added to."""
    node, rest = stage.nodes[0], stage.nodes
    for one in node.layer.convolutions(*node.takes):
        rest, (kernel, at, size) = rest[1:], one
        name, again = "plain", one in known
        known.add(one)
        if isinstance(plan, CpuPlan):
            name, _ = of_algorithm(ConvProblem.of(kernel, at, size, batch * node.times, plan.machine))
        yield f"{name}.{'copies' if again else 'convolutions'}", 1.0
        if at.groups == kernel[3] > 1:
            yield f"{name}.taps", float(math.prod(kernel[:2]))
    if rest:
        yield "+".join(sorted(kind_of(each.layer) for each in rest)) + ".stages", 1.0


def added(*parts: tuple[float, Amounts]) -> dict[str, float]:
    """So many times each of the amounts."""
    found: defaultdict[str, float] = defaultdict(float)
    for times, amounts in parts:
        for name, amount in amounts.items():
            found[name] += times * amount
    return dict(found)
