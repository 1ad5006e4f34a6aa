"""Equal blocks in a row: found among the stages of a network, and computed as a loop as one by one."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, given, settings

from nets.architecture.architecture import Architecture
from nets.architecture.graph import INPUT
from nets.architecture.read import parse_architecture
from nets.kernels import CpuPlan, Plan, XlaPlan
from nets.kernels.loops import Loop, looped, outside
from nets.kernels.schedule import Stage, schedule
from nets.network import Network, Variables, numbers_of
from tests.nets.graphs import bodies
from tests.nets.kernels.common import CPU, XLA, assert_trained_alike, samples, trained, variables

Json = dict[str, Any]
LEAST = 3
LINEAR: Json = {"type": "linear", "out": 4}
CONV: Json = {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"}
NORM, RELU, DROPOUT = {"type": "batchnorm2d"}, {"type": "relu"}, {"type": "dropout", "p": 0.3}


class LoopsOnCpu(CpuPlan):
    """The plan for CPUs that computes even few copies as a loop, also of features."""

    least_copies = LEAST
    least_positions = 1


class LoopsOfXla(XlaPlan):
    """XLA's plan that computes even few copies as a loop."""

    least_copies = LEAST


def looping(plan: Plan) -> Plan:
    cls = LoopsOnCpu if isinstance(plan, CpuPlan) else LoopsOfXla
    return cls(**{field.name: getattr(plan, field.name) for field in fields(plan)})


def network(*layers: Json, shape: tuple[int, ...] = (4,)) -> Architecture:
    return parse_architecture({"input_shape": list(shape), "layers": [*layers, {"type": "linear", "out": 3}]})


def repeated(times: int, *layers: Json, **fields: Any) -> Json:
    return {"type": "repeat", "times": times, "layers": list(layers), **fields}


def parts(a: Architecture, least: int | None = LEAST, plan: Plan = XLA["float32"]) -> list[Stage | Loop]:
    return list(looped(schedule(a.graph, plan, batch=8, train=True), least))


def loops(a: Architecture, least: int | None = LEAST, plan: Plan = XLA["float32"]) -> list[tuple[int, str]]:
    """Of each loop how many copies it has, and the layers of one."""
    return [
        (len(part.copies), " ".join("+".join(node.layer.type for node in stage.nodes) for stage in part.copies[0]))
        for part in parts(a, least, plan)
        if isinstance(part, Loop)
    ]


def test_blocks_of_a_repeat_are_a_loop() -> None:
    a = network({"type": "tanh"}, repeated(4, LINEAR, RELU))
    assert loops(a) == [(4, "linear relu")]
    loop = parts(a)[1]
    assert isinstance(loop, Loop)
    assert (loop.input, loop.output) == (a.graph.nodes[0].id, a.graph.nodes[-2].id)


def test_blocks_that_somebody_has_written_out_are_one_too() -> None:
    assert loops(network(*[LINEAR, RELU] * 5)) == [(5, "linear relu")]


def test_blocks_with_a_skip() -> None:
    residual = {"type": "residual", "layers": [LINEAR, {"type": "tanh"}]}
    assert loops(network(*[residual] * 3)) == [(3, "linear tanh add")]
    blocks = repeated(3, {"type": "residual_block", "out_channels": 4})
    fused = loops(network(blocks, shape=(4, 6, 6)), plan=CPU["float32"])
    assert fused == [(3, "conv2d+batchnorm2d+relu conv2d+batchnorm2d+add+relu")]


def test_the_shortest_blocks_are_taken() -> None:
    assert loops(network(repeated(3, LINEAR, LINEAR))) == [(6, "linear")]


def test_blocks_of_two_repeats_are_two_loops() -> None:
    a = network(repeated(3, LINEAR, RELU), repeated(3, LINEAR, {"type": "tanh"}))
    assert loops(a) == [(3, "linear relu"), (3, "linear tanh")]


def test_the_plan_for_cpus_takes_loops_where_they_cost_no_speed() -> None:
    """Not where the weights are used once for a sample, as by features."""
    plan = CPU["float32"]
    assert isinstance(plan, CpuPlan) and plan.least_copies is not None
    most = plan.least_copies

    def taken(a: Architecture) -> list[int]:
        stages = schedule(a.graph, plan, batch=8, train=True)
        found = looped(stages, plan.least_copies, positions=plan.least_positions)
        return [len(part.copies) for part in found if isinstance(part, Loop)]

    images = [network(CONV, repeated(times, CONV, NORM, RELU), shape=(4, 8, 8)) for times in (most - 2, most)]
    assert [taken(a) for a in images] == [[], [most]]
    assert taken(network(repeated(2 * most, LINEAR, RELU))) == []
    assert taken(network(repeated(most, LINEAR, RELU), {"type": "flatten"}, shape=(16, 4))) == [most]


@pytest.mark.parametrize("least", [5, None])
def test_fewer_copies_than_asked_for_are_no_loop(least: int | None) -> None:
    a = network(repeated(4, LINEAR, RELU))
    assert loops(a, least) == []
    assert parts(a, least) == list(schedule(a.graph, XLA["float32"], batch=8, train=True))


