"""Each row of a plan's tables gives what the layer's own `apply` gives, forwards and backwards, however inputs lie."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from nets.architecture.graph import INPUT, Node
from nets.kernels import cpu_plan, plan_for
from nets.kernels.cpu.machine import Machine
from nets.kernels.layouts import WAYS, Laid, Layout, to
from nets.kernels.plan import Kernel, Site
from nets.kernels.reference import canonical, reference
from nets.layers import LAYERS
from nets.layers.base import CANONICAL, Bound, Cell, Example, Layer
from nets.layers.shape import AsImage
from nets.spec.values import features, image
from tests.nets.kernels.common import OPTIONS, assert_near, random

PLAN = cpu_plan(Machine())
BATCH = 4


def examples(row: Kernel) -> list[Example]:
    if row.layer is AsImage:
        return [Example({"type": "as_image"}, (features(16),), image(1, 4, 4))]
    return [each for each in row.layer.examples if each.takes[0].kind in row.layer.takes and fits(row, each)]


def fits(row: Kernel, example: Example) -> bool:
    node = Node("it", LAYERS.parse(dict(example.json), ()), (INPUT,), example.takes, example.gives)
    return row.fits(Site(PLAN, (node,), (), BATCH, True))


# The first example of each row every day, the others by CI.
CASES = [
    pytest.param(row, example, id=f"{row.layer.__name__}-{i}", marks=pytest.mark.slow if i else ())
    for row in PLAN.kernels
    for i, example in enumerate(examples(row))
]


def layer_of(row: Kernel, example: Example) -> Layer:
    layer = row.layer() if row.layer is AsImage else LAYERS.parse(dict(example.json), ())
    return layer.filled(*example.takes)


def bound(layer: Layer, example: Example, params: Any, *, train: bool = True) -> Bound:
    statistics = layer.arrays(*example.takes).statistics
    return Bound(
        layer=layer,
        takes=example.takes,
        gives=example.gives,
        train=train,
        batch=BATCH,
        numerics=PLAN.numerics,
        params=params,
        statistics={name: Cell(jnp.abs(random(*p.shape, seed=3)) + 0.5) for name, p in statistics.items()},
        numbers={},
        random_key=None,
        axes=CANONICAL[example.takes[0].kind],
    )


def layouts(kind: Layout) -> list[Layout]:
    return [kind, *(after for before, after in WAYS if before == kind)]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("row", "example"), CASES)
def test_a_row_gives_what_the_layer_gives(row: Kernel, example: Example, train: bool) -> None:
    layer = layer_of(row, example)
    declared = layer.arrays(*example.takes).parameters
    params = {name: random(*p.shape, seed=1) for name, p in declared.items()}
    x = random(BATCH, *example.takes[0].canonical, seed=2)
    lies, comes = canonical(example.takes[0]), canonical(example.gives)

    def outcome(layout: Layout | None, params: Any, x: jax.Array) -> Any:
        """By `apply` without a layout."""
        of = bound(layer, example, params, train=train)
        laid = Laid(x, lies)
        y = reference(of, [laid]) if layout is None else row.run(PLAN, of, [to(laid, layout)])
        return to(y, comes).array, of.own.statistics

    def both(layout: Layout | None) -> Any:
        def run(params: Any, x: jax.Array) -> Any:
            y, pull, moved = jax.vjp(lambda *each: outcome(layout, *each), params, x, has_aux=True)
            return y, pull(random(*y.shape, seed=5)), moved

        return jax.tree.leaves(jax.jit(run, compiler_options=OPTIONS)(params, x))

    expected = both(None)
    for layout in layouts(lies):
        even = example.takes[0].kind != "image" or not any(side % 2 for side in example.takes[0].shape[1:])
        if layout != "phases" or even:
            assert_near(both(layout), expected, 2e-5)


def test_a_layer_that_never_had_a_row_is_computed_by_its_own_definition() -> None:
    with_rows = {row.layer for row in plan_for("cpu", training=True).kernels}
    assert LAYERS["tanh"] not in with_rows and LAYERS["concat"] not in with_rows
