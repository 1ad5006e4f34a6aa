"""Trees filed by layer: arrays of equal layers as one and apart again, and what is computed of each of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.training.filing import ALONE, Filing, joined_on_host, shapes_joined
from tests.nets.builders import network

NET = network(
    {"type": "linear", "out": 3},
    {
        "type": "repeat",
        "times": 11,
        "name": "block",
        "layers": [{"type": "linear", "out": 3, "name": "one"}, {"type": "batchnorm1d", "name": "norm"}],
    },
    {"type": "linear", "out": 3},
    shape=[5],
)
ONE, NORM = (tuple(f"block.{number}.{name}" for number in range(11)) for name in ("one", "norm"))
FILING = Filing.of(NET.graph, (ONE, NORM[:4]))


class Kept(NamedTuple):
    """As optimizers keep it."""

    steps: Any
    arrays: dict[str, Any]


def tree() -> Any:
    """Other numbers in every array."""
    generator = np.random.default_rng(1)
    arrays = NET.graph.arrays()
    return {
        collection: {
            layer: {name: generator.normal(size=p.shape).astype(np.float32) for name, p in own.items()}
            for layer, own in sorted(layers.items())
        }
        for collection, layers in arrays.items()
    }


def equal(one: Any, other: Any) -> bool:
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


def test_arrays_are_put_together_and_taken_apart_wherever_they_are_filed() -> None:
    params, statistics = tree()["params"], tree()["batch_stats"]
    whole = {"params": params, "kept": (Kept(np.int32(3), {"mean": params}), ()), "batch_stats": statistics}
    found = FILING.together(whole, joined_on_host)
    assert found["params"].keys() == params.keys() - set(ONE[1:]) - set(NORM[1:4])
    assert np.array_equal(found["params"][ONE[0]]["kernel"], np.stack([params[name]["kernel"] for name in ONE]))
    assert found["batch_stats"][NORM[0]]["mean"].shape == (4, 3)
    assert equal(found["kept"][0].arrays["mean"], found["params"])
    back = FILING.apart(found)
    assert equal(back, whole)
    assert list(back["params"]) == sorted(params)  # as JAX has them, and files


def test_shapes_are_put_together_as_arrays_are() -> None:
    def shapes(of: Any) -> Any:
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), of)

    assert FILING.together(shapes(tree()), shapes_joined) == shapes(FILING.together(tree(), joined_on_host))


def test_a_part_of_all_layers_is_filed_too() -> None:
    """As that of a group, or of weights that decay."""
    some = {layer: {"kernel": own["kernel"]} for layer, own in tree()["params"].items() if layer in ONE}
    found = FILING.together((some, {}), joined_on_host)
    assert found[0].keys() == {ONE[0]} and equal(FILING.apart(found), (some, {}))


def test_layers_that_are_called_like_parts_of_a_state_are_no_such_parts() -> None:
    names = ["params", "batch_stats", "mean", "square"]
    a = network(
        *({"type": "linear", "out": 5, "name": name} for name in names), {"type": "linear", "out": 3}, shape=[5]
    )
    filing = Filing.of(a.graph, (tuple(names),))
    layers = {name: {"kernel": np.full(2, place), "bias": np.zeros(1)} for place, name in enumerate(names)}
    whole = {"params": layers, "batch_stats": {}, "kept": Kept(0, {"mean": layers, "square": layers})}
    found = filing.together(whole, joined_on_host)
    assert found["params"].keys() == {"params"} and found["kept"].arrays.keys() == {"mean", "square"}
    assert equal(filing.apart(found), whole)


@pytest.mark.parametrize("filing", [ALONE, FILING], ids=["alone", "in stacks"])
def test_a_function_of_layers_sees_each_by_itself(filing: Filing) -> None:
    """Scalars beside them are the same for all."""
    params = tree()["params"]

    def longest(layers: Any, kept: Kept) -> tuple[Any, Kept]:
        return jax.tree.map(lambda x: jnp.sort(x.ravel())[-kept.steps :].sum(), layers), Kept(kept.steps + 1, layers)

    def stepped(layers: Any, kept: Kept) -> tuple[Any, Kept]:
        lengths, after = longest(layers, Kept(1, kept.arrays))
        return jax.tree.map(jnp.add, lengths, jax.tree.map(lambda x: kept.steps, lengths)), after

    given = filing.together(params, joined_on_host)
    sums, kept = filing.by_layer(stepped, given, Kept(np.int32(3), given))
    wanted = jax.tree.map(lambda x: x.max() + 3, params)
    assert equal(filing.apart(sums), wanted)
    assert int(kept.steps) == 2 and equal(filing.apart(kept.arrays), params)


def test_squares_are_summed_layer_by_layer_in_the_order_of_names() -> None:
    params = tree()["params"]
    found = [float(x) for x in FILING.squares(FILING.together(params, joined_on_host))]
    assert found == pytest.approx([float((leaf**2).sum()) for leaf in jax.tree.leaves(params)], rel=1e-6)
