"""`lamina bench`: measures networks on the devices of this machine."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import cast

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from backend.client import Unusable
from backend.commands import exits
from backend.commands.bodies import asked_body
from backend.commands.cells import Found, line, show
from backend.commands.telling import screen, span
from backend.state.files import CALIBRATION_FOLDER
from nets.benchmarks.bench import Bench, Measured
from nets.benchmarks.bodies import BadBody, read_bodies
from nets.benchmarks.protocol import NETWORKS, Plan, command_of, plan_of
from nets.benchmarks.results import RESULTS, Preset, Results, json_schema
from nets.benchmarks.tables import to_csv
from nets.errors import BrokenRule, Problem, SpecError
from nets.process.device import prepare_process
from nets.process.device_memory import PREALLOCATE
from nets.process.devices import all_devices, find, name_of


@dataclass(frozen=True)
class Asked:
    """What the command line says; None and () where it says nothing."""

    bodies: Sequence[str]
    devices: Sequence[str]
    precisions: Sequence[str]
    batch_sizes: Sequence[int]
    repeats: int | None
    target: float | None
    preset: Preset
    out: Path | None
    name: str | None


def schema() -> int:
    """Prints the JSON Schema of `results.json`."""
    print(json.dumps(json_schema(), indent=1))
    return exits.OK


def bench(asked: Asked, *, data_dir: Path, state_dir: Path, as_json: bool) -> int:
    """Measures, shows a table, and writes the files. Ctrl-C keeps what is measured."""
    os.environ.setdefault(PREALLOCATE, "false")  # the processes that measure need the memory, this one does not
    prepare_process()
    items = asked.bodies or NETWORKS[asked.preset]
    try:
        bodies = read_bodies([asked_body(item) for item in items], data_dir)
        devices = list(dict.fromkeys(map(device_of, asked.devices or map(name_of, all_devices()))))
    except SpecError as problem:
        return refused(*(told_of(one, items) for one in problem.problems))
    except (BadBody, Unusable) as problem:
        return refused(str(problem))
    except BrokenRule as problem:
        return refused(f"--devices {problem}")
    out = asked.out or Path(f"bench-{datetime.now():%Y%m%d-%H%M%S}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):  # hours of measuring end there
            pass
    except OSError as problem:
        return refused(f"--out: {out} cannot be written to: {problem.strerror}; name another folder")
    bench = Bench(
        bodies,
        devices,
        planned(asked),
        data_dir=data_dir.absolute(),
        work_dir=(state_dir / "benchmarks").absolute(),
        calibrations=state_dir / CALIBRATION_FOLDER,
        command=command(asked),
        name=asked.name,
    )
    whole = run(bench, as_json=as_json)
    return told(bench.results(), out, whole=whole, as_json=as_json)


def planned(asked: Asked) -> Plan:
    """A preset, but for what is said."""
    return plan_of(
        asked.preset,
        precisions=asked.precisions,
        batch_sizes=asked.batch_sizes,
        repeats=asked.repeats,
        target=asked.target,
    )


def told(results: Results, out: Path, *, whole: bool, as_json: bool) -> int:
    """Shows what was measured and writes the files; the exit code. whole: it came to its end."""
    write(results, out)
    tell(results, out, as_json=as_json)
    if not whole:
        return exits.INTERRUPTED
    return exits.FAILED if any(cell["error"] for cell in results["cells"]) else exits.OK


def tell(results: Results, out: Path, *, as_json: bool) -> None:
    """What is in the files, for people or for programs."""
    if as_json:
        print(RESULTS.dump_json(results).decode())
        return
    show(screen(), cast(Found, results))
    print(f"\n{out}/results.json, results.csv, report.html")


def told_of(problem: Problem, items: Sequence[str]) -> str:
    """A problem of a body, with the file that it came in."""
    match problem.path:
        case ("bodies", int(number), *rest):
            return f"{items[number]}: {replace(problem, path=tuple(rest))}"
    return str(problem)


def device_of(word: str) -> str:
    """The name of the device that a word stands for."""
    return name_of(find(word))


def refused(*sentences: str) -> int:
    """Nothing was measured."""
    for sentence in sentences:
        print(f"lamina: {sentence}", file=sys.stderr)
    return exits.USAGE


def command(asked: Asked) -> str:
    """A command that measures the same."""
    return command_of(
        asked.bodies,
        asked.preset,
        devices=asked.devices,
        precisions=asked.precisions,
        batch_sizes=asked.batch_sizes,
        repeats=asked.repeats,
        target=asked.target,
    )


def run(bench: Bench, *, as_json: bool) -> bool:
    """Measure with a bar; whether it came to its end."""
    console = screen(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(None), TaskProgressColumn(), TextColumn("{task.fields[left]}")
    hidden = as_json or not console.is_terminal
    if not as_json:
        console.print(beforehand(bench), soft_wrap=True)
    with closing(bench.events()) as events, Progress(*columns, console=console, disable=hidden) as progress:
        task = progress.add_task("starting", total=1.0, left="")
        try:
            for event in events:
                if isinstance(event, Measured):
                    if hidden and not as_json:
                        console.print(line(cast(Found, event.cell)), soft_wrap=True)
                    continue
                left = f"{span(event.seconds_left)} left"
                repeat = f" ({event.repeat + 1}/{event.repeats})" if event.repeat < event.repeats else ""
                place = f"{event.spot}{repeat}: " if event.spot else ""
                progress.update(task, completed=event.fraction, description=place + event.phase, left=left)
        except KeyboardInterrupt:
            console.print("stopped: what was measured is kept")
            return False
    return True


def beforehand(bench: Bench) -> str:
    """How much there is to measure, and how long that will take."""
    repeats = bench.plan.repeats
    each = f", {repeats} times each" if repeats > 1 else ""
    target = f", then to an accuracy of {bench.plan.target:g}" if bench.plan.target is not None else ""
    took = f"about {span(bench.seconds_left())}; Ctrl-C keeps what is measured by then"
    return f"{bench.cells} cell{'s' * (bench.cells != 1)}{each}{target}: {took}"


def write(results: Results, out: Path) -> None:
    """The files of a benchmark."""
    (out / "results.json").write_bytes(RESULTS.dump_json(results, indent=1) + b"\n")
    from nets.benchmarks.report import report  # draws, which costs 0.3 s to import

    (out / "results.csv").write_text(to_csv(results))
    (out / "report.html").write_text(report(results), encoding="utf-8")
