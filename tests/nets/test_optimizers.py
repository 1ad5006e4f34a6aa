"""Every optimizer of the table against PyTorch's published update rule, written out in NumPy."""

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


RULES: dict[str, Callable[..., Array]] = {"sgd": sgd, "adam": adam, "adamw": adamw, "rmsprop": rmsprop}

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
]


def parsed(case: dict[str, Any]) -> Optimizer:
    return OPTIMIZERS.parse(case, ("optimizer",))


def test_every_optimizer_has_a_rule_to_be_held_against() -> None:
    assert set(RULES) == set(OPTIMIZERS) == {case["type"] for case in CASES}


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


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_optimizer_starts_from_zeros(case: dict[str, Any]) -> None:
    """`nets.training.programs.start` builds the state without compiling anything; that is right only where it is zero."""
    optimizer = parsed(case)
    state = optimizer.transform(scalars(optimizer.numbers())).init({"w": jnp.ones(3)})
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_another_number_is_no_other_structure(case: dict[str, Any]) -> None:
    other = {name: value / 2 if isinstance(value, float) else value for name, value in case.items()}
    assert parsed(case) != parsed(other)
    assert parsed(case).structure() == parsed(other).structure()
    assert parsed(case).numbers().keys() == parsed(case).structure().numbers().keys()
