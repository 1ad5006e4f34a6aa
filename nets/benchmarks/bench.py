"""`bench`: a generator that measures networks on devices, and tells what it does."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from nets.benchmarks.bodies import Body, read_bodies
from nets.benchmarks.cells import Record
from nets.benchmarks.data import wanted
from nets.benchmarks.disturbed import Disturbed, disturbed, of_repeats, of_spread, where
from nets.benchmarks.estimates import largest_difference
from nets.benchmarks.machine import machine, quiet_of
from nets.benchmarks.pace import Kind, Pace
from nets.benchmarks.protocol import NETWORKS, TOLERANCES, Plan, Spot, plan_of, spots
from nets.benchmarks.results import SCHEMA, BenchedDevice, Cell, Machine, Parity, Preset, Results
from nets.benchmarks.worker import CellFailed, measure
from nets.calibration.calibration import kept, kind_of
from nets.datasets import default_data_dir
from nets.process.devices import all_devices, describe, find, name_of
from nets.process.quiet import after, before, usage


@dataclass(frozen=True)
class Measuring:
    """What is done now. spot: None before the first cell. fraction: of the whole benchmark. seconds_left: about."""

    spot: Spot | None
    repeat: int
    repeats: int
    phase: str
    fraction: float
    seconds_left: float


@dataclass(frozen=True)
class Measured:
    """A repeat has ended: the cell as it is now."""

    cell: Cell
    repeat: int


Event = Measuring | Measured


@dataclass
class Bench:
    """One benchmark: iterate over `events`, and take `results` whenever they are wanted.

    data_dir: of data sets. work_dir: for compiled programs while it lasts; others must not be able to write to it.
    calibrations: the folder of measured peaks. command: one that measures the same, for the report.
    """

    bodies: Sequence[Body]
    devices: Sequence[str]
    plan: Plan
    data_dir: Path
    work_dir: Path
    calibrations: Path
    command: str = ""
    name: str | None = None
    id: str = field(default_factory=lambda: f"b_{uuid4().hex}")
    _records: dict[Spot, Record] = field(default_factory=dict)
    _disturbed: list[Disturbed] = field(default_factory=list)
    _failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._by_name = {body.name: body for body in self.bodies}
        self._spots = list(spots(list(self._by_name), self.devices, self.plan))
        self._created, self._began = datetime.now(UTC), time.monotonic()
        self._ended: float | None = None
        self._measured = [find(device) for device in self.devices]
        self._start = before(self._measured)
        self._machine: Machine = machine(self.name, devices=self._measured, start=self._start)
        self._devices = {device: self._device(device) for device in self.devices}
        warm: list[Kind] = ["warm"] * (self.plan.repeats - 1)
        target: list[Kind] = ["target"] * (self.plan.target is not None)
        kinds: list[Kind] = ["cold", *warm, *target]
        waiting = [(spot, kind) for kind in kinds for spot in self._spots]
        unknown = [name for name, found in self._devices.items() if not any(found["measured_peaks"].values())]
        self._pace = Pace(self.plan, self._by_name, self._devices, waiting, unknown)

    @property
    def cells(self) -> int:
        """How many there are to measure."""
        return len(self._spots)

    def events(self) -> Generator[Event]:
        """Measure every cell, repeat by repeat. Closing it ends what is being measured, and keeps the rest."""
        for device in list(self._pace.unknown):
            yield from self._peaks(device)
        with self._programs() as folder:
            for repeat in range(self.plan.repeats):
                for number, spot in enumerate(self._spots):
                    yield from self._repeat(spot, repeat, folder / str(number))
            for number, spot in enumerate(self._spots if self.plan.target is not None else ()):
                yield from self._to_target(spot, folder / str(number))
        self._ended = time.monotonic()
        self._look()

    def _peaks(self, name: str) -> Generator[Event]:
        """Measure what a device can do at most: it is kept beside what else is known of the device."""
        job = {"kind": "peaks", "device": name, "calibrations": str(self.calibrations)}
        with closing(measure(job)) as phases:
            try:
                for _ in phases:
                    yield self._measuring(None, 0, f"peaks of {name}")
            except CellFailed as error:
                self._failures.append(f"the peaks of {name} could not be measured: {error}")
        self._pace.unknown.remove(name)
        self._devices[name] = self._device(name)

    def _look(self) -> None:
        """See how quiet the machine has been."""
        self._machine = {**self._machine, "quiet": quiet_of(self._start, after(self._start, self._measured))}

    def _repeat(self, spot: Spot, repeat: int, programs: Path) -> Generator[Event, None, None]:
        record = self._records.setdefault(spot, Record(spot))
        if record.error:
            return
        start = usage()
        with self._paced(spot, "warm" if repeat else "cold"):
            try:
                record.repeats.append((yield from self._followed(spot, repeat, "speed", programs)))
            except CellFailed as error:
                self._failed(record, error)
        if found := disturbed(spot, repeat, start, usage()):
            self._disturbed.append(found)
        yield Measured(self._cell(record), repeat)

    def _to_target(self, spot: Spot, programs: Path) -> Generator[Event, None, None]:
        record = self._records[spot]
        if record.error:
            return
        with self._paced(spot, "target"):
            try:
                record.reached = yield from self._followed(spot, self.plan.repeats, "target", programs)
            except CellFailed as error:
                self._failed(record, error)
        yield Measured(self._cell(record), self.plan.repeats)

    @contextmanager
    def _paced(self, spot: Spot, kind: Kind) -> Generator[None]:
        """A measurement, whose time tells how long others will take."""
        self._pace.begin((spot, kind))
        yield
        self._pace.end()

    def _failed(self, record: Record, error: CellFailed) -> None:
        record.error = str(error)
        self._pace.drop(record.spot)

    def _followed(self, spot: Spot, repeat: int, kind: str, programs: Path) -> Generator[Event, None, Any]:
        events = measure(self._job(spot, kind, programs))
        try:
            while True:
                try:
                    phase, share = next(events)
                except StopIteration as end:
                    return end.value
                self._pace.at(share if kind == "target" else 0.0)
                yield self._measuring(spot, repeat, phase)
        finally:
            events.close()

    def _measuring(self, spot: Spot | None, repeat: int, phase: str) -> Measuring:
        return Measuring(spot, repeat, self.plan.repeats, phase, self._pace.fraction(), self._pace.left())

    def _job(self, spot: Spot, kind: str, programs: Path) -> dict[str, Any]:
        body, plan = self._by_name[spot.body], self.plan
        return {
            "kind": kind,
            "body": body.json,
            "device": spot.device,
            "precision": spot.precision,
            "batch_size": spot.batch_size,
            "seed": plan.seed,
            "data": body.data,
            "data_dir": str(self.data_dir),
            "programs": str(programs),
            "warmup_seconds": plan.warmup_seconds,
            "measured_seconds": plan.measured_seconds,
            "loss_steps": plan.loss_steps,
            "max_samples": plan.max_samples,
            "target": plan.target,
            "target_epochs": plan.target_epochs,
        }

    def seconds_left(self) -> float:
        """About: before anything is measured from what the networks cost, then from what the others took."""
        return self._pace.left()

    @contextmanager
    def _programs(self) -> Generator[Path]:
        """Where compiled programs are kept while the benchmark lasts: nothing of earlier ones is there."""
        self.work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir=self.work_dir))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _device(self, name: str) -> BenchedDevice:
        device = find(name)
        calibration, facts = kept(self.calibrations, device), describe(device)
        return {
            "machine": self._machine["name"],
            "id": facts["id"],
            "platform": facts["platform"],
            "kind": kind_of(device),
            "measured_peaks": {
                precision: calibration.peaks.get(precision) if calibration else None for precision in TOLERANCES
            },
            "bandwidth": calibration.bandwidth if calibration else None,
            "data_sheet": facts["data_sheet"],
        }

    def _cell(self, record: Record) -> Cell:
        spot = record.spot
        return record.cell(
            self._machine["name"], self._by_name[spot.body], self._devices[spot.device], self.plan.target
        )

    def results(self) -> Results:
        """What has been measured so far."""
        if self._ended is None:
            self._look()
        cells = [self._cell(record) for record in self._records.values() if record.repeats or record.error]
        whole = self._ended is not None and all(cell["error"] is None for cell in cells)
        found: Results = {
            "schema": SCHEMA,
            "id": self.id,
            "created_at": self._created.isoformat(timespec="seconds"),
            "seconds": (self._ended or time.monotonic()) - self._began,
            "complete": whole,
            "command": self.command,
            "merged_from": [],
            "protocol": self.plan.protocol(),
            "machines": [self._machine],
            "devices": list(self._devices.values()),
            "bodies": [body.facts() for body in self.bodies],
            "cells": cells,
            "parity": parity(cells),
            "warnings": self._warnings(cells),
        }
        return found

    def _warnings(self, cells: Sequence[Cell]) -> list[str]:
        found = [*self._machine["quiet"]["warnings"], *self._failures]
        for body in self.bodies:
            asked = wanted(body.hyperparams).name
            if body.data != asked:
                found.append(f"{body.name} was measured on {body.data}, since {asked} is not at hand")
        missing = len(self._spots) - len(cells)
        if missing:
            found.append(f"{missing} of {len(self._spots)} cells were not measured: the benchmark was stopped")
        found += of_repeats(self._disturbed, sum(cell["repeats"] for cell in cells))
        found += of_spread(cells)
        found += [f"{where(cell)}: {cell['error']}" for cell in cells if cell["error"]]
        return found


def bench(
    bodies: Sequence[str | Mapping[str, Any]] = (),
    *,
    devices: Sequence[str] | None = None,
    preset: Preset = "quick",
    precisions: Sequence[str] | None = None,
    batch_sizes: Sequence[int] | None = None,
    repeats: int | None = None,
    target: float | None = None,
    data_dir: Path | None = None,
    work_dir: Path | None = None,
    calibrations: Path | None = None,
    hear: Callable[[Event], None] = lambda event: None,
) -> Results:
    """Measure networks on devices: speed, compiling, memory, energy, answers, equal losses.

    bodies: each the name of a network that comes with Lamina, or a body of POST /api/train; without any, those of the
    preset. devices: by default every one here. Times are seconds. work_dir: for compiled programs while it lasts, by
    default that of temporary files. calibrations: the folder of measured peaks, such as `calibration` of a state
    directory, by default in the user's cache; peaks that are not there are measured and kept. hear: is told of each
    step. Ctrl-C ends it, and what was measured by then is returned.
    Raises SpecError, BadBody, BrokenRule (no such device).
    """
    data_dir = data_dir or default_data_dir()
    measured = Bench(
        read_bodies(bodies or NETWORKS[preset], data_dir),
        list(dict.fromkeys(name_of(find(device)) for device in devices or map(name_of, all_devices()))),
        plan_of(preset, precisions=precisions, batch_sizes=batch_sizes, repeats=repeats, target=target),
        data_dir=data_dir,
        work_dir=work_dir or Path(tempfile.gettempdir()),
        calibrations=calibrations or cache_dir() / "calibration",
    )
    with closing(measured.events()) as events, suppress(KeyboardInterrupt):
        for event in events:
            hear(event)
    return measured.results()


def cache_dir() -> Path:
    """Where this user's programs keep what can be measured again (XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lamina"


def parity(cells: Sequence[Cell]) -> list[Parity]:
    """Losses of one body and batch size, compared with those in float32 on the first device."""
    found: list[Parity] = []
    for cell in cells:
        alike = (c for c in cells if (c["body"], c["batch_size"]) == (cell["body"], cell["batch_size"]))
        known = [c for c in alike if c["losses"]]
        reference = next((c for c in known if c["precision"] == "float32"), known[0] if known else None)
        if reference is None or cell is reference or cell["losses"] is None or reference["losses"] is None:
            continue
        difference = largest_difference(reference["losses"]["curve"], cell["losses"]["curve"])
        tolerance = max(TOLERANCES[cell["precision"]], TOLERANCES[reference["precision"]])
        found.append(
            {
                "body": cell["body"],
                "batch_size": cell["batch_size"],
                "reference": told(reference),
                "compared": told(cell),
                "steps": len(cell["losses"]["curve"]),
                "largest_difference": difference,
                "tolerance": tolerance,
                "within": difference <= tolerance,
            }
        )
    return found


def told(cell: Cell) -> str:
    """Where a curve comes from."""
    return f"{cell['machine']}, {cell['device']}, {cell['precision']}"
