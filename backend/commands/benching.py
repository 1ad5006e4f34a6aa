"""`lamina bench`: measures networks on the devices of this machine."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from backend.commands import exits
from backend.commands.telling import screen
from backend.state.files import CALIBRATION_FOLDER
from nets.benchmarks.bench import Bench, Measured, where
from nets.benchmarks.bodies import BadBody, from_file, read_bodies
from nets.benchmarks.protocol import NETWORKS, Plan, command_of, plan_of
from nets.benchmarks.results import RESULTS, Cell, Preset, Results, json_schema
from nets.benchmarks.tables import to_csv
from nets.errors import BrokenRule, SpecError
from nets.process.device import prepare_process
from nets.process.devices import all_devices, find, name_of

HEADS = ("samples/s", "95 %", "step ms", "FLOP/s", "peak", "compile s", "one ms", "MB")
WIDE, NARROW = 96, 5  # columns of a terminal for all of them, and how many others show
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


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
    prepare_process()
    try:
        bodies = read_bodies([body_of(item) for item in asked.bodies or NETWORKS[asked.preset]], data_dir)
        devices = list(dict.fromkeys(map(device_of, asked.devices or map(name_of, all_devices()))))
    except SpecError as problem:
        return refused(*(str(one) for one in problem.problems))
    except BadBody as problem:
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
    show(results)
    print(f"\n{out}/results.json, results.csv, report.html")


def body_of(item: str) -> str | Mapping[str, Any]:
    """The body in a file, or the name of a network."""
    path = Path(item)
    return from_file(path) if path.suffix == ".json" or path.is_file() else item


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
    with closing(bench.events()) as events, Progress(*columns, console=console, disable=hidden) as progress:
        task = progress.add_task("starting", total=1.0, left="")
        try:
            for event in events:
                if isinstance(event, Measured):
                    if hidden and not as_json:
                        console.print(line(event))
                    continue
                left = f"{event.seconds_left / 60:.0f} min left" if event.seconds_left > 90 else "about a minute left"
                place = f"{event.spot} ({event.repeat + 1}/{event.repeats}) " if event.spot else ""
                progress.update(task, completed=event.fraction, description=place + event.phase, left=left)
        except KeyboardInterrupt:
            console.print("stopped: what was measured is kept")
            return False
    return True


def line(event: Measured) -> str:
    """A repeat of a cell, where nobody sees a bar."""
    cell = event.cell
    found = cell["samples_per_second"]
    told = cell["error"] or (f"{found['values'][-1]:,.0f} samples/s" if found else "")
    return f"{where(cell)}, repeat {event.repeat + 1}: {told}"


def write(results: Results, out: Path) -> None:
    """The files of a benchmark."""
    (out / "results.json").write_bytes(RESULTS.dump_json(results, indent=1) + b"\n")
    from nets.benchmarks.report import report  # draws, which costs 0.3 s to import

    (out / "results.csv").write_text(to_csv(results))
    (out / "report.html").write_text(report(results), encoding="utf-8")


def show(results: Results) -> None:
    """A table of the cells, and what a reader has to know."""
    console = screen()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("network", "device", "precision"):
        table.add_column(name)
    shown = HEADS if console.width >= WIDE else HEADS[:NARROW]
    for name in ("batch", *shown):
        table.add_column(name, justify="right", no_wrap=True)
    for cell in results["cells"]:
        figured = figures(cell)[: len(shown)]
        device = f"{cell['machine']} {cell['device']}" if len(results["machines"]) > 1 else cell["device"]
        table.add_row(cell["body"], device, cell["precision"], str(cell["batch_size"]), *figured)
    console.show(table)
    for parity in results["parity"]:
        if not parity["within"]:
            what = f"{parity['compared']} against {parity['reference']}, {parity['body']}"
            console.print(
                f"losses differ: {what}: {parity['largest_difference']:.2g} of {parity['tolerance']:g} allowed"
            )
    for warning in results["warnings"]:
        console.print(f"warning: {warning}")


def figures(cell: Cell) -> list[str]:
    """What was measured of a cell, in short."""
    speed, steps, answers = cell["samples_per_second"], cell["step_seconds"], cell["inference"]
    if speed is None:
        return ["failed"]
    half = max(speed["high"] - speed["median"], speed["median"] - speed["low"]) / speed["median"]
    share, memory = cell["utilization"]["measured"], cell["peak_memory"]["bytes"]
    cold = cell["compile_seconds"]["cold"]
    return [
        f"{speed['median']:,.0f}",
        f"±{half:.1%}",
        f"{1e3 * steps['p50']:.3g}" if steps else "",
        short(cell["model_flops_per_second"]),
        f"{share:.0%}" if share is not None else "?",
        f"{cold:.1f}" if cold is not None else "",
        f"{1e3 * answers['latency_p50']:.2f}" if answers else "",
        f"{memory / 1e6:,.0f}" if memory is not None else "?",
    ]


def short(value: float | None) -> str:
    """A large number with three digits and a letter."""
    if value is None:
        return ""
    size, letter = next((unit for unit in UNITS if value >= unit[0]), (1.0, ""))
    return f"{value / size:.3g} {letter}".strip()
