"""The memory of a device: how much there is, how much is free, and what JAX has taken of it in advance."""

from __future__ import annotations

import os
from typing import Any

import jax
import psutil

from nets.facts import DeviceMemory
from nets.process.environment import ram
from nets.process.nvml import Gpu

PREALLOCATE, FRACTION = "XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_PYTHON_CLIENT_MEM_FRACTION"


def free_device_memory(device: jax.Device) -> int | None:
    """Bytes that an accelerator with memory of its own can still give; None where training uses the host's."""
    stats = device.memory_stats() or {}
    if device.platform == "cpu" or "bytes_limit" not in stats:
        return None
    return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))


def free_for_another(device: jax.Device) -> int | None:
    """Bytes of an accelerator that a process of its own could get, beside what this one holds; None: the host's.

    As its driver tells; else what JAX leaves to others.
    """
    if device.platform == "cpu" or (limit := _stats(device).get("bytes_limit")) is None:
        return None
    with Gpu(device) as gpu:
        told = gpu.told("nvmlDeviceGetMemoryInfo") if device.platform == "gpu" else None
    if told is not None:
        return min(int(limit), int(told.free))
    return max(0, int(limit) - max(_preallocated(device, _stats(device)) or 0, _stats(device).get("bytes_in_use", 0)))


def memory_of(device: jax.Device) -> DeviceMemory:
    """As it is now."""
    if device.platform == "cpu":
        return {
            "of": "host",
            "total_bytes": ram(),
            "free_bytes": int(psutil.virtual_memory().available),
            "usable_bytes": None,
            "preallocated_bytes": 0,
            "reason": None,
        }
    stats = _stats(device)
    limit, free = stats.get("bytes_limit"), None
    if limit is not None:
        free = int(limit) - int(stats.get("bytes_in_use", 0))
    total, reason = whole_memory(device)
    return {
        "of": "device",
        "total_bytes": total,
        "free_bytes": free,
        "usable_bytes": None if limit is None else int(limit),
        "preallocated_bytes": _preallocated(device, stats),
        "reason": reason if limit is not None else "JAX tells nothing of its memory",
    }


def whole_memory(device: jax.Device) -> tuple[int | None, str | None]:
    """Bytes of a GPU with what JAX leaves to others, as its driver tells; None with the reason."""
    if device.platform != "gpu":
        limit = _stats(device).get("bytes_limit")
        return (None if limit is None else int(limit)), None
    with Gpu(device) as gpu:
        told = gpu.told("nvmlDeviceGetMemoryInfo")
        return (None, gpu.reason) if told is None else (int(told.total), None)


def _stats(device: jax.Device) -> dict[str, Any]:
    try:
        return device.memory_stats() or {}
    except Exception:  # one that has failed says so elsewhere
        return {}


def _preallocated(device: jax.Device, stats: dict[str, Any]) -> int | None:
    """What JAX holds of a device whether it is used or not."""
    if "pool_bytes" in stats:
        return int(stats["pool_bytes"])
    if device.platform != "gpu" or os.environ.get(PREALLOCATE, "true").lower() in ("false", "0"):
        return 0
    return int(stats["bytes_limit"]) if "bytes_limit" in stats else None
