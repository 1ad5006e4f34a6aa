"""`lamina runs`, `show` and `models`: records on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from backend.client import Client, Model, Run
from backend.commands import exits
from backend.commands.telling import (
    Name,
    cell,
    joined,
    number,
    percent,
    printable,
    say_json,
    screen,
    seconds_between,
    span,
    state_of,
    table,
)

SOME = 30  # of a list, where people read
WIDE = 100  # columns from which on a list has more
EPOCHS = 12  # of a run that is shown
METRICS_WIDE = 68  # characters of the names of metrics beside an epoch: with it they fit into 80
SHOWN = {"best.val_loss", "best.val_accuracy", "test_accuracy", "created_at", "name", "epoch"}  # have a column anyway


def runs(
    client: Client, *, limit: int | None, as_json: bool, as_csv: bool, ids_only: bool, filters: Mapping[str, Any]
) -> int:
    """Lists runs; `limit` 0 for all, None for some in a table and all for programs."""
    if as_csv:
        sys.stdout.write(client.runs_csv(**filters, limit=limit or None))
    elif as_json:
        say_json({"runs": [run.json for run in client.runs(**filters, limit=limit or None)]})
    elif ids_only:
        print_lines(run.run_id for run in client.runs(**filters, limit=limit or None))
    else:
        most = SOME if limit is None else limit
        found = list(client.runs(**filters, limit=most + 1 if most else None))
        say_runs(found[: most or None], more=bool(most) and len(found) > most, sort=filters.get("sort"))
    return exits.OK


def say_runs(listed: Sequence[Run], *, more: bool, sort: str | None = None) -> None:
    """Runs as a table. `more`: there are others."""
    out = screen()
    if not listed:
        out.print("No runs.")
        return
    out.show(table_of_runs(listed, sort=sort, wide=out.width >= WIDE))
    if more:
        print(f"There are more than these {len(listed)}; --limit 0 lists all.", file=sys.stderr)


def print_lines(lines: Iterable[str]) -> None:
    """One line each, for shell loops."""
    for line in lines:
        print(line)


def table_of_runs(listed: Iterable[Run], *, sort: str | None = None, wide: bool = False) -> Table:
    """Runs as rows; `sort`: the value that they are sorted by has a column. `wide`: with tags and times."""
    listed, by = list(listed), (sort or "").removeprefix("-")
    extra = [by] if by not in SHOWN and any(value_at(run.json, by) is not None for run in listed) else []
    columns = ["run", "name", "state", "epochs", "data", "best", "test", *extra, *(["took", "tags"] * wide), "age"]
    made = table(*columns, right=("epochs", "best", "test", *extra, "took", "age"))
    for run in listed:
        best = percent(run.best.val_accuracy) if run.best else ""
        row: list[RenderableType] = [
            cell(run.short),
            Name(run.name),
            state_of(run),
            cell(f"{run.epoch}/{run.epochs_total}"),
        ]
        row += [cell(run.dataset_type), cell(best), cell(percent(run.test_accuracy))]
        row += [cell(number(value_at(run.json, name))) for name in extra]
        row += [cell(span(took(run))), cell(joined(run.tags))] * wide
        made.add_row(*row, cell(span(seconds_between(run.created_at))))
    return made


def took(run: Run) -> float | None:
    """Seconds of training, up to now while it trains."""
    return seconds_between(run.started_at, run.completed_at) if run.started_at else None


def value_at(record: Mapping[str, Any], name: str) -> Any:
    """The value of a sort, where the record has it."""
    value: Any = record
    if name not in record and name.startswith("test_"):
        return (record.get("test_metrics") or {}).get(name.removeprefix("test_"))
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def show(client: Client, run: str, *, as_json: bool) -> int:
    """One run, with its last epochs."""
    found = client.run(run)
    if as_json:
        say_json(found.json)
        return exits.OK
    out = screen()
    out.show(sheet(found))
    if found.metrics:
        for made in tables_of_epochs(found):
            out.print()
            out.show(made)
    for warning in found.warnings:
        out.print(Text(warning, style="yellow"))
    return exits.OK


def sheet(run: Run) -> Table:
    """What a record says, a line each; what it does not is left out."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in lines_of(run):
        if value:
            made.add_row(name, printable(value) if isinstance(value, str) else value)
    return made


def lines_of(run: Run) -> Iterable[tuple[str, str | Text]]:
    """The lines of a sheet."""
    state = state_of(run)
    if run.queue_position:
        state.append(f", place {run.queue_position} in the queue")
    best = run.best
    yield from (("run", run.run_id), ("name", run.name), ("state", state), ("error", run.error or ""))
    yield from (("tags", joined(run.tags)), ("model", run.model_id))
    yield from (("data set", run.dataset_type), ("epochs", f"{run.epoch} of {run.epochs_total}"))
    if run.stopped_by:
        yield "ended by", f"{run.stopped_by['rule']}: {run.stopped_by['message']}"
    if reached := run.target_reached:
        when = f"in epoch {reached['epoch']}, after {span(reached['seconds'])} of training"
        yield "target", f"{reached['metric']} {number(reached['value'])} {when}"
    yield "best", f"epoch {best.epoch}: loss {number(best.val_loss)}, {percent(best.val_accuracy)}" if best else ""
    yield "test", f"{percent(run.test_accuracy)}, loss {number(run.test_loss)}" if run.test_accuracy is not None else ""
    baseline = (run.baseline_accuracy or {}).get("test")
    yield "most frequent class", percent(baseline)
    yield "test metrics", words_of(singles(run.test_metrics))
    yield "network", network_of(run)
    yield from (("hyperparams", words_of(said(run.hyperparams))), ("device", run.device or ""))
    yield "created", run.created_at[:19].replace("T", " ") + " UTC"
    yield "took", span(took(run))
    source = str((run.compilation or {}).get("kind", ""))
    yield "compiled", joined(part for part in (source, span(run.compile_seconds)) if part)
    yield from (("weights", run.saved_model_path or ""), ("size", decimal(run.size_bytes) if run.size_bytes else ""))
    yield from (("notes", run.notes or ""), ("resumed from", run.resumed_from or ""))
    if run.resumable:
        yield "resume", f"lamina resume {run.short}"


