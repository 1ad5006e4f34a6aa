"""A GPU in NVIDIA's management library, which knows of it what CUDA and JAX do not: energy, clocks, limits."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Any

import jax

NO_LIBRARY = "NVIDIA's library of management is not installed (nvidia-ml-py, part of lamina[cuda])"
BUS_ID = 32  # bytes of the place of a GPU on its bus, with the zero at the end


class Gpu:
    """One GPU. Open until it is closed; never fails: what is not to be had is None, and `reason` says why."""

    def __init__(self, device: jax.Device) -> None:
        self.reason: str | None = None
        self._nvml = self._handle = None
        try:
            import pynvml
        except ImportError:
            self.reason = NO_LIBRARY
            return
        try:
            pynvml.nvmlInit()
        except Exception as error:  # a driver that is not NVIDIA's, or too old
            self.reason = f"the driver does not tell ({error})"
            return
        self._nvml = pynvml
        try:
            self._handle = handle_of(device, pynvml)
        except Exception as error:
            self.close()
            self.reason = f"the driver does not tell ({error})"

    def told(self, question: str, *details: Any) -> Any:
        """The answer to a question by its name in the library, such as `nvmlDeviceGetMemoryInfo`."""
        if self._nvml is None:
            return None
        try:
            return getattr(self._nvml, question)(self._handle, *details)
        except Exception as error:  # each model answers others; an old library has not all
            self.reason = f"the driver does not tell ({error})"
            return None

    def close(self) -> None:
        """Once or more."""
        nvml, self._nvml = self._nvml, None
        if nvml is not None:
            self.reason = "it is closed"
            with suppress(Exception):
                nvml.nvmlShutdown()

    def __enter__(self) -> Gpu:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def handle_of(device: jax.Device, nvml: Any) -> Any:
    """The handle of a GPU in NVIDIA's library, which counts those too that CUDA_VISIBLE_DEVICES hides."""
    place = int(getattr(device, "local_hardware_id", None) or 0)
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    name = visible[place] if place < len(visible) else str(place)
    # CUDA counts the fastest first, the library by the place on the bus. A slice (MIG) has the place of its whole.
    if not name.startswith("MIG") and (bus := bus_id(place)):
        return nvml.nvmlDeviceGetHandleByPciBusId(bus)
    return nvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdecimal() else nvml.nvmlDeviceGetHandleByUUID(name)


def bus_id(place: int) -> str | None:
    """Where the GPU is on its bus that CUDA counts as this one, such as `0000:3b:00.0`."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
        text = ctypes.create_string_buffer(BUS_ID)
        failed = cuda.cuInit(0) or cuda.cuDeviceGetPCIBusId(text, BUS_ID, place)
    except (OSError, AttributeError):
        return None
    return None if failed else text.value.decode("ascii", "replace") or None
