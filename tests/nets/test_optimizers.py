"""Optimizers against published update rules, written out in NumPy; parity/test_optimizers.py has what PyTorch gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nets.optimizers import OPTIMIZERS, Optimizer
from nets.training.update import scalars
from tests.nets.parity.trajectories import CASES as RECORDED

Array = Any


def sgd(x: Array, g: Array, s: dict[str, Array], t: int, lr: float, momentum: float = 0, nesterov: bool = False, weight_decay: float = 0) -> Array:  # fmt: skip
    g = g + weight_decay * x
    if momentum:
        s["b"] = g if t == 1 else momentum * s["b"] + g
        g = g + momentum * s["b"] if nesterov else s["b"]
    return x - lr * g


def adam(x: Array, g: Array, s: dict[str, Array], t: int, lr: float, betas: Any = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0, decoupled: bool = False) -> Array:  # fmt: skip
    if decoupled:
        x = x - lr * weight_decay * x
    else:
        g = g + weight_decay * x
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g * g
    return x - lr * s["m"] / (1 - betas[0] ** t) / (np.sqrt(s["v"] / (1 - betas[1] ** t)) + eps)


def adamw(x: Array, g: Array, s: dict[str, Array], t: int, weight_decay: float = 0.01, **rest: Any) -> Array:
    return adam(x, g, s, t, weight_decay=weight_decay, decoupled=True, **rest)


def rmsprop(x: Array, g: Array, s: dict[str, Array], t: int, lr: float, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0) -> Array:  # fmt: skip
    g = g + weight_decay * x
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g * g
    return x - lr * g / (np.sqrt(s["v"]) + eps)


def longer(x: Array, step: Array, coefficient: float = 1, eps: float = 0) -> Array:
    """A step as long as a share of its array."""
    return step * coefficient * np.linalg.norm(x) / (np.linalg.norm(step) + eps)


def lamb(x: Array, g: Array, s: dict[str, Array], t: int, lr: float, betas: Any = (0.9, 0.999), eps: float = 1e-6, weight_decay: float = 0) -> Array:  # fmt: skip
    step = x - adam(x, g, s, t, 1.0, betas, eps)
    return x - lr * longer(x, step + weight_decay * x)


def lars(x: Array, g: Array, s: dict[str, Array], t: int, lr: float, momentum: float = 0.9, nesterov: bool = False, weight_decay: float = 0, trust_coefficient: float = 0.001, eps: float = 0) -> Array:  # fmt: skip
    g = lr * longer(x, g + weight_decay * x, trust_coefficient, eps)
    s["b"] = momentum * s.get("b", 0) + g
    return x - (g + momentum * s["b"] if nesterov else s["b"])


def lion(x: Array, g: Array, s: dict[str, Array], t: int, lr: float, betas: Any = (0.9, 0.99), weight_decay: float = 0.001) -> Array:  # fmt: skip
    m = s.get("m", 0 * g)
    s["m"] = betas[1] * m + (1 - betas[1]) * g
    return x - lr * (np.sign(betas[0] * m + (1 - betas[0]) * g) + weight_decay * x)


def schedule_free_adamw(y: Array, g: Array, s: dict[str, Array], t: int, lr: float, betas: Any = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0, r: float = 0, weight_lr_power: float = 2) -> Array:  # fmt: skip
    """As the authors' code has it: the average x is not kept, but follows from y and z."""
    z = s.get("z", y)
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g * g
    step = g / (np.sqrt(s["v"] / (1 - betas[1] ** t)) + eps) + weight_decay * y
    weight = t**r * lr**weight_lr_power
    s["total"] = s.get("total", 0) + weight
    share = weight / s["total"]
    s["z"] = z - lr * step
    return (1 - share) * y + share * z + lr * (betas[0] * (1 - share) - 1) * step


RULES: dict[str, Callable[..., Array]] = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
    "lamb": lamb,
    "lars": lars,
    "lion": lion,
    "schedule_free_adamw": schedule_free_adamw,
}

CASES: list[dict[str, Any]] = [
    {"type": "sgd", "lr": 0.1},
    {"type": "sgd", "lr": 0.1, "momentum": 0.9},
    {"type": "sgd", "lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    {"type": "sgd", "lr": 0.1, "weight_decay": 0.1},
    {"type": "adam", "lr": 0.01},
    {"type": "adam", "lr": 0.01, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.1},
    {"type": "adamw", "lr": 0.01},
    {"type": "adamw", "lr": 0.01, "weight_decay": 0.2},
    {"type": "rmsprop", "lr": 0.01},
    {"type": "rmsprop", "lr": 0.01, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.1},
    {"type": "lamb", "lr": 0.01, "eps": 1e-3, "weight_decay": 0.1},
    {"type": "lars", "lr": 10, "weight_decay": 0.1},
    {"type": "lars", "lr": 10, "momentum": 0.8, "nesterov": True, "trust_coefficient": 0.002, "eps": 0.1},
    {"type": "lion", "lr": 0.01},
    {"type": "lion", "lr": 0.01, "betas": [0.8, 0.9], "weight_decay": 0.1},
    {"type": "schedule_free_adamw", "lr": 0.01},
    {"type": "schedule_free_adamw", "lr": 0.01, "betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.1, "r": 1.5},
]


def parsed(case: dict[str, Any]) -> Optimizer:
    return OPTIMIZERS.parse(case, ("optimizer",))


def test_every_optimizer_has_something_to_be_held_against() -> None:
    assert set(RULES) == {case["type"] for case in CASES}
    assert set(RULES) | {case["type"] for case in RECORDED} == set(OPTIMIZERS)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ten_steps_equal_pytorch_s_rule(case: dict[str, Any]) -> None:
    optimizer, rule = parsed(case), RULES[case["type"]]
    options = {name: value for name, value in case.items() if name != "type"}
    random = np.random.default_rng(0)
    x, state = random.normal(size=5), {}
    params = jnp.asarray(x, jnp.float32)
    transform = optimizer.transform(scalars(optimizer.numbers()))
    opt_state = transform.init(params)
    for t in range(1, 11):
        gradient = random.normal(size=5)
        x = rule(x, gradient, state, t, **options)
        updates, opt_state = transform.update(jnp.asarray(gradient, jnp.float32), opt_state, params)
        params = optax.apply_updates(params, updates)
    assert np.allclose(params, x, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("case", [*CASES, *RECORDED], ids=str)
def test_an_optimizer_begins_with_zeros_or_with_what_it_says(case: dict[str, Any]) -> None:
    """`nets.training.programs.start` builds the state of zeros and `begin`, without compiling anything."""
    optimizer, params = parsed(case), {"layer": {"kernel": np.ones((2, 3), np.float32), "bias": np.ones(3, np.float32)}}
    transform = optimizer.transform(scalars(optimizer.numbers()))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(transform.init, params))
    begun, wanted = optimizer.begin(zeros, params), transform.init(params)
    assert jax.tree.structure(begun) == jax.tree.structure(wanted)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(begun), jax.tree.leaves(wanted), strict=True))
    assert optimizer.averages == any(np.any(leaf) for leaf in jax.tree.leaves(begun))


@pytest.mark.parametrize("case", [*CASES, *RECORDED], ids=str)
def test_another_number_is_no_other_structure(case: dict[str, Any]) -> None:
    other = {name: value * 0.9 if isinstance(value, float) else value for name, value in case.items()}
    other["lr"] = 0.9 * case.get("lr", 0.1)
    assert parsed(case) != parsed(other)
    assert parsed(case).structure() == parsed(other).structure()
    assert parsed(case).numbers().keys() == parsed(case).structure().numbers().keys()
