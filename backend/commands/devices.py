"""`lamina devices`: what can be trained on, here or on a server, and what it was measured to do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax

from backend.client import Client
from backend.commands import exits
from backend.commands.telling import cell, say_json, screen, table
from backend.state.directory import NoDirectory
from backend.state.files import CALIBRATION_FOLDER
from backend.state.lock import StateInUse, own
from nets.calibration import calibration
from nets.calibration.calibrate import with_rates
from nets.calibration.calibration import Calibration
from nets.calibration.peaks import measured_peaks, told
from nets.errors import NoDevice
from nets.process.device import prepare_process, require_device
from nets.process.device_memory import PREALLOCATE
from nets.process.devices import all_devices, default_device, host, name_of

Json = Mapping[str, Any]

PRECISIONS = ("float32", "bfloat16")
OF_SHEET = "of sheet"
COLUMNS = ("memory", "free", "float32", OF_SHEET, "bfloat16", OF_SHEET, "bandwidth")
PREFIXES = (("P", 1e15), ("T", 1e12), ("G", 1e9))
POLL = 0.5  # seconds
NOT_MEASURED = "it is not measured yet: `lamina devices --calibrate` does that"
USED = "a server uses the state directory {}, and a run of it would disturb the measurement: ask it with --url"


def on_server(client: Client, *, calibrate: bool, as_json: bool) -> int:
    """Those of a server; with calibrate, once it has measured them. Returns the exit code."""
    if calibrate:
        client.post("/api/devices/calibrate")
    found = client.get("/api/devices")
    while calibrate and found["measuring"]:
        time.sleep(POLL)
        found = client.get("/api/devices")
    return show(found, as_json=as_json)


def here(state_dir: Path, *, calibrate: bool, as_json: bool) -> int:
    """Those of this machine, measured the first time, or again. Returns the exit code."""
    os.environ.setdefault(PREALLOCATE, "false")  # a server here needs the memory more than this command
    prepare_process()
    try:
        require_device()
    except NoDevice as problem:
        print(f"lamina: {problem}", file=sys.stderr)
        return exits.FAILED
    folder, reason, fresh = state_dir / CALIBRATION_FOLDER, NOT_MEASURED, dict[str, Calibration]()
    missing = {calibration.key_of(each): each for each in all_devices() if calibrate or not _peaks(folder, each)}
    try:
        if missing:
            with own(state_dir, patience=0.0):
                fresh = _measured(folder, missing.values(), rates=calibrate)
    except (StateInUse, NoDirectory, OSError) as why:
        reason = USED.format(state_dir) if isinstance(why, StateInUse) else f"{state_dir} cannot be used: {why}"
        if calibrate:
            print(f"lamina: {reason}", file=sys.stderr)
            return exits.USAGE
    found = {
        "devices": [_told(folder, each, fresh, reason) for each in all_devices()],
        "default": name_of(default_device()),
        "host": host(),
        "measuring": False,
    }
    return show(found, as_json=as_json)


def _peaks(folder: Path, device: jax.Device) -> bool:
    kept = calibration.kept(folder, device)
    return bool(kept and kept.peaks)


def _told(folder: Path, device: jax.Device, fresh: Mapping[str, Calibration], reason: str) -> Any:
    return told(device, fresh.get(calibration.key_of(device)) or calibration.kept(folder, device), reason)


def _measured(folder: Path, devices: Iterable[jax.Device], *, rates: bool) -> dict[str, Calibration]:
    """Measure and keep; what is measured now is told on standard error.

    rates: also how fast each trains small networks, which takes a minute and more, for predictions.
    """
    found = {}
    for device in devices:
        progress = screen(stderr=True)
        with progress.status("") as line:

            def say(what: str, share: float, line: Any = line) -> None:
                line.update(f"measuring {what or 'a dense layer'}: {share:.0%}")

            peaks = measured_peaks(device, say)
            made = peaks.of(calibration.kept(folder, device) or Calibration.blank(device))
            calibration.keep(folder, made)
            if rates:
                made = with_rates(made, device, say)
                calibration.keep(folder, made)
        found[made.key] = made
    return found


def show(found: Json, *, as_json: bool) -> int:
    """The answer of `GET /api/devices` as one object, or as a table."""
    if as_json:
        say_json(found)
        return exits.OK
    known = any(each["data_sheet"]["source"] for each in found["devices"])
    columns = [name for name in COLUMNS if known or name != OF_SHEET]
    made = table("device", "kind", *columns, right=columns, loose=("kind",))
    for device in found["devices"]:
        made.add_row(*map(cell, row_of(device, sheet=known)))
    console = screen()
    console.show(made)
    versions = ", ".join(f"{name} {found['host'][name]}" for name in ("jax", "jaxlib"))
    for device in found["devices"]:
        parts = (
            f"driver {device['driver']}" if device["driver"] else "",
            f"CUDA {device['cuda']}" if device["cuda"] else "",
        )
        versions += "".join(f", {device['id']}: {part}" for part in parts if part)
    processor = found["host"]["processor"]
    of_host = f"{processor['model']}, {processor['cores']} of {processor['cores_of_machine']} cores"
    console.print(
        f"Runs train on {found['default']} unless they name another. Host: {of_host}; {versions}", soft_wrap=True
    )
    for remark in dict.fromkeys(remark for device in found["devices"] for remark in remarks(device)):
        console.print(remark, soft_wrap=True)
    return exits.OK


def row_of(device: Json, *, sheet: bool) -> list[str]:
    """One device: the measured peaks, and with `sheet` their share of the data sheet's."""
    memory, measured, told = device["memory"], device["measured_peak"], device["data_sheet"]
    row = [device["id"] + " *" * bool(device["default"]), device["kind"]]
    row += [gigabytes(memory["total_bytes"] or memory["usable_bytes"]), gigabytes(memory["free_bytes"])]
    for precision in PRECISIONS:
        peak, most = measured[precision], told[precision]["flops_per_second"]
        share = f"{100 * peak / most:.0f} %" if peak and most else "-"
        row += [rate(peak, "FLOP/s"), *([share] if sheet else [])]
    return [*row, rate(measured["bandwidth"], "B/s")]


def remarks(device: Json) -> Iterable[str]:
    """Why something of a device is missing, and when it was measured."""
    for part in (device["measured_peak"], device["memory"]):
        if part["reason"]:
            yield f"{device['id']}: {part['reason']}"
    if measured_at := device["measured_peak"]["measured_at"]:
        yield f"{device['id']}: measured at {measured_at}"


def gigabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e9:.1f} GB"


def rate(value: float | None, unit: str) -> str:
    """Three digits and a unit, such as 217 GFLOP/s."""
    if value is None:
        return "-"
    prefix, size = next((each for each in PREFIXES if value >= each[1]), PREFIXES[-1])
    return f"{value / size:.3g} {prefix}{unit}"
