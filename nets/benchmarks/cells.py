"""Cells of results: what all repeats of one came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

import numpy as np

from nets.benchmarks.bodies import Body
from nets.benchmarks.estimates import interval, quantiles
from nets.benchmarks.measuring import Reached, Speed
from nets.benchmarks.protocol import Spot
from nets.benchmarks.results import (
    BenchedDevice,
    Cell,
    ColdWarm,
    Energy,
    Inference,
    Losses,
    Memory,
    Target,
    Utilization,
)
from nets.numerics.numerics import Numerics

NOTHING = "nothing was measured"


@dataclass
class Record:
    """What was measured of a cell so far. The first repeat compiles cold, the others from the disk."""

    spot: Spot
    repeats: list[Speed] = field(default_factory=list)
    reached: Reached | None = None
    error: str | None = None

    def cell(self, machine: str, body: Body, device: BenchedDevice, target: float | None) -> Cell:
        """As results tell it."""
        speed = interval([one["samples_per_second"] for one in self.repeats]) if self.repeats else None
        flops = speed["median"] * body.flops_train if speed else None
        return {
            "machine": machine,
            "device": self.spot.device,
            "body": self.spot.body,
            "precision": self.spot.precision,
            "effective_precision": Numerics(self.spot.precision, device["platform"]).effective,
            "batch_size": self.spot.batch_size,
            "repeats": len(self.repeats),
            "compile_seconds": self.compiling(),
            "first_step_seconds": self.first_step(),
            "step_seconds": quantiles(step for one in self.repeats for step in one["steps"]),
            "samples_per_second": speed,
            "model_flops_per_second": flops,
            "utilization": utilization(flops, self.spot.precision, device),
            "arithmetic_intensity": body.intensity(self.spot.batch_size),
            "peak_memory": self.memory(),
            "energy": self.energy(),
            "target": self.target(target),
            "inference": self.inference(),
            "losses": self.losses(),
            "error": self.error,
        }

    def compiling(self) -> ColdWarm:
        cold, warm = ([one["compile_seconds"] for one in part] for part in (self.repeats[:1], self.repeats[1:]))
        return {"cold": cold[0] if cold else None, "warm": median(warm) if warm else None}

    def first_step(self) -> float | None:
        """Of warm runs; of the cold one where there is no other."""
        found = [one["first_step_seconds"] for one in self.repeats]
        return median(found[1:] or found) if found else None

    def memory(self) -> Memory:
        told = [one["peak_memory"] for one in self.repeats]
        known = [one for one in told if one["bytes"] is not None]
        if not known:
            reason = told[0]["reason"] if told else NOTHING
            return {"bytes": None, "of": told[0]["of"] if told else "process", "reason": reason}
        most = max(known, key=lambda one: one["bytes"] or 0)
        return {"bytes": most["bytes"], "of": most["of"], "reason": None}

    def energy(self) -> Energy:
        """Of all repeats that a meter told of."""
        told = [(one["energy"], one["samples"]) for one in self.repeats]
        known = [(energy["joules"], samples) for energy, samples in told if energy["joules"] is not None]
        if not known:
            return {"joules_per_1000_samples": None, "of": None, "reason": told[0][0]["reason"] if told else NOTHING}
        joules, samples = (sum(column) for column in zip(*known, strict=True))
        return {"joules_per_1000_samples": 1e3 * joules / samples, "of": told[0][0]["of"], "reason": None}

    def inference(self) -> Inference | None:
        if not self.repeats:
            return None
        p50, p99 = np.quantile([each for one in self.repeats for each in one["latencies"]], [0.5, 0.99]).tolist()
        throughput = median(one["throughput"] for one in self.repeats)
        return {"latency_p50": p50, "latency_p99": p99, "throughput": throughput, "batch": self.repeats[0]["answered"]}

    def losses(self) -> Losses | None:
        if not self.repeats:
            return None
        curve = self.repeats[0]["losses"]
        same = all(one["losses"] == curve for one in self.repeats)
        return {"curve": curve, "final": curve[-1], "identical": same}

    def target(self, accuracy: float | None) -> Target | None:
        return {"accuracy": accuracy, **self.reached} if accuracy is not None and self.reached else None


def utilization(flops: float | None, precision: str, device: BenchedDevice) -> Utilization:
    """Model FLOP/s by what the device can do."""
    measured = device["measured_peaks"].get(precision)
    told = device["data_sheet"][precision]["flops_per_second"]  # type: ignore[literal-required]
    return {
        "measured": flops / measured if flops and measured else None,
        "data_sheet": flops / told if flops and told else None,
    }
