"""Runs PyTorch's schedulers once and keeps their learning rates: `python -m tests.nets.parity.record_schedules`."""

from __future__ import annotations

import numpy as np
import torch
from torch.optim import lr_scheduler

from tests.nets.parity.schedules import CASES, EPOCHS, LR, PLATEAUS, RECORDED, STEPS_PER_EPOCH


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR, momentum=0.9)


def rates_of(text: str) -> np.ndarray:
    """[step, learning rate and momentum]"""
    o, steps = optimizer(), STEPS_PER_EPOCH * EPOCHS
    scheduler = eval(text, {**vars(lr_scheduler), "o": o, "N": steps, "S": STEPS_PER_EPOCH, "LR": LR})
    found = []
    for _ in range(steps):
        found.append((o.param_groups[0]["lr"], o.param_groups[0]["momentum"]))
        o.step()
        scheduler.step()
    return np.array(found)


def reduced_by(options: str, metrics: list[float]) -> np.ndarray:
    """The learning rate after each epoch."""
    o, found = optimizer(), []
    scheduler = eval(f"ReduceLROnPlateau(o, {options})", {**vars(lr_scheduler), "o": o})
    for value in metrics:
        o.step()
        scheduler.step(value)
        found.append(o.param_groups[0]["lr"])
    return np.array(found)


if __name__ == "__main__":
    arrays = {name: rates_of(case.torch) for name, case in CASES.items()}
    arrays |= {name: reduced_by(options, metrics) for name, (_, options, metrics) in PLATEAUS.items()}
    np.savez_compressed(RECORDED, **arrays)
