"""PyTorch's side of a recipe: the network of a body, trained by it from the first step and tested.

usage: recipe_pytorch.py ARRAYS.npz BODY.json

As `peer_pytorch.py`, whose networks these are: a script of its own that `recipes.py` starts. BODY has every field filled
in; ARRAYS has `inputs`, `labels`, `test_inputs`, `test_labels`. Prints what `recipes.py` does of Lamina's side. What it
knows is Adam or SGD with a constant rate or one cycle, and cross entropy: ValueError for a body that wants more.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from peer_pytorch import Laid, Network, inputs_of, optimizer

MORE = ("augment", "ema", "swa", "accumulate", "groups", "frozen", "gradient_clip_norm", "early_stopping", "target")
TESTED = 1000  # images at a time


def known(h: dict[str, Any]) -> None:
    """ValueError for what is not done here."""
    asked = [name for name in MORE if h.get(name) not in (None, [], 1)]
    curve, loss = curve_of(h)["type"], loss_of(h)["type"]
    if asked or curve not in ("constant", "one_cycle") or loss != "cross_entropy":
        raise ValueError(f"PyTorch's side does not do all of {[*asked, curve, loss]}")


def curve_of(h: dict[str, Any]) -> dict[str, Any]:
    """The schedule of the learning rate."""
    return h["lr_schedule"] or {"type": "constant"}


def loss_of(h: dict[str, Any]) -> dict[str, Any]:
    """With its options."""
    return h["loss"] if isinstance(h["loss"], dict) else {"type": h["loss"]}


def schedule(h: dict[str, Any], optimizer: torch.optim.Optimizer, steps: int) -> Any:
    """A scheduler that goes on with each step; None for a constant rate."""
    asked = curve_of(h)
    if asked["type"] == "constant":
        return None
    names = ("pct_start", "anneal_strategy", "div_factor", "final_div_factor", "three_phase")
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, h["optimizer"]["lr"], total_steps=steps, **{name: asked[name] for name in names if name in asked}
    )


def accuracy(network: Network, x: Laid, labels: torch.Tensor) -> float:
    """Of samples that it was not trained on."""
    network.eval()
    right = 0
    with torch.inference_mode():
        for start in range(0, len(labels), TESTED):
            found = network(Laid(x.tensor[start : start + TESTED], x.form)).tensor.argmax(1)
            right += int((found == labels[start : start + TESTED]).sum())
    network.train()
    return right / len(labels)


def main() -> None:
    arrays, body = np.load(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    h = body["hyperparams"]
    known(h)
    torch.manual_seed(h["seed"])
    permuted = np.random.default_rng(h["seed"]).permutation(len(arrays["labels"]))
    count = int(len(permuted) * h["train_split"])
    inputs, labels = arrays["inputs"][permuted], torch.tensor(arrays["labels"][permuted].astype(np.int64))
    x, held = inputs_of({"inputs": inputs}, count), inputs_of({"inputs": inputs[count:]}, len(permuted))
    tested, answers = inputs_of({"inputs": arrays["test_inputs"]}, len(permuted)), torch.tensor(arrays["test_labels"])
    began = time.perf_counter()
    network = Network(body["architecture"]["layers"], Laid(x.tensor[:2], x.form)).to(memory_format=torch.channels_last)
    step, size = optimizer(body, network), h["batch_size"]
    curve = schedule(h, step, h["epochs"] * -(-count // size))
    smoothing, epochs = loss_of(h).get("label_smoothing", 0.0), 0.0
    for _ in range(h["epochs"]):
        order, epoch = torch.randperm(count), time.perf_counter()
        for start in range(0, count, size):
            chosen = order[start : start + size]
            step.zero_grad(set_to_none=True)
            logits = network(Laid(x.tensor[chosen], x.form)).tensor
            F.cross_entropy(logits, labels[chosen], label_smoothing=smoothing).backward()
            step.step()
            if curve:
                curve.step()
        if count < len(permuted):
            accuracy(network, held, labels[count:])
        epochs += time.perf_counter() - epoch
    reached = accuracy(network, tested, answers)
    print(json.dumps({"accuracy": reached, "epochs": epochs, "all": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
