"""The most memory that was in use at a time: of an accelerator with memory of its own, else of this process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import jax

from nets.facts import PeakMemory

RESET_PEAK = "5"  # what proc(5) has for it
KIB = 1024


class PeakGauge:
    """Reads it from its making on, as far as the system tells. Never fails."""

    def __init__(self, process: Path = Path("/proc/self"), *, device: jax.Device | None = None) -> None:
        """device: that it is read of, where it has memory of its own; by default the default one."""
        self._process = process
        self._own = device or jax.local_devices()[0]
        self._device = _of_device(self._own) is not None
        self._reset = not self._device and self._forget()
        self._before = self._read()

    def told(self) -> PeakMemory:
        """What it has been so far."""
        now, reason = self._read(), None
        if now is None:
            reason = "the device has no statistics any more" if self._device else "the system tells of no peak"
        # One that has grown was reached since; of one that has not, nobody can tell how much less came after it.
        within = self._reset or (now is not None and self._before is not None and now > self._before)
        return {
            "bytes": now,
            "of": "device" if self._device else "process",
            "since": "run" if within else "process",
            "reason": reason,
        }

    def _forget(self) -> bool:
        """Let the peak begin anew at what is used now, where the system lets us."""
        try:
            (self._process / "clear_refs").write_text(RESET_PEAK)
        except OSError:
            return False
        return True

    def _read(self) -> int | None:
        return _of_device(self._own) if self._device else self._of_process()

    def _of_process(self) -> int | None:
        try:
            lines = (self._process / "status").read_text().splitlines()
            return next(int(line.split()[1]) * KIB for line in lines if line.startswith("VmHWM:"))
        except (OSError, StopIteration, ValueError, IndexError):
            pass
        if sys.platform == "darwin":
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return None


def resident(process: Path = Path("/proc/self")) -> int:
    """Bytes of memory that this process has, used or kept for later; 0 where the system does not tell."""
    try:
        lines = (process / "status").read_text().splitlines()
        return next(int(line.split()[1]) * KIB for line in lines if line.startswith("VmRSS:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return 0


def _of_device(device: jax.Device) -> int | None:
    try:
        peak = (device.memory_stats() or {}).get("peak_bytes_in_use")
    except Exception:  # a device that has failed says so elsewhere
        return None
    return None if peak is None else int(peak)
