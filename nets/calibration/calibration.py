"""What was measured of a device once, kept in a file for whoever predicts or compares."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from nets.durable import write_durably
from nets.process.device import cores, processor, vector_unit

SCHEMA = "lamina-calibration/1"
Progress = Callable[[str, float], None]  # what is measured now, and which share of all is done


@dataclass(frozen=True)
class Calibration:
    """Of one kind of device in one machine with one version of JAX.

    key: `key_of` the device. measured_at: UTC, ISO 8601. peaks: floating point operations a second of products of
    matrices, by precision. bandwidth: bytes a second. rates: seconds for so much of each amount of `nets.calibration
    .work`, by precision. errors: by precision, the share of the time that nine of ten predictions are within, by
    networks that were left out of the fit. disturbed: share of the processors' time that others used meanwhile.
    """

    key: str
    device_kind: str
    measured_at: str
    versions: Mapping[str, str]
    peaks: Mapping[str, float] = field(default_factory=dict)
    bandwidth: float | None = None
    rates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    disturbed: float = 0.0

    @classmethod
    def blank(cls, device: jax.Device) -> Calibration:
        """One of now, without a measurement."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        versions = {name: version(name) for name in ("jax", "jaxlib")}
        return cls(key_of(device), kind_of(device), now, versions)


def kind_of(device: jax.Device) -> str:
    """The model, with what else decides how fast a CPU is."""
    if device.platform != "cpu":
        return str(device.device_kind)
    return ", ".join(filter(None, (processor(), vector_unit(), f"{cores()} cores")))


def key_of(device: jax.Device) -> str:
    """What a measurement holds for: another kind of device, number of cores or version of JAX has one of its own."""
    told = "\n".join((device.platform, kind_of(device), version("jax"), version("jaxlib")))
    return f"{device.platform}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def path_of(folder: Path, device: jax.Device) -> Path:
    """Where the calibration of a device is kept."""
    return folder / f"{key_of(device)}.json"


def keep(folder: Path, calibration: Calibration) -> Path:
    """Write it down, in place of an older one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{calibration.key}.json"
    text = json.dumps({"schema": SCHEMA, **asdict(calibration)}, indent=1, allow_nan=False)
    write_durably(path, text.encode())
    return path


def kept(folder: Path, device: jax.Device) -> Calibration | None:
    """The calibration of a device; None where there is none that can be used."""
    try:
        found = json.loads(path_of(folder, device).read_text())
        return of_json(found) if found["schema"] == SCHEMA and found["key"] == key_of(device) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def of_json(found: Mapping[str, Any]) -> Calibration:
    """What `keep` wrote."""
    rates = {str(p): {str(n): float(v) for n, v in by.items()} for p, by in found["rates"].items()}
    bandwidth = found["bandwidth"]
    return Calibration(
        key=str(found["key"]),
        device_kind=str(found["device_kind"]),
        measured_at=str(found["measured_at"]),
        versions={str(name): str(value) for name, value in found["versions"].items()},
        peaks={str(name): float(value) for name, value in found["peaks"].items()},
        bandwidth=None if bandwidth is None else float(bandwidth),
        rates=rates,
        errors={str(name): float(value) for name, value in found["errors"].items()},
        disturbed=float(found.get("disturbed", 0.0)),
    )
