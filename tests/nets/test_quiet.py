"""A machine that is not quiet is told of, with figure and cure; a quiet one is left alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from nets.process import quiet
from nets.process.quiet import TICKS, after, before
from tests.nets.fake_devices import CPU, H100, L4, place, put_nvml


@pytest.fixture(autouse=True)
def two_cores_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "cores", lambda: 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2}, raising=False)


def write(root: Path, name: str, text: object) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(f"{text}\n")


def used(root: Path, busy: float, idle: float, steal: float = 0.0, *, elsewhere: float = 0.0) -> None:
    """Seconds of each of our two cores, and of the two others, since the start of the system."""
    rows = []
    for core, seconds in enumerate((busy, elsewhere, busy, elsewhere)):
        numbers = [int(each * TICKS) for each in (seconds, 0, 0, idle, 0, 0, 0, steal, 0, 0)]
        rows.append(f"cpu{core} {' '.join(map(str, numbers))}")
    write(root, "proc/stat", "\n".join(["cpu  1 2 3 4 5 6 7 8 0 0", *rows, "intr 5"]))


def while_looking(root: Path, busy: float) -> Callable[[float], None]:
    """Half a second passes, of which others use so much."""

    def sleep(window: float) -> None:
        used(root, 100 + busy * window, 100 + (1 - busy) * window, elsewhere=100 + window)

    used(root, 100, 100, elsewhere=100)
    return sleep


@pytest.fixture(autouse=True)
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process, whose threads compute while a test looks."""
    own = SimpleNamespace(user=1.0, system=0.5, children_user=0.0, children_system=0.0)
    monkeypatch.setattr(quiet.os, "times", lambda: own)


def test_a_quiet_machine_is_left_alone(tmp_path: Path) -> None:
    """Whatever its load average still remembers, and whatever runs on cores that are not ours."""
    write(tmp_path, "proc/loadavg", "1.90 0.50 0.20 1/100 7")
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance")
    found = before((CPU,), tmp_path, while_looking(tmp_path, 0.0))
    assert (found.load_average, found.busy, found.governor) == ([1.9, 0.5, 0.2], 0.0, "performance")
    used(tmp_path, 100, 200)
    assert found.warnings == [] and after(found, (CPU,), tmp_path).warnings == []


def test_other_work_is_told_with_its_share_and_the_cure(tmp_path: Path) -> None:
    write(tmp_path, "proc/loadavg", "3.10 2.00 1.00 1/100 7")
    found = before((), tmp_path, while_looking(tmp_path, 0.5))
    assert found.busy == pytest.approx(0.5, abs=0.05)
    assert len(found.warnings) == 1 and found.warnings[0].startswith("load average was 3.1 on 2 cores before the start")
    assert "stop it" in found.warnings[0]
    used(tmp_path, 130, 160, 10)
    end = after(found, (), tmp_path)
    assert end.busy == pytest.approx(0.3, abs=0.02) and end.steal == pytest.approx(0.1, abs=0.01)
    others, stolen = end.warnings
    assert others.startswith("other processes used 30% of the 2 cores' time while measuring") and "stop them" in others
    assert stolen.startswith("the host of this virtual machine took 10% of") and "more repeats" in stolen


def test_work_that_the_load_average_has_not_seen_yet_is_told_too(tmp_path: Path) -> None:
    write(tmp_path, "proc/loadavg", "0.10 0.10 0.10 1/100 7")
    (warning,) = before((), tmp_path, while_looking(tmp_path, 0.2)).warnings
    assert warning.startswith("other processes used 20% of the 2 cores' time before the start")


def test_what_this_process_and_its_own_used_is_no_other_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = [SimpleNamespace(user=1.0, system=0.5, children_user=0.0, children_system=0.0)]
    monkeypatch.setattr(quiet.os, "times", lambda: own[0])
    found = before((), tmp_path, while_looking(tmp_path, 0.0))
    own[0] = SimpleNamespace(user=11.0, system=5.5, children_user=60.0, children_system=0.0)
    used(tmp_path, 140, 160)
    end = after(found, (), tmp_path)
    assert end.busy == pytest.approx(5 / 199, abs=0.001)


