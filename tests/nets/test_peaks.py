"""The most that a device computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nets.calibration import calibration, peaks
from nets.calibration.calibration import Calibration
from nets.calibration.peaks import Interrupted, Peaks, measured_peaks, told
from nets.process.devices import default_device


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements of some milliseconds."""
    for name, value in (("SMALLEST", 64), ("LARGEST", 128), ("SECONDS", 0.0), ("LEAST", 1), ("COPIED", 1 << 12)):
        monkeypatch.setattr(peaks, name, value)


@pytest.mark.usefixtures("little")
def test_peaks_are_measured_kept_and_told(tmp_path: Path) -> None:
    device, said = default_device(), list[str]()
    assert told(device, None, "because")["measured_peak"] == {
        **dict.fromkeys(("float32", "bfloat16", "bandwidth", "measured_at")),
        "reason": "because",
    }
    found = measured_peaks(device, lambda what, share: said.append(what))
    assert [what.rpartition(" ")[2] for what in said] == ["float32", "bfloat16", "bandwidth"]
    calibration.keep(tmp_path, found.of(Calibration.blank(device)))
    measured = told(device, calibration.kept(tmp_path, device), "because")["measured_peak"]
    assert measured["reason"] is None and measured["measured_at"]
    assert measured["float32"] == found.flops["float32"] > 1e6 and measured["bandwidth"] == found.bandwidth > 1e5


@pytest.mark.usefixtures("little")
def test_a_measurement_ends_when_the_device_is_needed() -> None:
    asked = iter([False] * 4 + [True])
    with pytest.raises(Interrupted):
        measured_peaks(default_device(), stopped=lambda: next(asked))


def test_new_peaks_leave_the_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Calibration("key", "kind", "2020-01-01T00:00:00+00:00", {}, {"float32": 1.0}, rates={"cpu": {"a": 2.0}})
    after = Peaks({"float32": 3.0}, 4.0).of(before)
    assert (after.peaks, after.bandwidth, after.rates) == ({"float32": 3.0}, 4.0, {"cpu": {"a": 2.0}})
    assert after.measured_at > before.measured_at
