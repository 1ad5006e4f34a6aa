"""The peak of memory: since when, as far as the system lets us, and never an error."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nets.process import peak_memory
from nets.process.peak_memory import PeakGauge

MEGABYTE = 1 << 20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="elsewhere the system tells of no peak")
def test_what_a_run_takes_is_seen() -> None:
    gauge = PeakGauge()
    before = gauge.told()["bytes"]
    np.ones(64 * MEGABYTE, np.uint8)
    told = gauge.told()
    assert before is not None and told["bytes"] is not None
    assert told["bytes"] >= before and told["of"] == "process" and told["reason"] is None
    if told["since"] == "run":  # where it may be reset, or was passed
        assert told["bytes"] > 32 * MEGABYTE


def process(folder: Path, kib: int | None) -> Path:
    (folder / "status").write_text(f"Name:\tlamina\nVmHWM:\t{kib} kB\n" if kib else "Name:\tlamina\n")
    return folder


def test_a_peak_that_nobody_may_reset_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "clear_refs").mkdir()  # cannot be written to
    gauge = PeakGauge(process(tmp_path, 500))
    assert gauge.told() == {"bytes": 500 * 1024, "of": "process", "since": "process", "reason": None}
    process(tmp_path, 700)
    assert gauge.told() == {"bytes": 700 * 1024, "of": "process", "since": "run", "reason": None}


@pytest.mark.parametrize("status", ["VmHWM:\n", "", None])
def test_no_peak_has_a_reason(tmp_path: Path, status: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak_memory.sys, "platform", "plan9")
    if status is not None:
        (tmp_path / "status").write_text(status)
    told = PeakGauge(tmp_path).told()
    assert (told["bytes"], told["reason"]) == (None, "the system tells of no peak")


def test_a_device_tells_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks: list[Any] = [{"peak_bytes_in_use": 100}, {"peak_bytes_in_use": 100}, {"peak_bytes_in_use": 300}]
    device = SimpleNamespace(memory_stats=lambda: peaks[0])
    monkeypatch.setattr(peak_memory.jax, "local_devices", lambda: [device])
    gauge = PeakGauge()
    assert gauge.told() == {"bytes": 100, "of": "device", "since": "process", "reason": None}
    peaks[0] = peaks[2]
    assert gauge.told() == {"bytes": 300, "of": "device", "since": "run", "reason": None}
    peaks[0] = None
    told = gauge.told()
    assert (told["bytes"], told["reason"]) == (None, "the device has no statistics any more")


def test_what_a_process_has_is_told_where_the_system_does(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Name:\tlamina\nVmRSS:\t500 kB\n")
    assert peak_memory.resident(tmp_path) == 500 * 1024
    assert peak_memory.resident(tmp_path / "nowhere") == 0
