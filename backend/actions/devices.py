"""What this server can train on."""

from __future__ import annotations

from dataclasses import dataclass

import jax
from typing_extensions import TypedDict

from backend.errors import ApiError
from backend.parsing.requests import CalibrateBody, check
from backend.state.records import Json
from backend.training.limits import free_host_memory
from backend.training.measuring import Measuring
from backend.training.runs import Runs
from nets.calibration.peaks import told
from nets.errors import BrokenRule, Problem, SpecError
from nets.facts import DeviceTold, HostFacts
from nets.process.devices import all_devices, default_device, find, host, name_of


class Devices(TypedDict):
    """Every device of every platform that JAX has in the server. `default`: where runs train that name none."""

    devices: list[DeviceTold]
    default: str
    host: HostFacts
    measuring: bool  # whether some are being measured, or will be as soon as nothing trains


@dataclass(frozen=True)
class DeviceList:
    """Tells of them, and has them measured."""

    measuring: Measuring
    runs: Runs

    def now(self) -> Devices:
        """As they are now; what was never measured is measured in a while."""
        found = all_devices()
        for device in found:
            self.measuring.ask(device)
        return {
            "devices": [self._told(device) for device in found],
            "default": name_of(default_device()),
            "host": host(),
            "measuring": self.measuring.under_way(),
        }

    def calibrate(self, body: Json) -> list[str]:
        """Have one device, or all of them, measured again; their names. ApiError 409 while a run is active."""
        wanted = check(CalibrateBody, body).device
        try:
            chosen = [find(wanted)] if wanted is not None else all_devices()
        except BrokenRule as rule:
            problem: Problem = rule.at(("device",)).seen_in(body)
            raise SpecError([problem]) from None
        if busy := self.runs.busy():
            raise ApiError(409, f"Run {busy} is active, and would disturb the measurement; wait for its end")
        for device in chosen:
            self.measuring.ask(device, again=True)
        return [name_of(device) for device in chosen]

    def _told(self, device: jax.Device) -> DeviceTold:
        found = told(device, self.measuring.kept(device), self.measuring.reason(device))
        memory = found["memory"]
        if memory["of"] == "host":  # a container may leave less than the machine
            memory["free_bytes"] = max(0, min(free_host_memory()))
        return found
