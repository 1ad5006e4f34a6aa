"""Devices that are not there."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import jax
import pytest

from nets.process import nvml


@dataclass(frozen=True)
class Client:
    platform_version: str = "PJRT C API\ncuda 12090"


@dataclass(frozen=True)
class FakeDevice:
    platform: str
    device_kind: str
    local_hardware_id: int = 0
    stats: tuple[tuple[str, int], ...] | None = None
    client: Client = field(default_factory=Client)

    def memory_stats(self) -> dict[str, int] | None:
        return None if self.stats is None else dict(self.stats)


def place(monkeypatch: pytest.MonkeyPatch, *devices: Any) -> None:
    """Let JAX have these devices; the platform of the first is its default."""

    def local_devices(backend: str | None = None) -> list[Any]:
        wanted = backend or devices[0].platform
        found = [device for device in devices if device.platform == wanted]
        if not found:
            raise RuntimeError(f"Unknown backend: {wanted}")
        return found

    monkeypatch.setattr(jax, "local_devices", local_devices)


CPU = FakeDevice("cpu", "cpu")
H100 = FakeDevice("gpu", "NVIDIA H100 80GB HBM3", 0, (("bytes_limit", 60 << 30), ("bytes_in_use", 1 << 30)))
L4 = FakeDevice("gpu", "NVIDIA L4", 1)


class FakeNvml(ModuleType):
    """NVIDIA's library on a machine with such a GPU: answers by the names of questions; others are not supported."""

    def __init__(self, **answers: Any) -> None:
        super().__init__("pynvml")
        self.answers: dict[str, Any] = answers
        self.asked_for: list[object] = []
        self.open = 0

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> object:
        self.asked_for.append(index)
        return index

    nvmlDeviceGetHandleByUUID = nvmlDeviceGetHandleByPciBusId = nvmlDeviceGetHandleByIndex

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvml"):
            raise AttributeError(name)

        def answer(handle: object, *details: object) -> Any:
            key = (name, *details) if details else name
            if key not in self.answers and name not in self.answers:
                raise RuntimeError("Not Supported")
            return self.answers[key] if key in self.answers else self.answers[name]

        return answer


def put_nvml(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> FakeNvml:
    """Let there be NVIDIA's library, and no CUDA that counts in another order."""
    library = FakeNvml(**answers)
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(nvml, "bus_id", lambda place: None)
    return library
