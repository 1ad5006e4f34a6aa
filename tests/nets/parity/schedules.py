"""Schedules, each with the one of PyTorch that it is, over 3 epochs of 7 steps: `record_schedules` keeps its rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

RECORDED = Path(__file__).parent / "schedules.npz"
STEPS_PER_EPOCH, EPOCHS, LR = 7, 3, 0.2


class Case(NamedTuple):
    """Ours as JSON; PyTorch's for an optimizer `o`, stepped after every step, with N steps in all and S an epoch."""

    ours: dict[str, Any]
    torch: str


def warm(then: str, steps: int, start: float | None = None) -> str:
    """A warm-up of PyTorch's, whose steps have what ours have at their ends, and what follows it."""
    if start is None:
        first = f"LinearLR(o, start_factor=1/{steps}, total_iters={steps}-1)"
    else:
        first = f"LinearLR(o, start_factor={start}+(1-{start})/{steps}, total_iters={steps}-1)"
    return f"SequentialLR(o, [{first}, {then}], milestones=[{steps}])"


CASES = {
    "constant": Case({"type": "constant"}, "ConstantLR(o, factor=1)"),
    "constant, warmed": Case({"type": "constant", "warmup_epochs": 1}, warm("ConstantLR(o, factor=1)", 7)),
    "constant, from a tenth": Case(
        {"type": "constant", "warmup_epochs": 2, "warmup_start_factor": 0.1}, warm("ConstantLR(o, factor=1)", 14, 0.1)
    ),
    "linear": Case({"type": "linear"}, "LinearLR(o, start_factor=1, end_factor=0, total_iters=N)"),
    "linear to a tenth": Case(
        {"type": "linear", "final_lr": 0.02}, "LinearLR(o, start_factor=1, end_factor=0.1, total_iters=N)"
    ),
    "linear, warmed": Case(
        {"type": "linear", "warmup_epochs": 1, "final_lr": 0.1},
        warm("LinearLR(o, start_factor=1, end_factor=0.5, total_iters=N-7)", 7),
    ),
    "polynomial": Case({"type": "polynomial"}, "PolynomialLR(o, total_iters=N)"),
    "polynomial of 0.9": Case({"type": "polynomial", "power": 0.9}, "PolynomialLR(o, total_iters=N, power=0.9)"),
    "polynomial of 2, warmed": Case(
        {"type": "polynomial", "power": 2, "warmup_epochs": 1}, warm("PolynomialLR(o, total_iters=N-7, power=2)", 7)
    ),
    "polynomial over 5 epochs": Case(
        {"type": "polynomial", "horizon_epochs": 5}, "PolynomialLR(o, total_iters=5*S)"
    ),
    "exponential": Case({"type": "exponential", "gamma": 0.5}, "ExponentialLR(o, gamma=0.5 ** (1 / S))"),
    "exponential in stairs": Case(
        {"type": "exponential", "gamma": 0.7, "staircase": True}, "LambdaLR(o, lambda k: 0.7 ** (k // S))"
    ),
    "exponential, warmed": Case(
        {"type": "exponential", "gamma": 0.9, "warmup_epochs": 1}, warm("ExponentialLR(o, gamma=0.9 ** (1 / S))", 7)
    ),
    "inverse_sqrt": Case(
        {"type": "inverse_sqrt", "warmup_epochs": 1},
        "LambdaLR(o, lambda k: (k + 1) / 7 if k < 7 else (7 / k) ** 0.5)",
    ),
    "inverse_sqrt, not warmed": Case({"type": "inverse_sqrt"}, "LambdaLR(o, lambda k: (1 + k / S) ** -0.5)"),
    "inverse_sqrt of half an epoch": Case(
        {"type": "inverse_sqrt", "timescale_epochs": 0.5}, "LambdaLR(o, lambda k: (1 + k / 3.5) ** -0.5)"
    ),
    "step": Case({"type": "step", "step_epochs": 1}, "StepLR(o, step_size=S)"),
    "step of 3 steps": Case({"type": "step", "step_epochs": 3 / 7, "gamma": 0.5}, "StepLR(o, step_size=3, gamma=0.5)"),
    "step of 2 epochs": Case({"type": "step", "step_epochs": 2, "gamma": 0.3}, "StepLR(o, step_size=2*S, gamma=0.3)"),
    "multistep": Case({"type": "multistep", "milestones_epochs": [1, 2]}, "MultiStepLR(o, milestones=[S, 2*S])"),
    "multistep within epochs": Case(
        {"type": "multistep", "milestones_epochs": [2 / 7, 10 / 7, 2.0], "gamma": 0.5},
        "MultiStepLR(o, milestones=[2, 10, 14], gamma=0.5)",
    ),
    "cosine": Case({"type": "cosine"}, "CosineAnnealingLR(o, T_max=N)"),
    "cosine to a hundredth": Case(
        {"type": "cosine", "final_lr": 0.002}, "CosineAnnealingLR(o, T_max=N, eta_min=0.002)"
    ),
    "cosine, warmed": Case({"type": "cosine", "warmup_epochs": 1}, warm("CosineAnnealingLR(o, T_max=N-7)", 7)),
    "cosine, warmed from a half": Case(
        {"type": "cosine", "warmup_epochs": 3 / 7, "warmup_start_factor": 0.5},
        warm("CosineAnnealingLR(o, T_max=N-3)", 3, 0.5),
    ),
    "cosine, restarted": Case(
        {"type": "cosine", "restart_epochs": 1, "final_lr": 0.01}, "CosineAnnealingWarmRestarts(o, T_0=S, eta_min=0.01)"
    ),
    "cosine, restarted ever later": Case(
        {"type": "cosine", "restart_epochs": 3 / 7, "restart_factor": 2},
        "CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2)",
    ),
    "cosine, restarted three times as late": Case(
        {"type": "cosine", "restart_epochs": 2 / 7, "restart_factor": 3},
        "CosineAnnealingWarmRestarts(o, T_0=2, T_mult=3)",
    ),
    "one_cycle": Case({"type": "one_cycle"}, "OneCycleLR(o, max_lr=LR, total_steps=N)"),
    "one_cycle in lines": Case(
        {"type": "one_cycle", "anneal_strategy": "linear", "pct_start": 0.4, "div_factor": 10, "final_div_factor": 100},
        "OneCycleLR(o, max_lr=LR, total_steps=N, anneal_strategy='linear', pct_start=0.4, div_factor=10, "
        "final_div_factor=100)",
    ),
    "one_cycle of three phases": Case(
        {"type": "one_cycle", "three_phase": True}, "OneCycleLR(o, max_lr=LR, total_steps=N, three_phase=True)"
    ),
    "one_cycle of three phases in lines": Case(
        {"type": "one_cycle", "three_phase": True, "anneal_strategy": "linear", "base_momentum": 0.5},
        "OneCycleLR(o, max_lr=LR, total_steps=N, three_phase=True, anneal_strategy='linear', base_momentum=0.5)",
    ),
    "one_cycle that rises for an epoch": Case(
        {"type": "one_cycle", "warmup_epochs": 1}, "OneCycleLR(o, max_lr=LR, total_steps=N, pct_start=1/3)"
    ),
    "wsd": Case(
        {"type": "wsd", "warmup_epochs": 1, "decay_epochs": 1},
        "LambdaLR(o, lambda k: (k + 1) / S if k < S else min(1, (N - k) / S))",
    ),
    "wsd by half a cosine": Case(
        {"type": "wsd", "decay": "cosine", "decay_epochs": 2, "final_lr": 0.02},
        "SequentialLR(o, [ConstantLR(o, factor=1), CosineAnnealingLR(o, T_max=2*S, eta_min=0.02)], milestones=[S])",
    ),
    "wsd by a root": Case(
        {"type": "wsd", "decay": "sqrt"}, "LambdaLR(o, lambda k: 1 - max(0, (k - 0.8 * N) / (0.2 * N)) ** 0.5)"
    ),
    "piecewise": Case(
        {"type": "piecewise", "points": [[1, 0.5], [2, 2]]}, "LambdaLR(o, lambda k: 1 if k < S else 0.5 if k < 14 else 2)"
    ),
    "piecewise in lines": Case(
        {"type": "piecewise", "points": [[0, 1], [1, 0.5], [2, 0.4]], "interpolation": "linear"},
        "LambdaLR(o, lambda k: 1 - 0.5 * k / S if k < S else max(0.4, 0.5 - 0.1 * (k - S) / S))",
    ),
}  # fmt: skip

