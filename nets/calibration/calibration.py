"""What was measured of a device once, kept for whoever predicts or compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Calibration:
    """Of one device of this machine.

    rates: fitted coefficients of the model of predicted times, by the name of the part of the model.
    """

    device_kind: str
    rates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
