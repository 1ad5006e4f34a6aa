"""Whether a machine is quiet enough for what is measured on it to be right: before the start, and all the time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax

from nets.process.clocks import CPUS
from nets.process.device import cores
from nets.process.devices import name_of
from nets.process.environment import ROOT, quota
from nets.process.nvml import Gpu

WINDOW = 0.5  # seconds of looking before the start
# What is more than this earns a warning: shares of the cores' time, load for each core, and share of a GPU's time.
BUSY, STEAL, LOAD, GPU_BUSY = 0.05, 0.02, 0.25, 0.1
HELD = 0.02  # share of the time that something held a clock down or a process back
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100  # a second, of the times in /proc/stat

# NVML's reasons for a low clock that are no setting and no idleness; what holds it; and its counters of nanoseconds.
REASONS = {0x04: "power limit", 0x08: "heat or power", 0x20: "heat", 0x40: "heat", 0x80: "power supply"}
POLICIES = {0: "power limit", 1: "heat"}
CURES = {
    "heat": "cool it, or give it less to do before",
    "power limit": "compare it with GPUs of the same limit only, or raise it (nvidia-smi -pl)",
    "power supply": "see whether its plugs are in",
    "heat or power": "see which by nvidia-smi -q -d PERFORMANCE",
}


@dataclass(frozen=True)
class Usage:
    """Seconds of cores since the start of the system, and this process's own share with that of what it waited for."""

    total: float
    busy: float
    steal: float
    own: float

    def others_since(self, before: Usage) -> float:
        """Share of the time since then that other processes used."""
        used = self.busy - before.busy - (self.own - before.own)
        return min(max(used / (self.total - before.total), 0.0), 1.0)

    def steal_since(self, before: Usage) -> float:
        """Share of the time since then that the host of a virtual machine took."""
        return min(max((self.steal - before.steal) / (self.total - before.total), 0.0), 1.0)


@dataclass(frozen=True)
class Before:
    """How a machine was before the start. warnings: sentences, each with figure and cure."""

    load_average: list[float] | None
    busy: float | None
    governor: str | None
    warnings: list[str]
    usage: Usage | None
    hot: int | None
    held_back: float | None
    held_down: Mapping[tuple[str, str], float]
    at: float


@dataclass(frozen=True)
class After:
    """How it was meanwhile. busy, steal: shares of the cores' time that others, and a host, took."""

    busy: float | None
    steal: float | None
    warnings: list[str]


def before(
    devices: Sequence[jax.Device] = (), root: Path = ROOT, sleep: Callable[[float], object] = time.sleep
) -> Before:
    """Look for half a second, in which this process and its GPUs should have nothing to do. Never fails."""
    first = _usage(root)
    sleep(WINDOW)
    usage = _usage(root)
    load = _load_average(root)
    busy = usage.others_since(first) if usage and first and usage.total > first.total else None
    governor = _governor(root)
    return Before(
        load_average=load,
        busy=busy,
        governor=governor,
        warnings=[*_of_load(load, busy), *_of_governor(governor), *_of_gpus(devices)],
        usage=usage,
        hot=_times_too_hot(root),
        held_back=_held_back(root),
        held_down=_held_down(devices),
        at=time.monotonic(),
    )


def after(start: Before, devices: Sequence[jax.Device] = (), root: Path = ROOT) -> After:
    """What came between since then. Processes of one's own have to be waited for by now, else they count as others."""
    seconds = max(time.monotonic() - start.at, 1e-9)
    usage, busy, steal = _usage(root), None, None
    if usage and start.usage and usage.total > start.usage.total:
        busy, steal = usage.others_since(start.usage), usage.steal_since(start.usage)
    found = [
        *_of_others(busy, steal),
        *_of_heat(start, root),
        *_of_limits(start, seconds, root),
        *_of_low_clocks(start, seconds, devices),
        *_reasons(devices),
    ]
    return After(busy, steal, list(dict.fromkeys(found)))


