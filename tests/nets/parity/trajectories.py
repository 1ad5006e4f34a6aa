"""Steps of optimizers: options, what they begin with and their gradients. Imports neither JAX nor PyTorch.

`python -m tests.nets.parity.record_optimizers` runs PyTorch's once and writes `optimizers.npz` beside this file.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tests.nets.parity.case import draws

Json = dict[str, Any]
Arrays = dict[str, dict[str, np.ndarray]]

FILE = Path(__file__).parent / "optimizers.npz"
STEPS = 20
KEPT = (1, 2, 3, 5, 6, 7, 10, 15, 20)  # the steps after which weights are recorded
# A convolution, a dense layer and a norm, by our axes: [height, width, in, out] and [in, out].
SHAPES = {
    "conv": {"kernel": (2, 3, 2, 3), "bias": (3,)},
    "head": {"kernel": (4, 3), "bias": (3,)},
    "norm": {"scale": (3,)},
}
DECAY = {"weight_decay": 0.1}
BETAS = {"betas": [0.8, 0.95], "eps": 1e-3}
AROUND = ("groups", "weight_decay_exclude", "lookahead")  # of a case: what stands beside the optimizer
SLOW_HEAD = {"groups": [{"layers": "head", "lr": 0.1, "weight_decay": 2}]}
LOOKAHEAD = {"lookahead": {"k": 3, "alpha": 0.7}}

# What groups multiply where a case leaves it out.
DEFAULTS = {("muon", "weight_decay"): 0.1, ("muon", "adam_lr"): 0.001, ("muon", "adam_weight_decay"): 0.01}

CASES: list[Json] = [
    {"type": "sgd", "lr": 0.05},
    {"type": "sgd", "lr": 0.05, "momentum": 0.9, "dampening": 0.3, **DECAY},
    {"type": "sgd", "lr": 0.05, "momentum": 0.8, "nesterov": True, **DECAY},
    {"type": "adam", "lr": 0.01},
    {"type": "adam", "lr": 0.01, **BETAS, **DECAY},
    {"type": "adam", "lr": 0.01, "amsgrad": True, **DECAY},
    {"type": "adamw", "lr": 0.01},
    {"type": "adamw", "lr": 0.01, "amsgrad": True, "betas": [0.5, 0.6], **DECAY},
    {"type": "nadam", "lr": 0.01},
    {"type": "nadam", "lr": 0.01, "momentum_decay": 0.05, **BETAS, **DECAY},
    {"type": "nadam", "lr": 0.01, "decoupled_weight_decay": True, **DECAY},
    {"type": "radam", "lr": 0.01},
    {"type": "radam", "lr": 0.01, "betas": [0.8, 0.9], "eps": 1e-3, **DECAY},
    {"type": "radam", "lr": 0.01, "decoupled_weight_decay": True, **DECAY},
    {"type": "adamax", "lr": 0.01},
    {"type": "adamax", "lr": 0.01, **BETAS, **DECAY},
    {"type": "rmsprop", "lr": 0.01},
    {"type": "rmsprop", "lr": 0.01, "alpha": 0.9, "eps": 1e-4, "momentum": 0.9, **DECAY},
    {"type": "rmsprop", "lr": 0.01, "alpha": 0.8, "centered": True, "momentum": 0.5},
    {"type": "adagrad", "lr": 0.05},
    {"type": "adagrad", "lr": 0.05, "lr_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3, **DECAY},
    {"type": "adadelta"},
    {"type": "adadelta", "lr": 0.5, "rho": 0.7, "eps": 1e-3, **DECAY},
    {"type": "rprop"},
    {"type": "rprop", "lr": 0.05, "etas": [0.3, 1.5], "step_sizes": [0.001, 0.06]},
    {"type": "adafactor"},
    {"type": "adafactor", "lr": 0.3, "beta2_decay": -0.5, "eps": [1e-3, 0.01], "d": 2, **DECAY},
    {"type": "muon", "lr": 0.02, "adam_lr": 0.01},
    {"type": "muon", "lr": 0.02, "adjust_lr_fn": "match_rms_adamw", "nesterov": False, "ns_steps": 3, **DECAY},
    {"type": "muon", "momentum": 0.6, "ns_coefficients": [2, -1.5, 0.5], "eps": 0.5, "adam_weight_decay": 0.3},
    {"type": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, **DECAY, **SLOW_HEAD, "weight_decay_exclude": "bias_and_norm"},
    {"type": "adamw", "lr": 0.01, **DECAY, "groups": [{"layers": "conv", "lr": 3}, {"layers": ["head", "norm"], "weight_decay": 0}]},
    {"type": "rmsprop", "lr": 0.01, "alpha": 0.9, "centered": True, "momentum": 0.5, **DECAY, **SLOW_HEAD},
    {"type": "adagrad", "lr": 0.05, **DECAY, **SLOW_HEAD},
    {"type": "muon", "lr": 0.02, **SLOW_HEAD},
    {"type": "sgd", "lr": 0.05, "momentum": 0.9, **LOOKAHEAD},
    {"type": "adamw", "lr": 0.01, **DECAY, **SLOW_HEAD, "lookahead": {"k": 5, "alpha": 0.5}},
    {"type": "rmsprop", "lr": 0.01, "alpha": 0.9, "momentum": 0.9, **DECAY, **LOOKAHEAD},
    {"type": "muon", "lr": 0.02, "adam_lr": 0.01, **LOOKAHEAD},
]  # fmt: skip

# Of these PyTorch has none: `formulas.py` has the rules of their papers.
BY_FORMULA: list[Json] = [
    {"type": "lamb", "lr": 0.01},
    {"type": "lamb", "lr": 0.01, **BETAS, **DECAY, **SLOW_HEAD, "weight_decay_exclude": "bias_and_norm"},
    {"type": "lars", "lr": 10},
    {"type": "lars", "lr": 10, "momentum": 0.8, "nesterov": True, "trust_coefficient": 0.002, "eps": 0.1, **DECAY},
    {"type": "lars", "lr": 10, "momentum": 0, **DECAY, **SLOW_HEAD, "weight_decay_exclude": "bias_and_norm"},
    {"type": "lion", "lr": 0.01},
    {"type": "lion", "lr": 0.01, "betas": [0.8, 0.9], **DECAY, **SLOW_HEAD},
    {"type": "schedule_free_adamw", "lr": 0.01},
    {"type": "schedule_free_adamw", "lr": 0.01, **BETAS, **DECAY, "r": 1.5, "weight_lr_power": 1, **SLOW_HEAD},
    {"type": "lamb", "lr": 0.01, **DECAY, **LOOKAHEAD},
    {"type": "lars", "lr": 10, **DECAY, **LOOKAHEAD},
    {"type": "lion", "lr": 0.01, **DECAY, **LOOKAHEAD},
]


def name_of(case: Json) -> str:
    return json.dumps(case)


def options_of(case: Json, layer: str, name: str) -> Json:
    """The options that an array has: factors of the first group of its layer are in them, for PyTorch's groups."""
    own = {option: value for option, value in case.items() if option not in ("type", *AROUND)}
    group = next((each for each in case.get("groups", ()) if layer in each["layers"]), {})
    for option, factor in group.items():
        also = [f"adam_{option}"] if case["type"] == "muon" else []
        for of in [option, *also] if option != "layers" else ():
            own[of] = factor * own.get(of, DEFAULTS.get((case["type"], of), 0))
    if case.get("weight_decay_exclude") and (layer == "norm" or name == "bias"):
        own["weight_decay"] = 0
    return own


