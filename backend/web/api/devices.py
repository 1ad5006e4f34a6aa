"""The devices of the server."""

from __future__ import annotations

from dataclasses import dataclass

from flask import jsonify
from flask.typing import ResponseReturnValue

from backend.actions.devices import DeviceList
from backend.web.body import json_object
from backend.web.routes import route


@dataclass(frozen=True)
class DeviceRoutes:
    """Under /api."""

    devices: DeviceList

    @route("GET", "/devices")
    def list_devices(self) -> ResponseReturnValue:
        """Every device of every platform: kind, memory, versions, the peaks of its data sheet and measured ones."""
        return jsonify(self.devices.now())

    @route("POST", "/devices/calibrate")
    def calibrate_devices(self) -> ResponseReturnValue:
        """Measure the peaks again, in the background. The body is empty, or has a `device`. 409 while a run trains."""
        return jsonify({"measuring": self.devices.calibrate(json_object(required=False))}), 202
