"""Runs PyTorch's modules once and keeps what they give: `python -m tests.nets.parity.record [FAMILY...]`."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.nets.parity.case import (
    DRAWS,
    LEVELS,
    Arrays,
    Case,
    array_of,
    cases_of,
    cotangent_of,
    families,
    inputs_of,
    record,
)


def names_of(family: str) -> dict[str, Any]:
    """What the texts of modules may name."""
    own = f"tests.nets.parity.families.{family}_modules"
    more = vars(import_module(own)) if find_spec(own) else {}
    return {"torch": torch, "nn": nn, "F": F, **more}


def module_of(case: Case, names: dict[str, Any]) -> nn.Module:
    return eval(case.torch, names)


def turned(x: torch.Tensor, case: Case) -> torch.Tensor:
    """A sequence in PyTorch's order, or back from there."""
    return x.transpose(1, 2) if case.channels_first and x.ndim == 3 and x.is_floating_point() else x


def given_by(name: str, case: Case, names: dict[str, Any]) -> Arrays:
    """What comes out in each mode, the gradients, and the statistics after training."""
    found: Arrays = {}
    for mode in case.modes:
        module = module_of(case, names)
        state = {key: torch.tensor(array_of(name, key, tuple(x.shape))) for key, x in module.state_dict().items()}
        module.load_state_dict(state)
        module.train(mode == "train")
        leaves = [torch.tensor(x) for x in inputs_of(name, case)]
        leaves = [x.requires_grad_() if x.is_floating_point() else x.long() for x in leaves]
        y = module(*(turned(x, case) for x in leaves))
        y = turned(y[0] if isinstance(y, tuple) else y, case)
        y.backward(torch.tensor(cotangent_of(name, tuple(y.shape))))
        found[f"{mode} output"] = y.detach().numpy()
        for place, x in enumerate(leaves):
            if x.is_floating_point():
                found[f"{mode} gradient of input {place}"] = x.grad.numpy()
        for key, parameter in module.named_parameters():
            gradient = parameter.grad
            found[f"{mode} gradient of {key}"] = np.zeros(parameter.shape) if gradient is None else gradient.numpy()
        if mode == "train":
            found |= {f"train statistic {key}": x.numpy() for key, x in module.named_buffers() if key in state}
    return found


def initial_of(case: Case, names: dict[str, Any]) -> Arrays:
    """The quantiles of what each parameter starts with, its mean and its deviation."""
    torch.manual_seed(0)
    draws: dict[str, list[np.ndarray]] = {}
    while not draws or min(len(parts) * parts[0].size for parts in draws.values()) < DRAWS:
        for key, parameter in module_of(case, names).named_parameters():
            draws.setdefault(key, []).append(parameter.detach().numpy().reshape(-1).copy())
    found: Arrays = {}
    for key, parts in draws.items():
        values = np.concatenate(parts)
        found[key] = np.array([*np.quantile(values, LEVELS), values.mean(), values.std()])
    return found


def main(chosen: list[str]) -> None:
    for family in chosen or families():
        names = names_of(family)
        found = {f"CASES {name}": (case, given_by(name, case, names)) for name, case in cases_of(family).items()}
        starts = cases_of(family, "INITIAL")
        found |= {f"INITIAL {name}": (case, initial_of(case, names)) for name, case in starts.items()}
        print(f"{family}: {len(found)} cases, {record(family, found):,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