def initial(shapes: Any = SHAPES) -> Arrays:
    """The weights before the first step."""
    return {
        layer: {
            name: (draws(layer, name).standard_normal(shape) * 0.5).astype(np.float32) for name, shape in own.items()
        }
        for layer, own in shapes.items()
    }


def noise(step: int, layer: str, name: str) -> np.ndarray:
    """The part of a gradient that does not depend on the weights."""
    shape = SHAPES[layer][name]
    return draws(f"{layer} {step}", name).standard_normal(shape).astype(np.float32)


def gradients(step: int, weights: Any) -> Any:
    """Those of a step, in float32 on both sides: towards 0, with noise."""
    return {
        layer: {name: np.float32(0.5) * x + noise(step, layer, name) for name, x in own.items()}
        for layer, own in weights.items()
    }


def digest() -> int:
    """Of all that decides what is recorded."""
    return zlib.crc32(repr((CASES, STEPS, KEPT, SHAPES)).encode())


def recorded() -> dict[str, list[Arrays]]:
    """PyTorch's weights after each step of `KEPT`, by case."""
    with np.load(FILE) as file:
        assert int(file["digest"]) == digest(), "run python -m tests.nets.parity.record_optimizers again"
        numbers = file["numbers"]
    found: dict[str, list[Arrays]] = {}
    at = 0
    for case in CASES:
        found[name_of(case)] = []
        for _ in KEPT:
            tree: Arrays = {}
            for layer, own in SHAPES.items():
                for name, shape in own.items():
                    size = int(np.prod(shape))
                    tree.setdefault(layer, {})[name] = numbers[at : at + size].reshape(shape)
                    at += size
            found[name_of(case)].append(tree)
    return found
