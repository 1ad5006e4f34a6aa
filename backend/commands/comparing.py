"""`lamina compare`: what runs share, in what they differ, and what they have reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from backend.client import Client
from backend.client.comparisons import ComparedRun, Comparison
from backend.commands import exits
from backend.commands.listing import WIDE, singles
from backend.commands.telling import Name, cell, number, percent, printable, say_json, screen, span, table

TIMES = ("took", "samples/s")
SIDE_BY_SIDE = 4  # runs that have a column each; more of them have a row each


def compare(client: Client, runs: Sequence[str], *, as_json: bool, as_csv: bool) -> int:
    """Runs side by side, as a table, as JSON or as CSV."""
    ids = list(dict.fromkeys(client.run_id(run) for run in runs))
    if as_csv:
        print(client.compare_csv(ids), end="")
        return exits.OK
    found = client.compare(ids)
    if as_json:
        say_json(found.json)
        return exits.OK
    out = screen()
    few = len(found.runs) <= SIDE_BY_SIDE
    rows = [*reached(found), *different(found)]
    out.show(columns_of(found, rows) if few else rows_of(found, rows, wide=out.width >= WIDE))
    device = found.runs[0].device
    on = f", {device}" if device and all(run.device == device for run in found.runs) else ""
    out.print(f"\nThe same: {found.hyperparams.equal} hyperparameters, {found.layers.equal} layers{printable(on)}.")
    return exits.OK


Row = tuple[str, list[str]]  # a heading, and a cell for each run


def reached(found: Comparison) -> list[Row]:
    """What the runs have come to."""
    runs = found.runs
    rows = [
        ("state", [run.state for run in runs]),
        ("epoch", [f"{run.epoch}/{run.epochs_total}" for run in runs]),
        ("ended by", [run.stopped_by or "" for run in runs]),
        ("to target", [span(run.seconds_to_target) for run in runs]),
        ("best epoch", [f"{run.best.epoch}" if run.best else "" for run in runs]),
        ("best val loss", [best_of(run, "val_loss") for run in runs]),
        ("best val acc", [best_of(run, "val_accuracy") for run in runs]),
        ("last val loss", [last_of(found, place, "val_loss") for place in range(len(runs))]),
        ("test acc", [percent(run.test_accuracy) for run in runs]),
        *of_tests(found),
        ("took", [span(run.seconds) for run in runs]),
        ("samples/s", [f"{run.samples_per_second:,.0f}" if run.samples_per_second else "" for run in runs]),
        ("ms per step", [number(1000 * run.median_step_seconds) if run.median_step_seconds else "" for run in runs]),
        ("compiled", [", ".join(filter(None, (run.compilation, span(run.compile_seconds)))) for run in runs]),
    ]
    return [row for row in rows if any(row[1])]


def of_tests(found: Comparison) -> list[Row]:
    """The metrics of tests that runs were asked for, as far as they are numbers."""
    told = [singles(run.test_metrics) for run in found.runs]
    names = [name for name in dict.fromkeys(name for each in told for name in each) if name != "accuracy"]
    return [(f"test {name}", [number(each[name]) if name in each else "" for each in told]) for name in names]


def best_of(run: ComparedRun, metric: str) -> str:
    """A value of its best epoch."""
    if run.best is None:
        return ""
    return number(run.best.val_loss) if metric == "val_loss" else percent(run.best.val_accuracy)


def last_of(found: Comparison, place: int, metric: str) -> str:
    """A value of the last epoch of a run."""
    reached = found.last.get(metric) or []
    told = reached[place] if place < len(reached) else None
    return "" if told is None else number(told.value)


def different(found: Comparison) -> list[Row]:
    """In what the runs differ: records, what computed them, hyperparameters, input and layers."""
    runs = found.runs
    told: dict[str, list[Any]] = {
        name: [getattr(run, name) for run in runs] for name in ("dataset_type", "device", "precision", "parameters")
    }
    rows = [(name, values) for name, values in told.items() if any(value != values[0] for value in values)]
    rows += [*found.computed.differ.items(), *found.hyperparams.differ.items(), *found.input.differ.items()]
    for layer in found.layers.differ:
        place = next(str(at) for at in layer.places if at is not None)
        if any(at is None for at in layer.places):
            rows.append((f"layer {place} {layer.type}", ["" if at is None else "yes" for at in layer.places]))
        else:
            rows += [(f"layer {place} {layer.type} {name}", values) for name, values in layer.differ.items()]
    return [(name, ["" if value is None else number(value) for value in values]) for name, values in rows]


def columns_of(found: Comparison, rows: Sequence[Row]) -> Table:
    """A column for each run."""
    runs = [run.short for run in found.runs]
    made = table("run", *runs, loose=runs)
    made.add_row("name", *(Name(run.name) for run in found.runs))
    for heading, values in rows:
        made.add_row(heading, *map(cell, values))
    return made


def rows_of(found: Comparison, rows: Sequence[Row], *, wide: bool) -> Table:
    """A row for each run; what all have in common is left out, and times where there is little room."""
    shown = [(heading, values) for heading, values in rows if len(set(values)) > 1 and (wide or heading not in TIMES)]
    headings = [heading.removeprefix("best ") for heading, _ in shown]
    lasts = [heading.rpartition(".")[2] for heading in headings]
    short = [last if lasts.count(last) == 1 else heading for last, heading in zip(lasts, headings, strict=True)]
    made = table("run", "name", *short, right=short)
    for place, run in enumerate(found.runs):
        made.add_row(cell(run.short), Name(run.name), *(cell(values[place]) for _, values in shown))
    return made
