"""The table of algorithms: which one is taken for what, and that its description is the one of README.md."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from nets.kernels.cpu.convolution import (
    ALGORITHMS,
    choose,
    convolve,
    convolve_before_pool,
    convolve_relu,
    fuses_relu,
)
from nets.kernels.cpu.layouts import image
from nets.kernels.cpu.machine import Machine
from nets.kernels.layouts import Laid
from nets.numerics.windows import Geometry
from tests.nets.kernels import algorithms
from tests.nets.kernels.common import BF16_BOUND, assert_equals_xlas, problem

SAME, BY_TWO = Geometry(padding=((1, 1), (1, 1))), Geometry((2, 2), ((2, 2), (2, 2)))
NARROW, NATIVE = Machine("bfloat16"), Machine("float32", "full_width", native=True)

EXAMPLES = {
    "winograd_phases": problem((3, 3, 64, 64), SAME),
    "winograd": problem((3, 3, 64, 64), SAME, (15, 14)),
    "native": problem((3, 3, 16, 16), SAME, machine=NATIVE),
    "channelwise": problem((3, 3, 1, 64), Geometry(groups=64), machine=NATIVE),
    "strided_winograd": problem((5, 5, 32, 32), BY_TWO, (28, 28)),
    "space_to_depth": problem((4, 4, 4, 8), BY_TWO),
    "pointwise": problem((1, 1, 64, 64)),
    "depthwise": problem((3, 3, 1, 64), Geometry(groups=64)),
    "bands": problem((5, 5, 16, 16), machine=NARROW),
    "toom_cook": problem((5, 5, 16, 32), Geometry(padding=((2, 2), (2, 2)))),
    "blocks": problem((9, 9, 32, 64), Geometry(padding=((4, 4), (4, 4)))),
    "rows": problem((11, 11, 32, 8), Geometry(stride=(2, 1)), (64, 64)),
    "patches": problem((3, 3, 3, 16), SAME),
}


def test_every_row_is_taken_for_something_in_the_order_of_the_table() -> None:
    assert [algorithm.name for algorithm in ALGORITHMS] == list(EXAMPLES)
    assert {name: choose(example).name for name, example in EXAMPLES.items()} == {name: name for name in EXAMPLES}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_row_gives_the_shape_of_its_problem(name: str) -> None:
    """Traced only."""
    example = EXAMPLES[name]

    def run(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return image(convolve(example.machine, Laid(x, "CHWB"), kernel, example.geometry))

    shapes = [(example.inputs, *example.size, example.batch), example.kernel]
    if example.machine is not NATIVE:  # it would be compiled
        y = jax.eval_shape(run, *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))
        assert y.shape == (example.outputs, *example.places, example.batch)


def test_without_native_kernels_products_serve() -> None:
    example = EXAMPLES["native"]
    assert choose(dataclasses.replace(example, machine=Machine("float32", "full_width"))).name != "native"
    assert choose(dataclasses.replace(example, batch=20)).name != "native"


def test_taps_that_only_meet_padding_do_not_count() -> None:
    assert choose(problem((3, 3, 8, 8), SAME, (1, 1))).name == "pointwise"


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("outputs", [3, 8])
def test_bfloat16_operands_stay_within_their_bound(outputs: int, groups: int) -> None:
    at = Geometry(padding=((1, 1), (1, 1)), groups=groups)
    shapes = (8, 6, 6, 4), (3, 3, 8 // groups, outputs // groups * groups)
    assert_equals_xlas(lambda x, kernel: image(convolve(NARROW, Laid(x, "CHWB"), kernel, at)), *shapes, at, BF16_BOUND)


def test_a_relu_behind_it_is_fused_where_that_saves_a_pass() -> None:
    assert fuses_relu(EXAMPLES["native"]) and fuses_relu(EXAMPLES["bands"])
    assert not fuses_relu(EXAMPLES["patches"])
    same = Geometry(padding=((2, 2), (2, 2)))

    def traced(x: jax.Array, kernel: jax.Array) -> Laid:
        return convolve_relu(NARROW, Laid(x, "CHWB"), kernel, None, same)

    x, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((8, 6, 6, 4), (5, 5, 8, 3)))
    assert jax.eval_shape(traced, x, kernel).array.shape == (3, 6, 6, 4)


def test_a_first_convolution_hands_a_pool_its_windows() -> None:
    def traced(channels: int) -> tuple[int, ...]:
        x, kernel = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((channels, 6, 8, 4), (3, 3, channels, 5)))
        return jax.eval_shape(lambda x, k: convolve_before_pool(Machine(), Laid(x, "CHWB"), k, SAME), x, kernel).shape

    assert traced(1) == (4, 5, 3, 4, 4)
    assert traced(4) == (5, 6, 8, 4)


def test_readme_has_the_table() -> None:
    assert algorithms.table() in algorithms.README.read_text(), "run: python -m tests.nets.kernels.algorithms"
