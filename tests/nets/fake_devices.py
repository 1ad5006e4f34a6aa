"""Devices that are not there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import pytest


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
