"""Runs PyTorch's optimizers once and keeps where they go: `python -m tests.nets.parity.record_optimizers`."""

from __future__ import annotations

import inspect
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from tests.nets.parity.trajectories import (
    CASES,
    FILE,
    KEPT,
    STEPS,
    Arrays,
    Json,
    digest,
    gradients,
    initial,
    options_of,
)

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


def split(options: Json) -> tuple[Json, Json]:
    """Those of Muon, and those of its AdamW."""
    adam = {name.removeprefix("adam_"): value for name, value in options.items() if name.startswith("adam_")}
    return {name: value for name, value in options.items() if not name.startswith("adam_")}, adam


def optimizers(case: Json, weights: Any) -> tuple[list[torch.optim.Optimizer], dict[int, torch.Tensor]]:
    """PyTorch's, and the matrices that Muon sees in place of kernels of images."""
    places = [(layer, name, x) for layer, own in weights.items() for name, x in own.items()]
    found = [(x, options_of(case, layer, name)) for layer, name, x in places]
    if case["type"] != "muon":
        known = inspect.signature(CLASSES[case["type"]]).parameters
        groups = [{"params": [x], **{n: v for n, v in own.items() if n in known}} for x, own in found]
        for_all = {name: value for name, value in case.items() if name in known}  # some are read nowhere else
        return [CLASSES[case["type"]](groups, **for_all)], {}
    flat = {id(x): x.detach().flatten(1).clone() for x, _ in found if x.ndim > 1}
    matrices = [{"params": [flat[id(x)]], **split(own)[0]} for x, own in found if id(x) in flat]
    rest = [{"params": [x], **split(own)[1]} for x, own in found if id(x) not in flat]
    return [torch.optim.Muon(matrices), torch.optim.AdamW(rest)], flat


def step_of(several: list[torch.optim.Optimizer]) -> None:
    with patch.object(torch.Tensor, "bfloat16", lambda x: x.clone()):  # Muon's steps made orthogonal in float32
        for optimizer in several:
            optimizer.step()


class Slow:
    """Lookahead's slow weights. Zhang et al., 2019, algorithm 1."""

    def __init__(self, tensors: list[torch.Tensor], k: int = 5, alpha: float = 0.5) -> None:
        self.pairs, self.k, self.alpha = [(x, x.detach().clone()) for x in tensors], k, alpha

    def after(self, step: int) -> None:
        for fast, slow in self.pairs if step % self.k == 0 else ():
            slow += self.alpha * (fast.detach() - slow)
            fast.data.copy_(slow)


def trajectory(case: Json) -> list[Arrays]:
    weights = {layer: {name: theirs(x, name) for name, x in own.items()} for layer, own in initial().items()}
    several, flat = optimizers(case, weights)
    moving = [flat.get(id(x), x) for own in weights.values() for x in own.values()]
    slow = Slow(moving, **case["lookahead"]) if "lookahead" in case else None
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
        step_of(several)
        if slow:
            slow.after(step)
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
