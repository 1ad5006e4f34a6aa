"""Seeds keep their meaning: initial weights and losses are those of the figures below, recorded by an earlier commit.

The figures are of arrays by their content and not by their names. Print them anew (`python -m
tests.nets.test_network`) only where a seed is to mean something else, and say so in CHANGELOG.md.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from nets import fit, initial_variables, parse_hyperparams
from nets.network import seed_key
from nets.training.sampling import draw, epoch_order
from tests.nets.builders import network, stripes

CHAIN: list[dict[str, Any]] = [
    {"type": "conv2d", "out_channels": 6, "kernel_size": 3, "padding": "same"},
    {"type": "batchnorm2d"},
    {"type": "relu"},
    {"type": "maxpool2d", "kernel_size": 2},
    {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "stride": 2, "padding": 1, "groups": 2},
    {"type": "tanh"},
    {"type": "dropout", "p": 0.25},
    {"type": "linear", "out": 8},
    {"type": "batchnorm1d"},
    {"type": "sigmoid"},
    {"type": "linear", "out": 3},
    {"type": "softmax"},
]
VECTORS: list[dict[str, Any]] = [
    {"type": "flatten"},
    {"type": "linear", "out": 16},
    {"type": "relu"},
    {"type": "conv2d", "out_channels": 2, "kernel_size": 2, "bias": False},
    {"type": "linear", "out": 5},
    {"type": "dropout", "p": 0.1},
    {"type": "linear", "out": 3},
]
RESIDUAL: list[dict[str, Any]] = [
    {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1},
    {"type": "residual_block", "out_channels": 4},
    {"type": "maxpool2d", "kernel_size": 2},
    {"type": "residual_block", "out_channels": 6, "kernel_size": 3, "momentum": 0.3},
    {"type": "flatten"},
    {"type": "linear", "out": 3},
]
BODIES = {"chain": CHAIN, "vectors": VECTORS, "residual": RESIDUAL}
SEED = 2**40 + 5

# Shape and sums of each array.
DRAWN: dict[str, list[tuple[tuple[int, ...], float, float]]] = {
    "chain": [
        ((3,), -0.11514003953566561, -0.3891386482231919),
        ((3, 3, 1, 6), -1.4105039353247146, 5.868019428347914),
        ((3, 3, 3, 4), -1.1267031129434129, -18.826224526173633),
        ((4,), -0.2258593121368372, 0.5012406880296826),
        ((6,), -0.2358184626798337, 8.382332347441762),
        ((6,), 0.0, 0.0),
        ((6,), 0.18907681658583553, 0.6863651427346578),
        ((8,), 0.0, 0.0),
        ((8,), 0.03155775312555447, 0.5618695398957988),
        ((8,), 1.478254078313837, 13.47757340128953),
        ((8, 3), -1.8121432887905238, -1.3179304143176966),
        ((16, 8), -1.2271034486296148, -7.175346202216985),
    ],
    "vectors": [
        ((2, 2, 1, 2), -0.7196925698016721, 1.8511404089340493),
        ((3,), -0.48172916571243635, -0.16147308567307897),
        ((5,), -0.35962601630778623, 0.8678712803296602),
        ((5, 3), 1.0193911887038436, 1.1630489757796274),
        ((16,), -0.1274838430054563, -0.28879820198250483),
        ((18, 5), -0.16991872444085518, -18.564192981414944),
        ((64, 16), 0.5614448409940551, 12.279140737578992),
    ],
    "residual": [
        ((1, 1, 4, 6), -0.4790781956188639, 7.03612908109382),
        ((3,), -0.002791371486043031, -0.04343968915423683),
        ((3, 3, 1, 4), -0.704612549111418, 10.85400620673806),
        ((3, 3, 4, 4), -0.39800031142827386, 6.5437089102859805),
        ((3, 3, 4, 4), 0.22020469874664003, 6.081845106814322),
        ((3, 3, 4, 6), -1.3333665756232789, -8.287628127116363),
        ((3, 3, 6, 6), 1.8002659727933408, 3.6099995091263066),
        ((4,), -0.025602984910786976, 0.00605177567975418),
        ((4,), 0.0, 0.0),
        ((4,), 0.0, 0.0),
        ((4,), 0.134162972720552, 4.146264369941973),
        ((4,), 0.134162972720552, 4.146264369941973),
        ((4,), 0.15426325730572685, -0.1733471271351207),
        ((4,), 0.17111895979400862, 0.5408575995684861),
        ((6,), -0.5721868875100671, 0.6535221131242205),
        ((6,), -0.2358184626798337, 8.382332347441762),
        ((6,), -0.2358184626798337, 8.382332347441762),
        ((6,), -0.08059077538510027, -0.2512298652360066),
        ((6,), 0.0, 0.0),
        ((6,), 0.0, 0.0),
        ((6,), 0.039464821533313994, 0.4575502773942294),
        ((96, 3), -0.75555488636717, -6.833523681766596),
    ],
}
LOSSES = {  # of training, validation and test
    "chain": (1.0333553155263264, 1.059409260749817, 1.0343316078186036),
    "vectors": (1.025197704633077, 0.8494572043418884, 0.7949570655822754),
    "residual": (0.22587081955538857, 0.019816100597381592, 0.026315152645111084),
}


def drawn(name: str) -> list[tuple[tuple[int, ...], float, float]]:
    """Of every array of a new network its shape and two weighted sums, in the order of these figures."""
    params = initial_variables(network(*BODIES[name]).graph, seed=SEED)["params"]
    return sorted(figures(np.asarray(array)) for array in jax.tree.leaves(params))


def figures(array: np.ndarray) -> tuple[tuple[int, ...], float, float]:
    values = array.astype(np.float64).ravel()
    return array.shape, float(values @ np.cos(np.arange(values.size))), float(values @ np.sqrt(np.arange(values.size)))


def losses(name: str, precision: str) -> tuple[float, float, float]:
    """Training, validation and test loss of one epoch of nine batches."""
    sgd = {"type": "sgd", "lr": 0.02, "momentum": 0.9}
    h = parse_hyperparams({"epochs": 1, "batch_size": 8, "optimizer": sgd, "seed": SEED, "precision": precision})
    events = list(fit(network(*BODIES[name]), h, stripes(80)))
    (epoch,) = (event for event in events if hasattr(event, "val_loss"))
    return epoch.train_loss, epoch.val_loss, events[-1].test_loss


@pytest.mark.parametrize("name", BODIES)
def test_a_seed_draws_the_initial_weights_that_it_drew(name: str) -> None:
    now, then = drawn(name), DRAWN[name]
    assert [array[0] for array in now] == [array[0] for array in then]
    np.testing.assert_allclose([array[1:] for array in now], [array[1:] for array in then], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", BODIES)
def test_an_epoch_has_the_losses_that_it_had(name: str) -> None:
    np.testing.assert_allclose(losses(name, "float32"), LOSSES[name], rtol=0, atol=1e-5)


def test_same_seed_same_weights_other_seed_other_weights() -> None:
    a = network({"type": "conv2d", "out_channels": 4, "kernel_size": 3}, {"type": "linear", "out": 3})
    one, same, other = (initial_variables(a.graph, seed=seed)["params"]["linear_1"]["kernel"] for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("seed", [0, 1, 42, 2**31 - 1, 2**31, 2**32 - 1])
def test_seeds_of_32_bits_give_the_key_that_jax_gives(seed: int) -> None:
    assert np.array_equal(jax.random.key_data(seed_key(seed)), jax.random.key_data(jax.random.key(seed)))


def test_seeds_that_differ_beyond_32_bits_give_other_weights_samples_and_orders() -> None:
    a = network({"type": "linear", "out": 3})
    seeds = [5, 5 + 2**32, 5 + 2**33, 5 + 2**52, 2**53 - 1, 2**32 - 1]
    weights, draws, orders = [], [], []
    for seed in seeds:
        h = parse_hyperparams({"seed": seed, "max_samples": None})
        weights.append(initial_variables(a.graph, seed=h.seed)["params"]["linear_0"]["kernel"].tobytes())
        draws.append(draw(h, 500).train.tobytes())
        orders.append(epoch_order(h, 500, epoch=1).tobytes())
    assert [len(set(found)) for found in (weights, draws, orders)] == [len(seeds)] * 3


def test_initial_weights_follow_pytorch_s_default() -> None:
    a = network({"type": "linear", "out": 400}, {"type": "linear", "out": 3})
    weights = initial_variables(a.graph, seed=0)["params"]["linear_0"]
    for values in weights.values():
        assert abs(values).max() <= 1 / 8  # 1 / sqrt(64 inputs)
    assert np.std(weights["kernel"]) == pytest.approx(1 / 8 / np.sqrt(3), rel=0.02)


if __name__ == "__main__":
    print("DRAWN = {")
    for name in BODIES:
        print(f'    "{name}": [', *(f"        {array!r}," for array in drawn(name)), "    ],", sep="\n")
    print("}")
    print("LOSSES = {", *(f'    "{name}": {losses(name, "float32")!r},' for name in BODIES), "}", sep="\n")