@pytest.mark.parametrize("other", [{"bias": False}, {"out": 5}])
def test_blocks_that_differ_are_no_loop(other: Json) -> None:
    assert loops(network(LINEAR, RELU, LINEAR, RELU, {**LINEAR, **other}, RELU)) == []


def test_what_is_read_from_outside_is_no_loop() -> None:
    """Not beyond the block from within which a value is read; its last value may be, where no block stands behind."""
    inner = [LINEAR, {**RELU, "name": "seen"}, LINEAR, RELU]
    add = {"type": "add", "inputs": ["seen", "end"]}
    assert loops(network(LINEAR, RELU, *inner[:3], {**RELU, "name": "end"}, add)) == []
    end = [LINEAR, RELU, LINEAR, RELU, LINEAR, {**RELU, "name": "seen"}, {"type": "tanh", "name": "end"}, add]
    assert loops(network(*end)) == [(3, "linear relu")]
    within = [LINEAR, RELU, LINEAR, RELU, {**LINEAR, "name": "seen"}, {**RELU, "name": "end"}, add]
    assert loops(network(*within)) == []


def test_what_reads_from_outside_is_no_loop() -> None:
    """All blocks read the first value of all."""
    layers: list[Json] = [{**LINEAR, "name": "x0"}]
    for number in range(4):
        add = {"type": "add", "inputs": ["input", f"x{number}"]}
        layers += [add, {**LINEAR, "name": f"x{number + 1}"}]
    assert loops(network(*layers)) == []


def test_blocks_that_share_are_no_loop() -> None:
    shared = [{"type": "linear", "shares": "a"}, RELU]
    assert loops(network({**LINEAR, "name": "a"}, {"type": "tanh"}, *shared * 4)) == []


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(bodies())
def test_loops_hold_every_stage_once_and_nobody_reads_within(body: Any) -> None:
    a = parse_architecture(body)
    stages = schedule(a.graph, CPU["float32"], batch=8, train=True)
    given_so_far, held = {INPUT}, []
    for part in looped(stages, 2):
        blocks = part.copies if isinstance(part, Loop) else ((part,),)
        for block in blocks:
            assert given_so_far.issuperset(name for stage in block for name in outside(block, stage))
            held += block
            given_so_far.add(block[-1].output)
        if isinstance(part, Loop):
            given_so_far -= {block[-1].output for block in blocks[:-1]}
    assert held == list(stages)


BODIES: dict[str, tuple[tuple[int, ...], list[Json]]] = {
    "features": ((4,), [repeated(3, LINEAR, {"type": "batchnorm1d"}, RELU, DROPOUT)]),
    "sequences": (
        (3, 4),
        [repeated(3, {"type": "residual", "layers": [LINEAR, {"type": "tanh"}, DROPOUT]}), {"type": "flatten"}],
    ),
    "images": ((2, 6, 6), [CONV, repeated(3, CONV, NORM, RELU, DROPOUT)]),
    "without arrays": ((4, 6, 6), [CONV, repeated(3, {"type": "tanh"})]),
    "skips": ((4, 6, 6), [repeated(4, {"type": "residual_block", "out_channels": 4})]),
}


def test_equal_layers_without_arrays_are_a_loop_too() -> None:
    a = network(*BODIES["without arrays"][1], shape=(4, 6, 6))
    assert "scan[" in traced(a, looping(CPU["float32"]))


def traced(a: Architecture, plan: Plan) -> str:
    """What JAX is told to compute."""

    def apply(state: Variables) -> Any:
        network = Network(a.graph, plan)
        return network.apply(
            state, samples(a), train=True, rngs={"dropout": jax.random.key(0)}, mutable=["batch_stats"]
        )

    return str(jax.make_jaxpr(apply)({**variables(a), "numbers": numbers_of(a.graph)}))


@pytest.mark.slow
@pytest.mark.parametrize("plan", [CPU["float32"], XLA["float32"]], ids=["cpu", "xla"])
@pytest.mark.parametrize("name", BODIES)
def test_a_loop_gives_what_its_blocks_give_one_by_one(name: str, plan: Plan) -> None:
    """Logits, statistics and gradients; other masks of dropout would change them all."""
    shape, layers = BODIES[name]
    a = network(*layers, shape=shape)
    assert loops(a, plan=plan)
    assert "scan[" in traced(a, looping(plan)) and "scan[" not in traced(a, plan)
    assert_trained_alike(trained(a, looping(plan)), trained(a, plan))


def test_every_copy_has_masks_of_its_own() -> None:
    """Of numbers that no layer changes: what three masks leave is what three others leave but once in a while."""
    a = network(repeated(3, DROPOUT), shape=(16,))
    start = {"params": {a.graph.last.id: {"kernel": jnp.eye(16, 3), "bias": jnp.zeros(3)}}}
    ours, theirs = (trained(a, plan, 64, start=start)[0] for plan in (looping(XLA["float32"]), XLA["float32"]))
    assert loops(a) == [(3, "dropout")]
    assert (ours == theirs).all()
    assert 0.2 < float((ours != 0).mean()) < 0.5, "about 0.7 * 0.7 * 0.7 are left, not 0.7"
