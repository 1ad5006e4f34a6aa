"""Energy is what counters say, or nothing with the reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nets.process import energy
from nets.process.energy import IN_A_VIRTUAL_MACHINE, NO_COUNTERS, EnergyMeter
from nets.process.nvml import NO_LIBRARY
from tests.nets.fake_devices import CPU, H100, FakeDevice, put_nvml

RANGE = 262_143_328_850  # microjoules after which a package's counter begins anew


def domain(root: Path, place: str, name: str, microjoules: int | str, most: int | None = RANGE) -> None:
    folder = root / "sys/class/powercap" / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    if most is not None:
        (folder / "max_energy_range_uj").write_text(f"{most}\n")


def test_packages_are_summed_and_their_parts_are_not(tmp_path: Path) -> None:
    """Of Intel's and of AMD's processors: both have the same name. A counter that was full begins anew."""
    domain(tmp_path, "intel-rapl:0", "package-0", RANGE - 1_000_000)
    domain(tmp_path, "intel-rapl:1", "package-1", 5_000_000)
    for place, name in (("intel-rapl:0:0", "core"), ("intel-rapl:2", "psys"), ("intel-rapl-mmio:0", "package-0")):
        domain(tmp_path, place, name, 0)
    meter = EnergyMeter(CPU, tmp_path)
    meter.start()
    domain(tmp_path, "intel-rapl:0", "package-0", 2_000_000)
    domain(tmp_path, "intel-rapl:1", "package-1", 9_000_000)
    domain(tmp_path, "intel-rapl:2", "psys", 99_000_000)
    assert meter.stop() == {"joules": pytest.approx(3.0 + 4.0), "of": "package", "reason": None}
    assert meter.stop() == {"joules": None, "of": None, "reason": "the meter was not started"}
    meter.start()
    assert "did not move" in (meter.stop()["reason"] or "")


def test_a_counter_that_may_have_begun_anew_twice_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(energy.time, "monotonic", lambda: now[0])
    meter = EnergyMeter(CPU, tmp_path)
    for seconds, most, words in ((500.0, RANGE, "in 500 s"), (1.0, None, "does not say after what")):
        domain(tmp_path, "intel-rapl:0", "package-0", 7_000_000, most)
        (tmp_path / "sys/class/powercap/intel-rapl:0/max_energy_range_uj").unlink() if most is None else None
        meter.start()
        now[0] += seconds
        domain(tmp_path, "intel-rapl:0", "package-0", 6_000_000, most)
        told = meter.stop()
        assert told["joules"] is None and words in (told["reason"] or "")


def test_counters_that_only_root_may_read_name_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    domain(tmp_path, "intel-rapl:0", "package-0", 1)
    plain = Path.read_text

    def refuse(path: Path, *arguments: object, **options: object) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return plain(path)

    monkeypatch.setattr(Path, "read_text", refuse)
    meter = EnergyMeter(CPU, tmp_path)
    meter.start()
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in (meter.stop()["reason"] or "")


def test_no_counters_have_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = EnergyMeter(CPU, tmp_path)
    meter.start()
    assert meter.stop() == {"joules": None, "of": None, "reason": NO_COUNTERS}
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("flags\t\t: fpu hypervisor avx2\n")
    meter.start()
    assert meter.stop()["reason"] == IN_A_VIRTUAL_MACHINE
    domain(tmp_path, "intel-rapl:0", "package-0", "none")
    meter.start()
    assert "cannot be read" in (meter.stop()["reason"] or "")
    domain(tmp_path, "intel-rapl:0", "package-0", 1)
    meter.start()
    domain(tmp_path, "intel-rapl:1", "package-1", 1)
    assert "came or went" in (meter.stop()["reason"] or "")
    tpu = EnergyMeter(FakeDevice("tpu", "TPU v4"))
    tpu.start()
    assert "TPU" in (tpu.stop()["reason"] or "")
    here = EnergyMeter(CPU)
    here.start()
    told = here.stop()
    assert (told["joules"] is None) == (told["reason"] is not None)


def test_a_gpu_has_a_counter_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    library = put_nvml(monkeypatch, nvmlDeviceGetTotalEnergyConsumption=1_000)
    meter = EnergyMeter(H100)
    meter.start()
    library.answers["nvmlDeviceGetTotalEnergyConsumption"] = 3_500
    assert meter.stop() == {"joules": 2.5, "of": "gpu", "reason": None}
    meter.start()
    library.answers["nvmlDeviceGetTotalEnergyConsumption"] = 2
    assert "began anew" in (meter.stop()["reason"] or "")
    assert library.open == 0


def test_a_gpu_without_a_counter_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    library = put_nvml(monkeypatch)
    meter = EnergyMeter(H100)
    meter.start()
    assert "from Volta on" in (meter.stop()["reason"] or "") and library.open == 0
    part = EnergyMeter(FakeDevice("gpu", "NVIDIA H100 80GB HBM3 MIG 1g.10gb"))
    part.start()
    assert "MIG" in (part.stop()["reason"] or "")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    meter.start()
    assert meter.stop()["reason"] == NO_LIBRARY