def usage(root: Path = ROOT) -> Usage | None:
    """Of the cores, as it is now; None where the system does not tell."""
    return _usage(root)


def disturbance(first: Usage | None, last: Usage | None) -> float | None:
    """Share of the cores' time between two looks that others and a host took; None where it is little or unknown."""
    if first is None or last is None or last.total <= first.total:
        return None
    busy, steal = last.others_since(first), last.steal_since(first)
    return busy + steal if busy > BUSY or steal > STEAL else None


def _of_others(busy: float | None, steal: float | None) -> list[str]:
    found = []
    if busy is not None and busy > BUSY:
        found.append(
            f"other processes used {busy:.0%} of the {cores_in_words()} time while measuring: stop them, and repeat it"
        )
    if steal is not None and steal > STEAL:
        found.append(
            f"the host of this virtual machine took {steal:.0%} of the {cores_in_words()} time while measuring: "
            "measure on a machine that is not shared, or with more repeats"
        )
    return found


def _of_heat(start: Before, root: Path) -> list[str]:
    hot = _times_too_hot(root)
    if hot is None or start.hot is None or hot <= start.hot:
        return []
    times = f"{hot - start.hot} time{'s' * (hot - start.hot != 1)}"
    return [f"heat lowered the clocks of the CPU {times} while measuring: cool it, or repeat it after a pause"]


def _of_limits(start: Before, seconds: float, root: Path) -> list[str]:
    held = _held_back(root)
    if held is None or start.held_back is None or held - start.held_back <= HELD * seconds:
        return []
    allowed = quota(root)
    words = f", which allow the time of {allowed:g} cores," if allowed else ""
    return [
        f"control groups{words} held processes back for {held - start.held_back:.1f} s while measuring: "
        "raise cpu.max, or measure outside of them"
    ]


def _of_low_clocks(start: Before, seconds: float, devices: Sequence[jax.Device]) -> list[str]:
    found = []
    for (name, reason), held in _held_down(devices).items():
        share = (held - start.held_down.get((name, reason), held)) / seconds
        if share > HELD:
            found.append(_lowered(name, reason, f" for {min(share, 1):.0%} of the time"))
    return found


def cores_in_words() -> str:
    """`2 cores'`, of whose time something is said."""
    count = cores()
    return f"{count} cores'" if count != 1 else "core's"


def _of_load(load: list[float] | None, busy: float | None) -> list[str]:
    """The load average of a machine that has just come to rest is no reason: it falls slowly."""
    count = cores()
    much = load is not None and load[0] > LOAD * count
    if load is not None and much and (busy is None or busy > BUSY):
        used = f", and other processes used {busy:.0%} of their time" if busy is not None else ""
        words = f"load average was {load[0]:.1f} on {count} core{'s' * (count != 1)} before the start{used}"
        return [f"{words}: other work runs; stop it, or measure when it is done"]
    if busy is not None and busy > BUSY:
        return [
            f"other processes used {busy:.0%} of the {cores_in_words()} time before the start: stop them, or measure "
            "when they are done"
        ]
    return []


def _of_governor(governor: str | None) -> list[str]:
    if governor in (None, "performance"):
        return []
    return [
        f"the governor of the CPU's clock is {governor}, which lowers it with the load: "
        "sudo cpupower frequency-set -g performance holds it up"
    ]


def _of_gpus(devices: Sequence[jax.Device]) -> list[str]:
    """What others compute on them, and what holds their clocks down."""
    found = []
    for device in _gpus(devices):
        with Gpu(device) as gpu:
            told = gpu.told("nvmlDeviceGetUtilizationRates")
        if told is not None and told.gpu / 100 > GPU_BUSY:
            found.append(
                f"{name_of(device)} was busy for {told.gpu} % of the time before the start: other work runs on it; "
                "stop it (nvidia-smi lists it), or measure when it is done"
            )
    return [*found, *_reasons(devices)]


