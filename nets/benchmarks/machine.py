"""The machine of a benchmark: what it is, and how it was when the benchmark began and while it went on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import jax

from nets.benchmarks.results import Clocks, Machine, Quiet
from nets.benchmarks.worker import environ
from nets.facts import Environment
from nets.process.clocks import cpu_clock, gpu_clock, most_of_cpu, most_of_gpu, power_limit
from nets.process.device import cores, processor, versions
from nets.process.devices import all_devices, host
from nets.process.environment import environment, flags
from nets.process.nvml import Gpu
from nets.process.quiet import After, Before, before
from nets.process.revision import revision


def machine(name: str | None, *, devices: Sequence[jax.Device] | None = None, start: Before | None = None) -> Machine:
    """As it is now; half a second is spent on looking how quiet it is, unless `start` says it.

    name: how reports call it; None: after its accelerators, else after its processor. devices: those that are measured,
    all if not given. `quiet` is told anew by `quiet_of` at the end.
    """
    measured = all_devices() if devices is None else devices
    start = start or before(measured)
    clocks, watts = _clocks(measured)
    return {
        "name": name or default_name(measured),
        "host": host(),
        "environment": _environment(measured),
        "versions": versions(),
        "revision": revision(),
        "power_limit_watts": watts,
        "clocks": clocks,
        "quiet": quiet_of(start),
    }


def _environment(devices: Sequence[jax.Device]) -> Environment:
    """That of the processes that measure."""
    found = environment()
    on_gpu = any(device.platform == "gpu" for device in devices)
    return {**found, "flags": flags(environ())} if on_gpu else found


def quiet_of(start: Before, end: After | None = None) -> Quiet:
    """How busy it was: before the start, and with `end` while measuring, too."""
    return {
        "load_average": start.load_average,
        "busy": start.busy,
        "steal": end.steal if end else None,
        "governor": start.governor,
        "warnings": list(dict.fromkeys([*start.warnings, *(end.warnings if end else ())])),
    }


def default_name(devices: Sequence[jax.Device]) -> str:
    """`NVIDIA H200`, `2 x NVIDIA L4`; without an accelerator `AMD EPYC 9B14, 2 cores`."""
    kinds = Counter(device.device_kind for device in devices if device.platform != "cpu")
    if kinds:
        return ", ".join(f"{count} x {kind}" if count > 1 else kind for kind, count in kinds.items())
    count = cores()
    return f"{processor()}, {count} core{'s' * (count != 1)}"


def _clocks(devices: Sequence[jax.Device]) -> tuple[Clocks, float | None]:
    """With the power limit: both of the first GPU."""
    clocks: Clocks = {"cpu": cpu_clock(), "cpu_most": most_of_cpu(), "gpu": None, "gpu_most": None}
    gpu = next((device for device in devices if device.platform == "gpu"), None)
    if gpu is None:
        return clocks, None
    with Gpu(gpu) as asked:
        return {**clocks, "gpu": gpu_clock(asked), "gpu_most": most_of_gpu(asked)}, power_limit(asked)
