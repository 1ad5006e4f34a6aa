"""Update rules of optimizers that PyTorch has none of, as their papers and authors have them, in float64.

Each takes an array, its gradient, what it keeps, the number of the step from 1 and its options; and gives the array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.nets.parity.trajectories import KEPT, STEPS, Arrays, Json, gradients, initial, options_of

Array = Any


def longer(x: Array, step: Array, coefficient: float = 1, eps: float = 0) -> Array:
    """A step as long as a share of its array."""
    return step * coefficient * np.linalg.norm(x) / (np.linalg.norm(step) + eps)


def adam_step(g: Array, s: dict[str, Array], t: int, betas: Any, eps: float) -> Array:
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g * g
    return s["m"] / (1 - betas[0] ** t) / (np.sqrt(s["v"] / (1 - betas[1] ** t)) + eps)


def lamb(x: Array, g: Array, s: dict[str, Array], t: int, lr: float, betas: Any = (0.9, 0.999), eps: float = 1e-6, weight_decay: float = 0) -> Array:  # fmt: skip
    return x - lr * longer(x, adam_step(g, s, t, betas, eps) + weight_decay * x)


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
    "lamb": lamb,
    "lars": lars,
    "lion": lion,
    "schedule_free_adamw": schedule_free_adamw,
}


def looked_ahead(x: Array, s: dict[str, Array], t: int, k: int, alpha: float) -> Array:
    """Zhang et al., 2019, algorithm 1."""
    if t % k:
        return x
    s["slow"] = s["slow"] + alpha * (x - s["slow"])
    return s["slow"]


def trajectory(case: Json) -> list[Arrays]:
    """The weights after each step of `KEPT`."""
    weights = {layer: {name: np.float64(x) for name, x in own.items()} for layer, own in initial().items()}
    kept = {(layer, name): {"slow": x} for layer, own in weights.items() for name, x in own.items()}
    found = []
    for step in range(1, STEPS + 1):
        for layer, own in gradients(step, weights).items():
            for name, g in own.items():
                state, options = kept[layer, name], options_of(case, layer, name)
                x = RULES[case["type"]](weights[layer][name], g, state, step, **options)
                weights[layer][name] = looked_ahead(x, state, step, **case["lookahead"]) if "lookahead" in case else x
        if step in KEPT:
            found.append({layer: dict(own) for layer, own in weights.items()})
    return found
