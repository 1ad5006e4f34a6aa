"""How long a benchmark takes: expected before it from what its networks cost, then from what it has measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from nets.benchmarks.bodies import Body
from nets.benchmarks.measuring import ANSWERS_SECONDS, EPOCH_FLOPS, LEAST_BATCHES
from nets.benchmarks.protocol import Plan, Spot
from nets.benchmarks.results import BenchedDevice

# Seconds that are the same for every network, measured on two cores: a process that starts JAX and reads its data,
# what it compiles anew, and the peaks of a device.
STARTING, COMPILING, PEAKS = 2.6, 1.5, 8.0
SHARE = 0.4  # of its peak that a device trains a network with
PEAK = {"cpu": 1e11, "gpu": 1e13, "tpu": 1e13}  # floating point operations a second, where no peak was measured
EPOCHS = 5  # that a target is expected to take
LEAST = 0.5  # seconds that are left of what takes longer than expected

Kind = Literal["cold", "warm", "target"]
Job = tuple[Spot, Kind]


@dataclass
class Pace:
    """Seconds of each measurement: as expected, and as they were.

    devices: with their peaks, as they are by then. waiting: what is to be measured. unknown: devices whose peaks are.
    """

    plan: Plan
    bodies: Mapping[str, Body]
    devices: Mapping[str, BenchedDevice]
    waiting: list[Job]
    unknown: list[str]
    clock: Callable[[], float] = time.monotonic
    _took: dict[Job, list[float]] = field(default_factory=dict)
    _now: Job | None = None
    _since: float = 0.0
    _share: float = 0.0
    _told: float = 0.0

    def __post_init__(self) -> None:
        self._began = self.clock()

    def begin(self, job: Job) -> None:
        """One of those that wait begins."""
        self.waiting.remove(job)
        self._now, self._since, self._share = job, self.clock(), 0.0

    def at(self, share: float) -> None:
        """So much of the present measurement is done at least; 0 where that is not known."""
        self._share = share

    def end(self) -> None:
        """It has ended."""
        assert self._now is not None
        self._took.setdefault(self._now, []).append(self.clock() - self._since)
        self._now = None

    def drop(self, spot: Spot) -> None:
        """A spot that failed is not measured any more."""
        self.waiting[:] = [job for job in self.waiting if job[0] != spot]

    def fraction(self) -> float:
        """Of the whole: by time, below 1 while something is left, and never less than told before."""
        spent, left = self.clock() - self._began, self.left()
        self._told = max(self._told, spent / (spent + left) if spent + left else 0.0)
        return self._told

    def expected(self, job: Job) -> float:
        """Seconds: as often before, else as the costs of the network say, corrected by how others of its kind went."""
        if before := self._took.get(job):
            return fmean(before)
        alike = {known: took for known, took in self._took.items() if known[1] == job[1]} or self._took
        told = sum(fmean(took) for took in alike.values())
        guessed = sum(map(self.guessed, alike))
        return self.guessed(job) * (told / guessed if guessed else 1.0)

    def guessed(self, job: Job) -> float:
        """Seconds, from what the network costs."""
        spot, kind = job
        body, device, plan = self.bodies[spot.body], self.devices[spot.device], self.plan
        peak = device["measured_peaks"].get(spot.precision) or PEAK.get(device["platform"], PEAK["cpu"])
        sample = body.flops_train / (SHARE * peak)
        if kind == "target":
            return STARTING + EPOCHS * sample * body.train_samples
        affordable = max(EPOCH_FLOPS / body.flops_train, LEAST_BATCHES * spot.batch_size)
        epoch = sample * min(plan.max_samples, affordable)
        measured = max(plan.warmup_seconds, epoch) + max(plan.measured_seconds, epoch)
        return STARTING + measured + 2 * ANSWERS_SECONDS + COMPILING * (kind == "cold")

    def left(self) -> float:
        """Seconds of what waits, and of what is measured now."""
        seconds = sum(map(self.expected, self.waiting)) + PEAKS * len(self.unknown)
        if self._now is None:
            return seconds
        spent, whole = self.clock() - self._since, self.expected(self._now)
        if spent >= whole:  # such as a target that is far: half as long again, or to the last epoch
            longest = spent / self._share if self._share else math.inf
            whole = min(longest, 1.5 * spent)
        return seconds + max(whole - spent, LEAST)
