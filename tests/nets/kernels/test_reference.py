"""A layer that lets its inputs lie as they come computes the same by its own definition, however they lie."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from nets.architecture.graph import INPUT, Node
from nets.kernels import plan_for
from nets.kernels.layouts import WAYS, Laid, Layout, to
from nets.kernels.reference import canonical, reference
from nets.layers import LAYERS, Layer
from nets.layers.base import CANONICAL, Bound, Cell, Example
from nets.layers.composite import Composite
from tests.nets.kernels.common import OPTIONS, assert_near, random

BATCH = 4
NUMERICS = plan_for("cpu", training=False).numerics
CASES = {  # one of each kind that a type takes, images alone of functions of each value; others are given one order
    f"{name}-{example.takes[0].kind}": example
    for name, cls in LAYERS.items()
    if cls.layouts != "canonical" and not issubclass(cls, Composite)
    for example in reversed(cls.examples)
    if example.takes[0].kind in cls.takes and (cls.layouts == "any" or example.takes[0].kind == "image")
}


def layouts(kind: Layout) -> list[Layout]:
    return [kind, *(after for before, after in WAYS if before == kind)]


def bound(layer: Layer, example: Example) -> Bound:
    node = Node("it", layer, (INPUT,) * len(example.takes), example.takes, example.gives)
    return Bound(
        layer=layer,
        takes=example.takes,
        gives=example.gives,
        train=False,
        batch=BATCH,
        numerics=NUMERICS,
        params={name: random(*p.shape, seed=1) for name, p in node.arrays.parameters.items()},
        statistics={name: Cell(jnp.abs(random(*p.shape, seed=3)) + 0.5) for name, p in node.arrays.statistics.items()},
        numbers={},
        random_key=None,
        axes=CANONICAL[example.takes[0].kind],
    )


@pytest.mark.parametrize("example", CASES.values(), ids=CASES)
def test_a_layer_gives_the_same_however_its_inputs_lie(example: Example) -> None:
    layer = LAYERS.parse(dict(example.json), ()).filled(*example.takes)
    of = bound(layer, example)
    odd = any(side % 2 for value in example.takes for side in value.shape[1:])
    ways = [each for each in layouts(canonical(example.takes[0])) if not (each == "phases" and odd)]

    def compute(arrays: list[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        xs = [Laid(x, canonical(value)) for x, value in zip(arrays, example.takes, strict=True)]
        found = [reference(of, [to(x, layout) for x in xs]) for layout in ways]
        return layer.apply(of, *arrays), [to(each, canonical(example.gives)).array for each in found]

    inputs = [random(BATCH, *value.canonical, seed=2) for value in example.takes]
    plain, found = jax.jit(compute, compiler_options=OPTIONS)(inputs)
    assert_near(found, [plain] * len(ways))


def test_what_may_choose_leaves_its_inputs_as_they_lie() -> None:
    for name, comes in (("relu", "CHWB"), ("conv2d", "BHWC")):
        example = next(each for each in LAYERS[name].examples if each.takes[0].kind == "image")
        layer = LAYERS.parse(dict(example.json), ()).filled(*example.takes)
        x = Laid(random(BATCH, *example.takes[0].canonical), "BHWC")
        assert reference(bound(layer, example), [to(x, "CHWB")]).layout == comes
