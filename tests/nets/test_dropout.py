"""What dropouts and noises do while training, by its statistics, and whatever the order of axes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.graph import INPUT, Node
from nets.kernels import plan_for
from nets.kernels.layouts import Laid, to
from nets.kernels.reference import canonical, reference
from nets.layers import LAYERS
from nets.layers.base import CANONICAL, Bound
from nets.spec.values import Value, features, image, sequence

IMAGE, STEPS, FEATURES = image(200, 3, 2), sequence(5, 300), features(2000)
BATCH = 20


def bound(value: Value, layer: dict[str, Any], *, seed: int = 0, train: bool = True) -> Bound:
    parsed = LAYERS.parse(layer, ()).filled(value)
    node = Node("it", parsed, (INPUT,), (value,), parsed.output(value))
    return Bound(
        *(parsed, (value,), node.gives, train, BATCH, plan_for("cpu", training=False).numerics, {}, {}),
        {name: jnp.float32(number) for name, number in parsed.numbers().items()},
        jax.random.key(seed),
        CANONICAL[value.kind],
    )


def trained(value: Value, layer: dict[str, Any], x: np.ndarray | None = None, **fields: Any) -> np.ndarray:
    """What comes out, in canonical order; of ones unless `x` says."""
    given = np.ones((BATCH, *value.canonical), np.float32) if x is None else x
    return np.asarray(bound(value, layer, **fields).layer.apply(bound(value, layer, **fields), jnp.asarray(given)))


DROPS = {  # by type: a value, and the axes along which all is dropped or nothing is
    "dropout": (FEATURES, ()),
    "dropout1d": (STEPS, (1,)),
    "dropout2d": (IMAGE, (1, 2)),
    "droppath": (image(3, 4, 2), (1, 2, 3)),
}


@pytest.mark.parametrize("name", DROPS)
def test_a_share_of_p_is_zeroed_and_the_mean_stays(name: str) -> None:
    value, whole = DROPS[name]
    kept = np.concatenate([trained(value, {"type": name, "p": 0.3}, seed=seed) for seed in range(6)])
    assert set(np.unique(kept.round(4))) == {0.0, np.float32(1 / 0.7).round(4)}
    each = kept.max(whole) if whole else kept
    assert np.mean(each == 0) == pytest.approx(0.3, abs=4 * (0.21 / each.size) ** 0.5)
    assert np.array_equal(kept.max(whole), kept.min(whole)), "parts of what is dropped as a whole"
    assert not np.array_equal(kept[0], kept[1]) or name == "droppath"


@pytest.mark.parametrize(("name", "value"), [("alphadropout", FEATURES), ("featurealphadropout", IMAGE)])
def test_alpha_dropouts_keep_mean_and_variance(name: str, value: Value) -> None:
    x = np.random.default_rng(0).standard_normal((BATCH, *value.canonical)).astype(np.float32)
    y = np.concatenate([trained(value, {"type": name, "p": 0.2}, x, seed=seed) for seed in range(4)])
    assert y.mean() == pytest.approx(0, abs=0.03) and y.std() == pytest.approx(1, abs=0.03)
    # As PyTorch computes it: a x + b, with x = -1.758 where a value is dropped.
    scale = ((1 - 0.2) * (1 + 0.2 * 1.7580993408473766**2)) ** -0.5
    dropped = np.isclose(y, scale * -1.7580993408473766 * 0.8, atol=1e-5)
    assert dropped.mean() == pytest.approx(0.2, abs=0.02)
    kept = np.isclose(y, scale * (np.concatenate([x] * 4) + 1.7580993408473766 * 0.2), atol=1e-5)
    assert (dropped | kept).all()
    if value.kind == "image":
        assert np.array_equal(dropped.all((1, 2)), dropped.any((1, 2)))


def test_noise_has_the_deviation_that_is_asked_for() -> None:
    noise = trained(FEATURES, {"type": "gaussian_noise", "stddev": 0.5}) - 1
    assert noise.mean() == pytest.approx(0, abs=0.01) and noise.std() == pytest.approx(0.5, rel=0.02)
    assert abs(np.corrcoef(noise[0], noise[1])[0, 1]) < 0.1


def test_slopes_of_a_random_relu_lie_between_its_bounds() -> None:
    x = -np.ones((BATCH, 2000), np.float32)
    slopes = -trained(FEATURES, {"type": "rrelu", "lower": 0.1, "upper": 0.4}, x)
    assert slopes.min() >= 0.1 and slopes.max() <= 0.4 and slopes.mean() == pytest.approx(0.25, abs=0.005)
    assert np.all(trained(FEATURES, {"type": "rrelu", "lower": 0.1, "upper": 0.4}, x, train=False) == -0.25)


RANDOM = sorted(name for name, cls in LAYERS.items() if cls.random and cls.keeps_values)


@pytest.mark.parametrize("name", RANDOM)
def test_nothing_is_drawn_in_evaluation_and_the_same_whatever_the_order_of_axes(name: str) -> None:
    cls = LAYERS[name]
    value = image(3, 2, 4) if "image" in cls.takes else sequence(3, 4)
    x = np.random.default_rng(0).standard_normal((BATCH, *value.canonical)).astype(np.float32)
    layer = dict(cls.examples[0].json)
    assert np.array_equal(trained(value, layer, x, train=False), x)
    expected = trained(value, layer, x)
    assert not np.array_equal(expected, x)
    for layout in ("CHWB", "phases") if value.kind == "image" else ():

        def elsewhere(x: jax.Array, layout: Any = layout) -> jax.Array:
            found = reference(bound(value, layer), [to(Laid(x, "BHWC"), layout)])
            return to(found, canonical(value)).array

        assert np.allclose(jax.jit(elsewhere)(x), expected)
