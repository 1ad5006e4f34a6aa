"""The energy that a piece of work takes, by counters of the hardware, which are read before and after it.

A CPU's are RAPL's, of whole packages: what else runs on them counts too, and so does what they take when idle. A GPU's
is the board's, memory and fans included.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import jax
from typing_extensions import TypedDict

from nets.facts import About
from nets.process.environment import ROOT
from nets.process.nvml import Gpu

POWERCAP = "sys/class/powercap"
MOST_WATTS = 600.0  # of one package, above those of data sheets: a counter that could begin anew twice tells nothing

NOT_STARTED = "the meter was not started"
ON_MACOS = "macOS has no counter of energy that a program may read"
IN_A_VIRTUAL_MACHINE = (
    "this is a virtual machine, and its host shows it no counters of energy (RAPL); measure on the machine itself"
)
NO_COUNTERS = (
    "the system shows no counters of energy (RAPL); on Intel's and AMD's processors, with Linux 5.8 or later: "
    "sudo modprobe intel_rapl_msr"
)
NOT_READABLE = (
    f"the counters of energy (RAPL) may not be read by this user; until the next boot, "
    f"sudo chmod a+r /{POWERCAP}/intel-rapl:*/energy_uj lets all users"
)
PART_OF_A_GPU = "it is a part of a GPU (MIG), and the counter is that of the whole"


class Energy(TypedDict):
    """What a piece of work took."""

    joules: float | None
    of: Annotated[str | None, About("What was metered: `package` (RAPL) or `gpu` (NVML).")]
    reason: Annotated[str | None, About("Why there is none.")]


class EnergyMeter:
    """Of what a device takes from `start` to `stop`. Never fails: what is not to be had is null, with the reason."""

    def __init__(self, device: jax.Device, root: Path = ROOT) -> None:
        self._device, self._root = device, root
        self._gpu: Gpu | None = None
        self._before: dict[Path, int] | int | None = None
        self._began = 0.0
        self._reason: str | None = NOT_STARTED

    def start(self) -> None:
        """Begin, once more if it has begun already."""
        self._before, self._reason = None, None
        if self._device.platform == "cpu":
            self._before = self._packages()
        elif self._device.platform != "gpu":
            self._reason = f"a {self._device.platform.upper()} shows no counter of energy to its host"
        elif "MIG" in self._device.device_kind:
            self._reason = PART_OF_A_GPU
        else:
            self._gpu = self._gpu or Gpu(self._device)
            self._reason = self._gpu.reason
            self._before = self._millijoules()
        self._began = time.monotonic()

    def stop(self) -> Energy:
        """What it took since the start."""
        if isinstance(self._before, dict):
            joules, of = self._of_packages(self._before), "package"
        else:
            joules, of = self._of_gpu(self._before), "gpu"
        if self._gpu is not None:
            self._gpu.close()
        self._gpu = self._before = None
        if joules == 0:
            joules, self._reason = None, "the counter of energy did not move in that time; measure longer"
        reason, self._reason = self._reason, NOT_STARTED
        return {"joules": joules, "of": None if joules is None else of, "reason": reason if joules is None else None}

    def _of_gpu(self, before: int | None) -> float | None:
        after = None if before is None else self._millijoules()
        if before is None or after is None:
            return None
        if after < before:
            self._reason = "the counter of energy began anew meanwhile, as with a driver that is loaded again"
            return None
        return (after - before) / 1e3

    def _millijoules(self) -> int | None:
        """Since the driver was loaded."""
        assert self._gpu is not None
        told = self._gpu.told("nvmlDeviceGetTotalEnergyConsumption")
        if told is None and self._reason is None:
            self._reason = f"no counter of energy, which GPUs have from Volta on: {self._gpu.reason}"
        return None if told is None else int(told)

    def _of_packages(self, before: dict[Path, int]) -> float | None:
        after = self._packages()
        if after is None or after.keys() != before.keys():
            self._reason = self._reason or "processors came or went meanwhile"
            return None
        seconds, joules = time.monotonic() - self._began, 0.0
        for package, microjoules in after.items():
            most = _number(package / "max_energy_range_uj")
            if most is None and microjoules < before[package]:
                self._reason = "a counter of energy (RAPL) began anew, and does not say after what"
                return None
            if most is not None and seconds * MOST_WATTS * 1e6 > most:
                self._reason = (
                    f"in {seconds:.0f} s a counter of energy (RAPL) may have begun anew twice; measure shorter"
                )
                return None
            more = microjoules - before[package]
            joules += (more if more >= 0 else more + (most or 0)) / 1e6
        return joules

    def _packages(self) -> dict[Path, int] | None:
        """Microjoules of each. Parts of a package, and `psys`, which has all of them in it, are left out."""
        domains = sorted((self._root / POWERCAP).glob("intel-rapl:*"))
        packages = [path for path in domains if _text(path / "name").startswith("package")]
        if not packages:
            self._reason = self._no_counters()
            return None
        found = {}
        for package in packages:
            try:
                found[package] = int((package / "energy_uj").read_text())
            except PermissionError:
                self._reason = NOT_READABLE
                return None
            except (OSError, ValueError) as error:
                self._reason = f"a counter of energy (RAPL) cannot be read ({error})"
                return None
        return found

    def _no_counters(self) -> str:
        if self._root == ROOT and sys.platform == "darwin":
            return ON_MACOS
        lines = _text(self._root / "proc/cpuinfo").splitlines()
        virtual = any("hypervisor" in line.split() for line in lines if line.startswith("flags"))
        return IN_A_VIRTUAL_MACHINE if virtual else NO_COUNTERS


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""


def _number(path: Path) -> int | None:
    told = _text(path)
    return int(told) if told.isdecimal() else None
