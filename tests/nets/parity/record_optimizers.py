"""Runs PyTorch's optimizers once and keeps where they go: `python -m tests.nets.parity.record_optimizers`."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from tests.nets.parity.trajectories import CASES, FILE, KEPT, STEPS, Arrays, Json, digest, gradients, initial

CLASSES = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adamax": torch.optim.Adamax,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "rprop": torch.optim.Rprop,
    "adafactor": torch.optim.Adafactor,
}


def theirs(x: np.ndarray, name: str) -> torch.Tensor:
    """An array in PyTorch's order of axes."""
    return torch.tensor(np.moveaxis(x, (-1, -2), (0, 1)).copy() if name == "kernel" else x)


def ours(x: torch.Tensor, name: str) -> np.ndarray:
    value = x.detach().numpy()
    return np.moveaxis(value, (0, 1), (-1, -2)) if name == "kernel" else value.copy()


def optimizers(case: Json, weights: Any) -> tuple[list[torch.optim.Optimizer], dict[int, torch.Tensor]]:
    """PyTorch's, and the matrices that Muon sees in place of kernels of images."""
    options = {name: value for name, value in case.items() if name != "type"}
    leaves = [x for own in weights.values() for x in own.values()]
    if case["type"] != "muon":
        return [CLASSES[case["type"]](leaves, **options)], {}
    adam = {name.removeprefix("adam_"): options.pop(name) for name in list(options) if name.startswith("adam_")}
    flat = {id(x): x.detach().flatten(1).clone() for x in leaves if x.ndim > 1}
    rest = [x for x in leaves if x.ndim < 2]
    return [torch.optim.Muon(list(flat.values()), **options), torch.optim.AdamW(rest, **adam)], flat


def trajectory(case: Json) -> list[Arrays]:
    weights = {layer: {name: theirs(x, name) for name, x in own.items()} for layer, own in initial().items()}
    several, flat = optimizers(case, weights)
    found = []
    for step in range(1, STEPS + 1):
        here = {layer: {name: ours(x, name) for name, x in own.items()} for layer, own in weights.items()}
        for layer, own in gradients(step, here).items():
            for name, g in own.items():
                x = weights[layer][name]
                matrix = flat.get(id(x))
                if matrix is None:
                    x.grad = theirs(g, name)
                else:
                    matrix.grad = theirs(g, name).flatten(1)
        with patch.object(torch.Tensor, "bfloat16", lambda x: x.clone()):  # Muon's steps made orthogonal in float32
            for optimizer in several:
                optimizer.step()
        for own in weights.values():
            for x in own.values():
                if id(x) in flat:
                    x.data = flat[id(x)].reshape(x.shape).clone()
        if step in KEPT:
            found.append({a: {name: ours(x, name).copy() for name, x in own.items()} for a, own in weights.items()})
    return found


def main() -> None:
    numbers = [
        x.reshape(-1) for case in CASES for tree in trajectory(case) for own in tree.values() for x in own.values()
    ]
    np.savez_compressed(FILE, digest=np.array(digest()), numbers=np.concatenate(numbers).astype(np.float32))
    print(f"{len(CASES)} cases, {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
