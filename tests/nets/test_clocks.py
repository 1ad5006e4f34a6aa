"""Clocks and the power limit, in MHz and watts, null where nothing tells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nets.process.clocks import SM, cpu_clock, gpu_clock, most_of_cpu, most_of_gpu, power_limit
from nets.process.nvml import Gpu
from tests.nets.fake_devices import H100, put_nvml


def test_the_clock_of_a_cpu_is_the_mean_of_its_cores(tmp_path: Path) -> None:
    assert cpu_clock(tmp_path) is most_of_cpu(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("cpu MHz\t\t: 2000.0\nflags : a\ncpu MHz\t\t: 3000.0\n")
    assert cpu_clock(tmp_path) == 2500.0
    for core, (now, most) in enumerate(((1_000_000, 3_500_000), (2_000_000, 3_600_000), ("", "<unknown>"))):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(f"{now}\n")
        (folder / "cpuinfo_max_freq").write_text(f"{most}\n")
    assert (cpu_clock(tmp_path), most_of_cpu(tmp_path)) == (1500.0, 3600.0)


def test_a_gpu_tells_its_clocks_and_its_power_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    library = put_nvml(
        monkeypatch,
        **{
            "nvmlDeviceGetClockInfo": 1785,
            "nvmlDeviceGetMaxClockInfo": 1980,
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
        },
    )
    with Gpu(H100) as gpu:
        assert (gpu_clock(gpu), most_of_gpu(gpu), power_limit(gpu)) == (1785.0, 1980.0, 700.0)
        library.answers.clear()
        assert (gpu_clock(gpu), most_of_gpu(gpu), power_limit(gpu)) == (None, None, None)
    assert SM == 1