# ReduceLROnPlateau: ours; PyTorch's options; the metric after each epoch.
BETTER_AND_NOT = [1.0, 0.9, 0.9, 0.91, 0.89999, 0.95, 0.8, 0.81, 0.82, 0.83, 0.84, 0.85, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]
PLATEAUS = {
    "reduce_on_plateau": ({}, "", BETTER_AND_NOT * 3),
    "reduce_on_plateau of 1": ({"patience": 1, "factor": 0.5}, "patience=1, factor=0.5", BETTER_AND_NOT),
    "reduce_on_plateau that cools": (
        {"patience": 0, "cooldown": 2, "min_lr": 0.01, "factor": 0.4},
        "patience=0, cooldown=2, min_lr=0.01, factor=0.4",
        BETTER_AND_NOT,
    ),
    "reduce_on_plateau by a difference": (
        {"patience": 2, "threshold": 0.05, "threshold_mode": "abs", "metric": "val_accuracy"},
        "patience=2, threshold=0.05, threshold_mode='abs', mode='max'",
        [1 - value / 2 for value in BETTER_AND_NOT],
    ),
    "reduce_on_plateau by a share, most": (
        {"patience": 1, "threshold": 0.02, "mode": "max", "factor": 0.9},
        "patience=1, threshold=0.02, mode='max', factor=0.9",
        BETTER_AND_NOT,
    ),
}
