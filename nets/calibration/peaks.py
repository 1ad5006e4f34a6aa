"""The most that a device computes: products of two large matrices, in each precision, and copies of its memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nets.calibration.calibration import Calibration, Progress
from nets.facts import DeviceTold
from nets.numerics.numerics import Numerics
from nets.process.device_memory import memory_of
from nets.process.devices import describe, name_of, on

PRECISIONS = ("float32", "bfloat16")
SMALLEST, LARGEST = 512, 16_384  # rows of a matrix
LONG_ENOUGH = 0.04  # seconds of one product, from which on larger matrices gain nothing
GAIN = 1.03  # by which larger ones have to be faster to go on
SECONDS, LEAST = 0.6, 5  # of repetitions at each size, and how many
PER_DISPATCH = 0.01  # seconds of products that are sent to a device at once: its own queue hides the way there
COPIED = 64 << 20  # numbers
SHARE = 16  # the part of the free memory that one matrix may take
RESERVE = 1 << 20

Stopped = Callable[[], bool]


class Interrupted(Exception):
    """Something else needs the device: what was measured so far is worth nothing."""


@dataclass(frozen=True)
class Peaks:
    """flops: floating-point operations a second, two a multiply-add, by precision. bandwidth: bytes a second."""

    flops: Mapping[str, float]
    bandwidth: float

    def of(self, calibration: Calibration) -> Calibration:
        """A calibration with these, its date that of now."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return replace(calibration, measured_at=now, peaks=dict(self.flops), bandwidth=self.bandwidth)


def measured_peaks(
    device: jax.Device, progress: Progress = lambda what, share: None, *, stopped: Stopped = lambda: False
) -> Peaks:
    """Of a device that does nothing else; a few seconds. Raises Interrupted soon after `stopped` says so."""
    flops = {}
    with on(device):
        for number, precision in enumerate(PRECISIONS):
            progress(f"{name_of(device)}: products in {precision}", number / (len(PRECISIONS) + 1))
            flops[precision] = product_rate(device, precision, stopped)
        progress(f"{name_of(device)}: bandwidth", len(PRECISIONS) / (len(PRECISIONS) + 1))
        return Peaks(flops, bandwidth(device, stopped))


def product_rate(device: jax.Device, precision: str, stopped: Stopped) -> float:
    """Operations a second of the fastest of square products, by the way that training takes on the platform."""
    numerics = Numerics(precision, device.platform)
    function = jax.jit(numerics.dot)
    random = np.random.default_rng(0).uniform(-1, 1, RESERVE).astype(jnp.dtype(precision))
    fastest, rows = 0.0, SMALLEST
    while rows <= LARGEST and rows * rows * 4 * SHARE <= (memory_of(device)["free_bytes"] or 1 << 30):
        matrix = jax.device_put(np.resize(random, (rows, rows)))
        seconds = fastest_call(lambda matrix=matrix: function(matrix, matrix), stopped)  # type: ignore[misc]
        rate, before = 2 * rows**3 / seconds, fastest
        fastest = max(fastest, rate)
        if seconds >= LONG_ENOUGH or (rows >= 4096 and rate < GAIN * before):
            break
        rows *= 2
    return fastest


def bandwidth(device: jax.Device, stopped: Stopped) -> float:
    """Bytes a second that are read and written by adding one to many numbers."""
    count = min(COPIED, (memory_of(device)["free_bytes"] or 1 << 30) // (4 * SHARE))
    held = [jax.device_put(np.ones(count, np.float32))]
    # In place: new memory would be given, page by page, by the system, which takes longer than to fill it.
    function = jax.jit(lambda x: x + 1, donate_argnums=0)

    def call() -> jax.Array:
        held[0] = function(held[0])
        return held[0]

    return 2 * 4 * count / fastest_call(call, stopped)


def fastest_call(call: Callable[[], Any], stopped: Stopped) -> float:
    """Seconds of the fastest of some calls, each awaited, or of several sent at once where one is short."""
    once = timed(call, 1, stopped)  # compiles
    once = timed(call, 1, stopped)
    at_once = max(1, int(PER_DISPATCH / once))
    began, found = time.perf_counter(), [once]
    while len(found) <= LEAST or time.perf_counter() - began < SECONDS:
        found.append(timed(call, at_once, stopped))
    return min(found)


def timed(call: Callable[[], Any], times: int, stopped: Stopped) -> float:
    """Seconds of one of several calls that are sent together."""
    if stopped():
        raise Interrupted
    began = time.perf_counter()
    last = None
    for _ in range(times):
        last = call()
    jax.block_until_ready(last)
    return (time.perf_counter() - began) / times


def told(device: jax.Device, calibration: Calibration | None, reason: str) -> DeviceTold:
    """A device with what is measured of it. reason: why that is missing, where it is."""
    peaks = calibration.peaks if calibration else {}
    return {
        **describe(device),
        "measured_peak": {
            "float32": peaks.get("float32"),
            "bfloat16": peaks.get("bfloat16"),
            "bandwidth": calibration.bandwidth if calibration else None,
            "measured_at": calibration.measured_at if calibration and peaks else None,
            "reason": None if peaks else reason,
        },
    }
