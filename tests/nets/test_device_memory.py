"""What is told of the memory of a device."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from nets.process.device_memory import PREALLOCATE, free_device_memory, free_for_another, memory_of
from tests.nets.fake_devices import CPU, H100, L4, FakeDevice, put_nvml


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """NVIDIA's library, and which GPUs it was asked for."""
    return put_nvml(monkeypatch, nvmlDeviceGetMemoryInfo=SimpleNamespace(total=80 << 30)).asked_for


def test_a_cpu_has_the_memory_of_its_machine() -> None:
    told = memory_of(CPU)  # type: ignore[arg-type]
    assert told["of"] == "host" and told["total_bytes"] and told["free_bytes"]
    assert free_device_memory(CPU) is None  # type: ignore[arg-type]


def test_jax_holds_in_advance_what_it_may_use(nvml: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PREALLOCATE, raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    told = memory_of(H100)  # type: ignore[arg-type]
    assert (told["total_bytes"], told["usable_bytes"], told["free_bytes"]) == (80 << 30, 60 << 30, 59 << 30)
    assert told["preallocated_bytes"] == 60 << 30
    assert nvml == [0]
    monkeypatch.setenv(PREALLOCATE, "false")
    assert memory_of(H100)["preallocated_bytes"] == 0  # type: ignore[arg-type]
    pool = FakeDevice("gpu", "NVIDIA H100 80GB HBM3", 0, (("bytes_limit", 9), ("bytes_in_use", 1), ("pool_bytes", 4)))
    assert memory_of(pool)["preallocated_bytes"] == 4  # type: ignore[arg-type]
    assert free_device_memory(pool) == 8  # type: ignore[arg-type]


def test_the_driver_is_asked_for_the_gpu_that_is_visible(nvml: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5ab1")
    for device in (H100, L4):
        memory_of(device)  # type: ignore[arg-type]
    assert nvml == [3, "GPU-5ab1"]


def test_what_cannot_be_had_is_null_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    told = memory_of(H100)  # type: ignore[arg-type]
    assert told["total_bytes"] is None and "nvidia-ml-py" in (told["reason"] or "")
    told = memory_of(L4)  # type: ignore[arg-type]
    assert told["free_bytes"] is None and told["reason"] == "JAX tells nothing of its memory"


def test_another_process_gets_what_this_one_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PREALLOCATE, raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert free_for_another(CPU) is None  # type: ignore[arg-type]
    assert free_for_another(H100) == 0  # type: ignore[arg-type]  # all that JAX may use is held in advance
    monkeypatch.setenv(PREALLOCATE, "false")
    assert free_for_another(H100) == 59 << 30  # type: ignore[arg-type]
    put_nvml(monkeypatch, nvmlDeviceGetMemoryInfo=SimpleNamespace(total=80 << 30, free=18 << 30))
    assert free_for_another(H100) == 18 << 30  # type: ignore[arg-type]  # as the driver sees it
