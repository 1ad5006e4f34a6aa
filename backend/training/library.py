"""The engine of the library, as the queue uses it: cells are measured by processes that a benchmark starts."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from backend.state.benchmarks import with_cells
from backend.state.files import CALIBRATION_FOLDER
from backend.state.records import Json
from backend.state.working import folder_for, working
from backend.training.engine import Advanced, Begun, Done, Measured, Told
from nets.benchmarks import bench, bodies
from nets.benchmarks.protocol import command_of, plan_of
from nets.benchmarks.results import Cell, Preset
from nets.errors import BrokenRule
from nets.process.devices import all_devices, name_of

CHOSEN = ("precisions", "batch_sizes", "repeats", "target")


@dataclass(frozen=True)
class Library:
    """Measures on the devices of this machine. `data_dir`: of data sets."""

    state_dir: Path
    data_dir: Path

    def body(self, name: str) -> Json:
        try:
            return bodies.named(name)
        except bodies.BadBody as unknown:
            raise BrokenRule(str(unknown), "not_one_of") from None

    def completed(self, asked: Json) -> Json:
        preset: Preset = asked["preset"] or "quick"
        plan = plan_of(preset, **{name: asked[name] for name in CHOSEN})
        return {
            "preset": preset,
            "devices": asked["devices"] or [name_of(device) for device in all_devices()],
            "precisions": list(plan.precisions),
            "batch_sizes": list(plan.batch_sizes),
            "repeats": plan.repeats,
            "target": plan.target,
        }

    def measure(self, request: Json) -> Generator[Told]:
        """Compiled programs have a folder of their own meanwhile: nothing of the server's is read or added to."""
        with working(folder_for(self.state_dir, "bench")) as folder:
            measured = bench.Bench(
                bodies.read_bodies(
                    [{"name": each["name"], **each["body"]} for each in request["bodies"]], self.data_dir
                ),
                request["devices"],
                plan_of(request["preset"], **{name: request[name] for name in CHOSEN}),
                data_dir=self.data_dir.absolute(),
                work_dir=folder.absolute(),
                calibrations=self.state_dir / CALIBRATION_FOLDER,
                command=command(request),
            )
            yield Begun(cast(Json, measured.results()))
            known = False
            with closing(measured.events()) as events:
                for event in events:
                    if isinstance(event, bench.Measured):
                        if not known:  # by now the devices have peaks
                            yield Begun({**measured.results(), "cells": [], "parity": []})
                            known = True
                        yield Measured(cast(Json, event.cell))
                    else:
                        yield advanced(event)
            yield Done(cast(Json, measured.results()))

    def assembled(self, results: Json, cells: list[Json]) -> Json:
        """With `complete` and `parity` as they are for so many cells."""
        found = with_cells(results, cells)
        assert found is not None
        return {**found, "parity": bench.parity(cast(list[Cell], found["cells"]))}


def advanced(event: bench.Measuring) -> Advanced:
    """Where a benchmark is, for those who follow."""
    left, spot = round(event.seconds_left, 1), event.spot
    if spot is None:  # the peaks of a device
        return Advanced(round(event.fraction, 4), seconds_left=left, message=event.phase)
    cell = {**asdict(spot), "repeat": event.repeat + 1, "repeats": event.repeats, "phase": event.phase}
    return Advanced(round(event.fraction, 4), cell=cell, seconds_left=left)


def command(request: Json) -> str:
    """A command that measures the same, once each body is in a file of its name."""
    files = [f"{each['name']}.json" for each in request["bodies"]]
    return command_of(files, request["preset"], **{name: request[name] for name in ("devices", *CHOSEN)})