def _reasons(devices: Sequence[jax.Device]) -> list[str]:
    """Of a low clock, now."""
    found = []
    for device in _gpus(devices):
        with Gpu(device) as gpu:
            told = gpu.told("nvmlDeviceGetCurrentClocksThrottleReasons")
            told = gpu.told("nvmlDeviceGetCurrentClocksEventReasons") if told is None else told
        reasons = dict.fromkeys(reason for bit, reason in REASONS.items() if (told or 0) & bit)
        found += [_lowered(name_of(device), reason, "") for reason in reasons]
    return found


def _lowered(name: str, reason: str, how_long: str) -> str:
    verb = "lowers" if not how_long else "lowered"
    article = "its " if reason in ("power limit", "power supply") else ""
    return f"{article}{reason} {verb} the clock of {name}{how_long}: {CURES[reason]}"


def _held_down(devices: Sequence[jax.Device]) -> dict[tuple[str, str], float]:
    """Seconds that each reason has held down the clock of each GPU in all its time."""
    found = {}
    for device in _gpus(devices):
        with Gpu(device) as gpu:
            for policy, reason in POLICIES.items():
                told = gpu.told("nvmlDeviceGetViolationStatus", policy)
                if told is not None:
                    found[name_of(device), reason] = told.violationTime / 1e9
    return found


def _gpus(devices: Sequence[jax.Device]) -> list[jax.Device]:
    return [device for device in devices if device.platform == "gpu"]


def _usage(root: Path) -> Usage | None:
    """Of the cores that this process may use."""
    lines = [line.split() for line in _text(root / "proc/stat").splitlines() if line.startswith("cpu")]
    mine = {f"cpu{each}" for each in os.sched_getaffinity(0)} if hasattr(os, "sched_getaffinity") else set()
    rows = [line[1:9] for line in lines if line[0] in mine] or [line[1:9] for line in lines if line[0] == "cpu"]
    try:
        user, nice, system, idle, waiting, interrupts, soft, steal = (
            sum(map(int, each)) for each in zip(*rows, strict=True)
        )
    except ValueError:
        return None
    busy = user + nice + system + interrupts + soft
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    return Usage((busy + idle + waiting + steal) / TICKS, busy / TICKS, steal / TICKS, own)


def _load_average(root: Path) -> list[float] | None:
    try:
        if root == ROOT:
            return [round(each, 2) for each in os.getloadavg()]
        return [float(each) for each in _text(root / "proc/loadavg").split()[:3]] or None
    except (OSError, ValueError, AttributeError):
        return None


def _governor(root: Path) -> str | None:
    """Of all cores; several where they differ."""
    found = {_text(path) for path in (root / CPUS).glob("cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    return ", ".join(sorted(found)) or None


def _times_too_hot(root: Path) -> int | None:
    """How often heat has lowered the clocks of cores and packages; each core tells of its package."""
    cores = _sum(root / CPUS, "core_throttle_count")
    packages = _sum(root / CPUS, "package_throttle_count")
    return None if cores is None and packages is None else max(cores or 0, packages or 0)


def _sum(folder: Path, name: str) -> int | None:
    found = [_text(path) for path in folder.glob(f"cpu[0-9]*/thermal_throttle/{name}")]
    return sum(int(each) for each in found if each.isdecimal()) if found else None


def _held_back(root: Path) -> float | None:
    """Seconds that control groups (version 2) have held back this process's group, or one above it."""
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        own = Path(line.partition("::")[2].lstrip("/"))
        for group in (own, *own.parents) if line.startswith("0::") else ():
            rows = dict(row.split(" ", 1) for row in _text(root / "sys/fs/cgroup" / group / "cpu.stat").splitlines())
            if (told := rows.get("throttled_usec", "")).isdecimal():
                found.append(int(told) / 1e6)
    return max(found, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