def network_of(run: Run) -> str:
    """The types of its layers, in order."""
    layers = (run.architecture or {}).get("layers") or []
    words = [
        str(layer.get("type", "?")) + "".join(f" {layer[key]}" for key in SIZES if key in layer) for layer in layers
    ]
    return joined(words)


SIZES = ("out", "units", "out_channels", "filters", "out_features")  # what tells layers of one type apart


def words_of(values: Mapping[str, Any], before: str = "") -> str:
    """Nested values as `name value`, with commas."""
    parts = []
    for name, value in values.items():
        inner = isinstance(value, Mapping)
        parts.append(words_of(value, f"{before}{name}.") if inner else f"{before}{name} {number(value)}")
    return joined(parts)


def said(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values without those that ask for nothing: null, and empty lists."""
    inner = {name: said(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    return {name: value for name, value in inner.items() if value is not None and value != []}


def singles(metrics: Mapping[str, Any] | None) -> dict[str, float]:
    """Those of some metrics that are single numbers."""
    return {name: value for name, value in (metrics or {}).items() if isinstance(value, int | float)}


def tables_of_epochs(run: Run) -> Iterator[Table]:
    """The last epochs of a run, and its best; then the metrics that it was asked for, as far as they are numbers."""
    best = run.best.epoch if run.best else 0
    chosen = [metric for metric in run.metrics[:-EPOCHS] if metric.epoch == best] + run.metrics[-EPOCHS:]
    styles = ["bold" if metric.epoch == best else "" for metric in chosen]
    made = to_the_right("epoch", "train loss", "val loss", "train acc", "val acc", "samples/s", "time")
    for metric, style in zip(chosen, styles, strict=True):
        losses = (f"{metric.train_loss:.4g}", f"{metric.val_loss:.4g}")
        accuracies = (percent(metric.train_accuracy), percent(metric.val_accuracy))
        speed = (f"{metric.samples_per_sec:,.0f}", span(metric.epoch_time))
        made.add_row(*(Text(each, style=style) for each in (str(metric.epoch), *losses, *accuracies, *speed)))
    yield made
    told = [singles(metric.metrics) for metric in chosen]
    asked = list(dict.fromkeys(name for each in told for name in each if name != "accuracy"))
    for names in lines_of_names(asked):
        made = to_the_right("epoch", *names)
        for metric, values, style in zip(chosen, told, styles, strict=True):
            beside = (number(values[name]) if name in values else "-" for name in names)
            made.add_row(*(Text(each, style=style) for each in (str(metric.epoch), *beside)))
        yield made


def to_the_right(*columns: str) -> Table:
    return table(*columns, right=columns)


def lines_of_names(names: Sequence[str]) -> Iterator[list[str]]:
    """As many at a time as stand in a line of a terminal."""
    line: list[str] = []
    for name in names:
        if line and sum(map(len, line)) + 2 * len(line) + len(name) > METRICS_WIDE:
            yield line
            line = []
        line.append(name)
    if line:
        yield line


def models(client: Client, *, limit: int | None, as_json: bool, ids_only: bool) -> int:
    """Lists models; `limit` 0 for all, None for some in a table and all for programs."""
    if as_json:
        say_json({"models": [model.json for model in client.models(limit=limit or None)]})
    elif ids_only:
        print_lines(model.model_id for model in client.models(limit=limit or None))
    else:
        most = SOME if limit is None else limit
        found = list(client.models(limit=most + 1 if most else None))
        out = screen()
        if found:
            out.show(table_of_models(found[: most or None]))
        else:
            out.print("No models.")
        if most and len(found) > most:
            print(f"There are more than these {most}; --limit 0 lists all.", file=sys.stderr)
    return exits.OK


def table_of_models(listed: Iterable[Model]) -> Table:
    """Models as rows."""
    made = table(
        "model", "name", "trained", "promoted run", "runs", "best test", "age", right=("runs", "best test", "age")
    )
    for model in listed:
        saved = (model.saved_run_id or "")[:10]
        row: list[RenderableType] = [
            cell(model.short),
            Name(model.name),
            cell("yes" if model.trained else "no"),
            cell(saved),
        ]
        row += [cell(model.runs_total), cell(percent(model.highest_accuracy))]
        made.add_row(*row, cell(span(seconds_between(model.created_at) if model.created_at else None)))
    return made