def test_clocks_that_change_are_told_with_the_cure(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu"
    for core, governor in enumerate(("powersave", "schedutil", "powersave")):
        write(tmp_path, f"{cpu}/cpu{core}/cpufreq/scaling_governor", governor)
        write(tmp_path, f"{cpu}/cpu{core}/thermal_throttle/core_throttle_count", 4)
        write(tmp_path, f"{cpu}/cpu{core}/thermal_throttle/package_throttle_count", 0)
    found = before((), tmp_path, lambda _: None)
    assert found.governor == "powersave, schedutil"
    assert "cpupower frequency-set -g performance" in found.warnings[0]
    write(tmp_path, f"{cpu}/cpu2/thermal_throttle/core_throttle_count", 9)
    (hot,) = after(found, (), tmp_path).warnings
    assert hot == "heat lowered the clocks of the CPU 5 times while measuring: cool it, or repeat it after a pause"


def test_control_groups_that_hold_back_are_told_with_their_quota(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/lab/job")
    group = "sys/fs/cgroup/lab"
    write(tmp_path, f"{group}/cpu.max", "150000 100000")
    write(tmp_path, f"{group}/cpu.stat", "usage_usec 5\nthrottled_usec 1000000")
    found = before((), tmp_path, lambda _: None)
    write(tmp_path, f"{group}/cpu.stat", "usage_usec 9\nthrottled_usec 3500000")
    (told,) = after(found, (), tmp_path).warnings
    assert told.startswith("control groups, which allow the time of 1.5 cores, held processes back for 2.5 s")
    assert "raise cpu.max" in told


def test_a_gpu_with_other_work_or_a_low_clock_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch, H100, L4, CPU)
    library = put_nvml(
        monkeypatch,
        nvmlDeviceGetUtilizationRates=SimpleNamespace(gpu=64),
        nvmlDeviceGetCurrentClocksThrottleReasons=0x01 | 0x02,  # idle; a clock that was chosen
        nvmlDeviceGetViolationStatus=SimpleNamespace(violationTime=0),
    )
    found = before((H100, CPU), tmp_path, lambda _: None)
    assert found.warnings == [
        "gpu:0 was busy for 64 % of the time before the start: other work runs on it; "
        "stop it (nvidia-smi lists it), or measure when it is done"
    ]
    library.answers["nvmlDeviceGetViolationStatus"] = SimpleNamespace(violationTime=10**12)
    library.answers["nvmlDeviceGetCurrentClocksThrottleReasons"] = 0x04 | 0x20 | 0x40
    told = after(found, (H100, CPU), tmp_path).warnings
    assert [warning.partition(":")[0] for warning in told] == [
        "its power limit lowered the clock of gpu",
        "heat lowered the clock of gpu",
        "its power limit lowers the clock of gpu",
        "heat lowers the clock of gpu",
    ]
    assert "for 100% of the time: cool it" in told[1] and "nvidia-smi -pl" in told[0]


def test_what_the_system_does_not_tell_is_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, where there are neither of these folders."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for text in (None, "cpu  1 2 x", ""):
        if text is not None:
            write(tmp_path, "proc/stat", text)
        found = before((H100,), tmp_path, lambda _: None)
        assert (found.load_average, found.busy, found.governor, found.warnings) == (None, None, None, [])
        end = after(found, (H100,), tmp_path)
        assert (end.busy, end.steal, end.warnings) == (None, None, [])


def test_without_per_core_times_those_of_all_count(tmp_path: Path) -> None:
    write(tmp_path, "proc/stat", f"cpu  {100 * TICKS} 0 0 {100 * TICKS} 0 0 0 0 0 0")
    found = before((), tmp_path, lambda _: None)
    write(tmp_path, "proc/stat", f"cpu  {150 * TICKS} 0 0 {150 * TICKS} 0 0 0 0 0 0")
    assert after(found, (), tmp_path).busy == pytest.approx(0.5, abs=0.02)


def test_this_machine() -> None:
    load = before(sleep=lambda _: None).load_average
    assert load is None or len(load) == 3
