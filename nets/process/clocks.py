"""Clocks of the CPU and of a GPU, and the power that a GPU may take."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

from nets.process.environment import ROOT
from nets.process.nvml import Gpu

CPUS = "sys/devices/system/cpu"
SM = 1  # NVML_CLOCK_SM: of the multiprocessors
MHZ = re.compile(r"^cpu MHz\s*:\s*([\d.]+)", re.MULTILINE)


def cpu_clock(root: Path = ROOT) -> float | None:
    """MHz, now: the mean of the cores; None where the system does not tell."""
    found = [khz / 1e3 for khz in _of_cores("scaling_cur_freq", root)]
    if not found:
        try:
            found = [float(each) for each in MHZ.findall((root / "proc/cpuinfo").read_text())]
        except (OSError, ValueError):
            return None
    return fmean(found) if found and any(found) else None


def most_of_cpu(root: Path = ROOT) -> float | None:
    """MHz: the highest that a core can have; None where the system does not tell."""
    return max((khz / 1e3 for khz in _of_cores("cpuinfo_max_freq", root)), default=None)


def _of_cores(name: str, root: Path) -> list[int]:
    found = []
    for path in (root / CPUS).glob(f"cpu[0-9]*/cpufreq/{name}"):
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):  # one that is switched off
            continue
    return found


def gpu_clock(gpu: Gpu) -> float | None:
    """MHz, now."""
    return _float(gpu.told("nvmlDeviceGetClockInfo", SM))


def most_of_gpu(gpu: Gpu) -> float | None:
    """MHz: the highest."""
    return _float(gpu.told("nvmlDeviceGetMaxClockInfo", SM))


def power_limit(gpu: Gpu) -> float | None:
    """Watts: the least of all limits that are set."""
    milliwatts = _float(gpu.told("nvmlDeviceGetEnforcedPowerLimit"))
    return None if milliwatts is None else milliwatts / 1e3


def _float(told: int | None) -> float | None:
    return None if told is None else float(told)
