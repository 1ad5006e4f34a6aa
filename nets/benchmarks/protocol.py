"""What is measured, and how: presets, and the cells that they make of bodies, devices, precisions and batch sizes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from nets.benchmarks.results import Preset, Protocol
from nets.hyperparams.hyperparams import Precision

PRECISIONS = get_args(Precision)
PRESETS = get_args(Preset)
LARGEST_BATCH, MOST_REPEATS, MOST_CELLS = 65_536, 100, 1000
# Losses of one seed differ by the order of sums, and in bfloat16 by the rounding of operands (8 bits): relative to the
# reference, over the first steps. Measured on CPUs: 1e-6 and 0.01.
TOLERANCES = {"float32": 1e-3, "bfloat16": 0.05}


@dataclass(frozen=True)
class Plan:
    """How to measure.

    warmup_seconds, measured_seconds: of training, at least, in each repeat. loss_steps: of the comparison of losses.
    max_samples: drawn from a data set at most. target: validation accuracy to train to. target_epochs: at most.
    """

    preset: Preset = "quick"
    precisions: tuple[str, ...] = PRECISIONS
    batch_sizes: tuple[int, ...] = (64,)
    repeats: int = 5
    warmup_seconds: float = 0.2
    measured_seconds: float = 1.0
    loss_steps: int = 20
    seed: int = 42
    max_samples: int = 4096
    target: float | None = None
    target_epochs: int = 30

    def protocol(self) -> Protocol:
        """As results tell it."""
        return {
            "preset": self.preset,
            "repeats": self.repeats,
            "interleaved": True,
            "processes": "one for each repeat of a cell, one at a time",
            "warmup_seconds": self.warmup_seconds,
            "measured_seconds": self.measured_seconds,
            "loss_steps": self.loss_steps,
            "seed": self.seed,
            "max_samples": self.max_samples,
            "target": self.target,
            "target_epochs": self.target_epochs,
            "tolerances": {name: TOLERANCES[name] for name in self.precisions},
        }


PLANS = {
    "quick": Plan(),
    "standard": Plan("standard", batch_sizes=(16, 64, 256, 1024), warmup_seconds=0.5, measured_seconds=2.0),
    "full": Plan("full", batch_sizes=(16, 64, 256, 1024), repeats=9, warmup_seconds=2.0, measured_seconds=3.0),
}
NETWORKS = {
    "quick": ("mlp", "lenet", "reference"),
    "standard": ("mlp", "deep_mlp", "lenet", "reference", "deep_cnn", "resnet_lite"),
    "full": ("mlp", "deep_mlp", "lenet", "reference", "deep_cnn", "resnet_lite", "norms", "five", "colours_residual"),
}


def plan_of(
    preset: Preset = "quick",
    *,
    precisions: Sequence[str] | None = None,
    batch_sizes: Sequence[int] | None = None,
    repeats: int | None = None,
    target: float | None = None,
) -> Plan:
    """A preset, but for what is said here. What is measured twice by name is measured once."""
    plan = PLANS[preset]
    return replace(
        plan,
        precisions=tuple(dict.fromkeys(precisions or plan.precisions)),
        batch_sizes=tuple(dict.fromkeys(batch_sizes or plan.batch_sizes)),
        repeats=repeats or plan.repeats,
        target=target,
    )


def command_of(bodies: Sequence[str], preset: Preset, **said: Any) -> str:
    """A command that measures the same. bodies: names or files. said: values of flags, alone or several, None for no
    flag.
    """
    words = ["lamina", "bench", *bodies, "--preset", preset]
    for name in ("devices", "precisions", "batch_sizes", "repeats", "target"):
        if value := said.get(name):
            several = value if isinstance(value, list | tuple) else [value]
            words += [f"--{name.replace('_', '-')}", ",".join(map(str, several))]
    return shlex.join(words)


@dataclass(frozen=True)
class Spot:
    """Where a cell stands: a body by its name, on a device, in a precision, with a batch size."""

    body: str
    device: str
    precision: str
    batch_size: int

    def __str__(self) -> str:
        return f"{self.body}, {self.device}, {self.precision}, batch {self.batch_size}"


def spots(bodies: Sequence[str], devices: Sequence[str], plan: Plan) -> Iterator[Spot]:
    """Every cell of a plan, in the order in which each repeat goes through them."""
    for body in bodies:
        for precision in plan.precisions:
            for batch_size in plan.batch_sizes:
                yield from (Spot(body, device, precision, batch_size) for device in devices)
