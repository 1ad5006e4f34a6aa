"""A GPU is asked in NVIDIA's library, and what it does not answer is no error."""

from __future__ import annotations

import sys

import pytest

from nets.process import nvml
from nets.process.nvml import NO_LIBRARY, Gpu, bus_id
from tests.nets.fake_devices import H100, L4, FakeDevice, put_nvml


def test_what_it_knows_is_told_and_the_library_closed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    library = put_nvml(monkeypatch, nvmlDeviceGetPowerUsage=300_000)
    with Gpu(H100) as gpu:
        assert (gpu.told("nvmlDeviceGetPowerUsage"), gpu.reason) == (300_000, None)
        assert gpu.told("nvmlDeviceGetFanSpeed") is None and gpu.reason == "the driver does not tell (Not Supported)"
        assert library.open == 1
    gpu.close()
    assert library.open == 0 and gpu.told("nvmlDeviceGetPowerUsage") is None


def test_without_library_driver_or_gpu_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Driver Not Loaded")

    library = put_nvml(monkeypatch)
    monkeypatch.setattr(library, "nvmlDeviceGetHandleByIndex", fail)
    assert Gpu(H100).reason == "the driver does not tell (Driver Not Loaded)" and library.open == 0
    monkeypatch.setattr(library, "nvmlInit", fail)
    assert Gpu(H100).told("nvmlDeviceGetPowerUsage") is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Gpu(H100).reason == NO_LIBRARY


def test_the_gpu_is_the_one_that_cuda_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its place on the bus: CUDA counts the fastest first. A part of a GPU has a name of its own."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5ab1,MIG-77")
    library = put_nvml(monkeypatch)
    part = FakeDevice("gpu", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", 2)
    for bus in (None, "0000:3b:00.0"):
        monkeypatch.setattr(nvml, "bus_id", lambda place, bus=bus: bus)
        for device in (H100, L4, part):
            Gpu(device).close()
    assert library.asked_for == [3, "GPU-5ab1", "MIG-77", "0000:3b:00.0", "0000:3b:00.0", "MIG-77"]


def test_there_is_no_place_on_the_bus_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(nvml.ctypes, "CDLL", missing)
    assert bus_id(0) is None
