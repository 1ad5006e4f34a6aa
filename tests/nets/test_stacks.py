"""Equal blocks whose arrays lie one after the other: which ones do, and that nothing else changes by it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

from nets.architecture.architecture import Architecture
from nets.datasets import Dataset, from_arrays
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.kernels.cpu.limits import LOOP_LEAST_BLOCKS
from nets.optimizers import OPTIMIZERS
from nets.training import workload as module
from nets.training.cache import ProgramCache
from nets.training.events import EpochEnd, Finished
from nets.training.fit import fit
from nets.training.programs import rows
from nets.training.snapshot import Snapshot
from nets.training.workload import Workload, workload_of
from tests.nets.builders import network

pytestmark = pytest.mark.skipif(jax.default_backend() != "cpu", reason="loops are the plan for CPUs")
Json = dict[str, Any]
MANY = LOOP_LEAST_BLOCKS
LINEAR: Json = {"type": "linear", "out": 4, "name": "one"}
BLOCK: list[Json] = [{"type": "residual", "layers": [{"type": "layernorm"}, LINEAR, {"type": "dropout", "p": 0.1}]}]
CONV: list[Json] = [
    {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"},
    {"type": "batchnorm2d"},
    {"type": "relu"},
]
ROUNDED_OTHERWISE = ("adafactor", "muon")  # in a loop
ORTHOGONAL: Json = {"regularizers": [{"type": "orthogonal", "weight": 0.01, "layers": "block"}]}
SEQUENCES, IMAGES, PATCHES = [16, 4], [4, 5, 5], [1, 8, 8]


def of_blocks(times: int, block: list[Json] = BLOCK, shape: list[int] = SEQUENCES) -> Architecture:
    """Equal blocks; sequences are the patches of an image where one comes in."""
    patches: list[Json] = [{"type": "patchembedding", "patch_size": 2, "embed_dim": 4}]
    repeat = {"type": "repeat", "times": times, "name": "block", "layers": block}
    ends: list[Json] = [{"type": "flatten"}, {"type": "linear", "name": "head", "out": 3}]
    return network(*(patches if shape == PATCHES else []), repeat, *ends, shape=shape)


def hyper(**fields: Any) -> Hyperparams:
    defaults = {"epochs": 3, "batch_size": 8, "train_split": 0.8, "optimizer": {"type": "adam", "lr": 0.01}}
    return parse_hyperparams({**defaults, **fields})


def noise(a: Architecture) -> Dataset:
    generator, shape = np.random.default_rng(2), a.graph.input.canonical

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        grey = a.graph.input.kind == "image"
        inputs = (
            generator.integers(0, 256, (count, *shape), np.uint8) if grey else generator.normal(size=(count, *shape))
        )
        return inputs, np.arange(count) % 3

    return from_arrays(*part(25), *part(6), classes=["a", "b", "c"])


def stacks(a: Architecture, **fields: Any) -> set[str]:
    """The first of each, in short."""
    found = workload_of(a, hyper(**fields), train=80, samples=100).stacks
    assert all(len(stack) == MANY for stack in found)
    return {stack[0].removeprefix("block.0.") for stack in found}


def test_arrays_of_the_blocks_of_a_loop_lie_one_after_the_other() -> None:
    a, both = of_blocks(MANY), {"residual_0.layers.layernorm_0", "residual_0.layers.one"}
    assert stacks(a) == both
    assert stacks(of_blocks(MANY - 1)) == set()
    assert stacks(of_blocks(MANY, CONV, IMAGES)) == {"conv2d_0", "batchnorm2d_1"}


def test_what_changes_one_layer_of_a_stack_changes_all() -> None:
    """By another rule for one of them each lies by itself."""
    a, norms, both = of_blocks(MANY), {"residual_0.layers.layernorm_0"}, stacks(of_blocks(MANY))
    assert stacks(a, frozen=["block.3*one"]) == stacks(a, groups=[{"layers": "block.3.*.one", "lr": 0.5}]) == norms
    assert stacks(a, frozen=["block"], weight_decay_exclude="bias_and_norm") == both
    assert stacks(a, groups=[{"layers": "block", "lr": 0.5}], weight_decay_exclude="bias_and_norm") == both
    penalty = {"type": "l1", "weight": 0.1}
    assert stacks(a, regularizers=[{**penalty, "layers": "block.0"}]) == norms
    assert stacks(a, regularizers=[penalty]) == both


def test_weights_that_are_lent_lie_by_themselves() -> None:
    blocks = [each for number in range(MANY) for each in ({**LINEAR, "name": f"own{number}"}, {"type": "tanh"})]
    ends: list[Json] = [{"type": "flatten"}, {"type": "linear", "out": 3}]
    other = {"type": "linear", "shares": "own3"}
    assert stacks(network(*blocks, *ends, shape=SEQUENCES)) == {"own0"}
    a = network(*blocks, other, *ends, shape=SEQUENCES)
    assert stacks(a) == set()


def operations(a: Architecture, **fields: Any) -> int:
    """Of a training program before XLA sees it."""
    w: Workload = workload_of(a, hyper(**fields), train=80, samples=100)
    arguments = w.state(), w.data(), rows(4, w.batch), np.int32(1), w.numbers()
    return len(re.findall(r"^ +%\S+ = ", jax.jit(w.steps.train_chunk).lower(*arguments).as_text(), re.MULTILINE))


def test_a_program_of_many_equal_blocks_is_hardly_larger_than_one_of_few() -> None:
    few, many = (operations(of_blocks(times)) for times in (2, 12))
    assert many < 1.25 * few


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [kind for kind in OPTIMIZERS if OPTIMIZERS[kind].whole])
def test_so_it_is_where_steps_look_at_whole_arrays(optimizer: str) -> None:
    fields: Json = {"optimizer": {"type": optimizer}, "gradient_clip_norm": 1}
    many, more = (operations(of_blocks(times), **fields) for times in (12, 18))
    assert more - many < 6 * 20  # keys of dropout, and sums of squares, which are added up one by one


def run(a: Architecture, h: Hyperparams, resume: Snapshot | None = None, **more: Any) -> Iterator[Any]:
    return fit(a, h, noise(a), resume=resume, **more)


def bits(tree: Any) -> list[tuple[str, bytes]]:
    """Of every array, by its place."""
    found = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), np.asarray(leaf).tobytes()) for path, leaf in found]


def ends(a: Architecture, h: Hyperparams, **more: Any) -> tuple[list[Snapshot], Finished]:
    """The states after each epoch, and the end."""
    taken, finished = [], None
    for event in run(a, h, **more):
        taken += [event.take()] if isinstance(event, EpochEnd) else []
        finished = event
    assert isinstance(finished, Finished)
    return taken, finished


def assert_same_as_alone(a: Architecture, h: Hyperparams, monkeypatch: pytest.MonkeyPatch) -> None:
    """With arrays one after the other, by themselves, and resumed, all states have the same bits and form."""
    cache = ProgramCache()
    (first, *_, last), finished = ends(a, h, programs=cache)
    _, resumed = ends(a, h, resume=first, programs=cache)
    assert workload_of(a, h, train=20, samples=31).stacks
    monkeypatch.setattr(module, "stacks_of", lambda *_, **__: ())
    (_, *_, alone), other = ends(a, h)
    assert bits(last.state) == bits(alone.state)
    assert bits(finished.variables) == bits(other.variables) == bits(resumed.variables)
    assert finished.test_loss == other.test_loss == resumed.test_loss


def test_a_run_has_the_same_bits_as_with_each_array_by_itself_also_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups, frozen layers, clipping, averages and lookahead together; the best epoch is kept."""
    h = hyper(
        optimizer={"type": "adamw", "lr": 0.01, "amsgrad": True},
        gradient_clip_norm=0.1,
        weight_decay_exclude="bias_and_norm",
        groups=[{"layers": "block", "lr": 0.5}],
        frozen=["block.*.layernorm_0"],
        ema={"decay": 0.9},
        lookahead={"k": 2},
        keep_best=True,
    )
    assert_same_as_alone(of_blocks(MANY, BLOCK, PATCHES), h, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in OPTIMIZERS if kind not in ROUNDED_OTHERWISE])
def test_every_optimizer_makes_the_same_steps(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    h = hyper(optimizer={"type": kind}, epochs=2)
    assert_same_as_alone(of_blocks(MANY, BLOCK, PATCHES), h, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        {"accumulate": 2, "swa": {"from_epoch": 1}},
        {"precision": "bfloat16", "ema": {"decay": 0.9}},
    ],
    ids=["accumulated", "bfloat16"],
)
def test_statistics_and_gradients_of_images_are_the_same(fields: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same_as_alone(of_blocks(MANY, CONV, IMAGES), hyper(**fields), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [*({"optimizer": {"type": kind}} for kind in (*ROUNDED_OTHERWISE, "adamw", "lamb")), ORTHOGONAL],
    ids=lambda fields: str(next(iter(fields.values()))),
)
def test_where_xla_rounds_otherwise_last_digits_differ(fields: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products and means in a loop; and networks without images, where it takes other products into fused sums."""
    a, h = of_blocks(MANY), hyper(**fields, epochs=1)
    _, finished = ends(a, h)
    monkeypatch.setattr(module, "stacks_of", lambda *_, **__: ())
    _, other = ends(a, h)
    for one, alone in zip(jax.tree.leaves(finished.variables), jax.tree.leaves(other.variables), strict=True):
        np.testing.assert_allclose(one, alone, rtol=1e-3, atol=1e-4)
