"""`lamina benchmarks`, and `lamina bench` on a server: benchmarks followed, listed, and their results as files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from backend.client import Benchmark, Client, Conflict, Event, TimedOut
from backend.client.benchmark_calls import Report
from backend.commands import cells, exits
from backend.commands.bodies import asked_body
from backend.commands.listing import print_lines
from backend.commands.telling import STYLES, Name, cell, printable, say_json, screen, seconds_between, span, table

SOME = 30  # of a list, where people read
FILES: Mapping[Report, str] = {"json": "results.json", "csv": "results.csv", "html": "report.html"}
CODES = {"succeeded": exits.OK, "cancelled": exits.CANCELLED}


def bench(client: Client, bodies: Sequence[str], fields: Mapping[str, Any], *, out: Path | None, as_json: bool) -> int:
    """Has a server measure, and waits for it. Ctrl-C leaves it measuring, and says how it is followed and ended."""
    started = client.bench(
        [asked_body(item) for item in bodies], **{name: value for name, value in fields.items() if value}
    )
    if not as_json:
        place = f", place {started.queue_position} in the queue" if started.queue_position else ""
        count = f"{started.cells_total} cell{'s' * (started.cells_total != 1)}"
        screen().print(printable(f"{started.benchmark_id}  {started.name}, {count}{place}"))
    return follow(client, started.benchmark_id, out=out, as_json=as_json)


def follow(client: Client, benchmark: str, *, out: Path | None, as_json: bool) -> int:
    """Waits for the end of a benchmark, with a bar, and tells what was measured."""
    benchmark_id = client.benchmark_id(benchmark)
    try:
        with showing(quiet=as_json) as show:
            found = client.wait_for_benchmark(benchmark_id, on_event=show)
    except (KeyboardInterrupt, TimedOut):
        short = benchmark_id[:10]
        cures = f"`lamina benchmarks {short} --follow` waits again, `lamina benchmarks {short} --cancel` ends it."
        print(f"\n{short} goes on. {cures}", file=sys.stderr)
        raise
    return tell(client, found, out=out, as_json=as_json)


def show(client: Client, benchmark: str, *, out: Path | None, as_json: bool) -> int:
    """One benchmark, with what it has measured so far."""
    tell(client, client.benchmark(benchmark), out=out, as_json=as_json)
    return exits.OK


def cancel(client: Client, benchmark: str, *, as_json: bool) -> int:
    """Ends a benchmark; what it has measured stays."""
    benchmark_id = client.benchmark_id(benchmark)
    client.cancel_benchmark(benchmark_id)
    say_json({"benchmark_id": benchmark_id, "state": "cancelling"}) if as_json else print(f"{benchmark_id} cancelling")
    return exits.OK


def delete(client: Client, benchmark: str, *, as_json: bool) -> int:
    """Deletes a benchmark with all that it measured."""
    benchmark_id = client.benchmark_id(benchmark)
    client.delete_benchmark(benchmark_id)
    say_json({"benchmark_id": benchmark_id, "deleted": True}) if as_json else print(f"{benchmark_id} deleted")
    return exits.OK


def benchmarks(client: Client, *, limit: int | None, as_json: bool, ids_only: bool) -> int:
    """Lists benchmarks; `limit` 0 for all, None for some in a table and all for programs."""
    if as_json:
        say_json({"benchmarks": [each.json for each in client.benchmarks(limit=limit or None)]})
    elif ids_only:
        print_lines(each.benchmark_id for each in client.benchmarks(limit=limit or None))
    else:
        most = SOME if limit is None else limit
        found = list(client.benchmarks(limit=most + 1 if most else None))
        say_benchmarks(found[: most or None], more=bool(most) and len(found) > most)
    return exits.OK


def say_benchmarks(listed: Sequence[Benchmark], *, more: bool) -> None:
    """Benchmarks as a table. `more`: there are others."""
    out = screen()
    if not listed:
        out.print("No benchmarks.")
        return
    made = table("benchmark", "name", "state", "cells", "took", "age", right=("cells", "took", "age"))
    for each in listed:
        state = f"{each.state} {each.queue_position}" if each.queue_position else each.state
        took = span(seconds_between(each.started_at, each.completed_at)) if each.started_at else ""
        row: list[RenderableType] = [cell(each.short), Name(each.name), Text(state, style=STYLES.get(each.state, ""))]
        made.add_row(*row, cell(f"{each.cells_measured}/{each.cells_total}"), cell(took), cell(age(each)))
    out.show(made)
    if more:
        print(f"There are more than these {len(listed)}; --limit 0 lists all.", file=sys.stderr)


def age(benchmark: Benchmark) -> str:
    return span(seconds_between(benchmark.created_at))


def tell(client: Client, found: Benchmark, *, out: Path | None, as_json: bool) -> int:
    """How a benchmark stands and what it has measured, in a table or as files in `out`; the exit code of its state."""
    if as_json:
        say_json(found.json)
    else:
        console = screen()
        console.print(Text(f"{found.short}  {found.name}  ").append(found.state, style=STYLES.get(found.state, "")))
        for warning in found.warnings:
            cells.say(console, f"warning: {warning}")
        cells.show(console, found.results or {})
        if found.error:
            console.print(found.error, soft_wrap=True)
    if out is not None:
        write(client, found, out)
    return CODES.get(found.state, exits.FAILED)


def write(client: Client, found: Benchmark, out: Path) -> None:
    """The files of what was measured."""
    out.mkdir(parents=True, exist_ok=True)
    for form, name in FILES.items():
        try:
            (out / name).write_bytes(client.benchmark_report(found, form))
        except Conflict as problem:  # nothing has been measured
            print(f"lamina: {problem.message}", file=sys.stderr)
            return
    print(f"{out}/{', '.join(FILES.values())}", file=sys.stderr)


@contextmanager
def showing(*, quiet: bool) -> Iterator[Callable[[Event], None]]:
    """Yields what shows one event: a bar on a terminal, lines elsewhere."""
    out = screen(stderr=True)
    if quiet or not out.is_terminal:
        yield lambda event: None if quiet else say(event)
        return
    columns = TextColumn("{task.description}"), BarColumn(30), TaskProgressColumn(), TextColumn("{task.fields[left]}")
    with Progress(*columns, console=out) as progress:
        task = progress.add_task("waiting", total=1.0, left="")

        def move(event: Event) -> None:
            if event.name == "progress":
                seconds = event.data.get("seconds_left")
                left = "" if seconds is None else f"{span(seconds)} left"
                words = cells.where(event.data["cell"]) if "cell" in event.data else event.data.get("message", "")
                progress.update(task, completed=event.data["fraction"], description=printable(words), left=left)

        yield move


def say(event: Event) -> None:
    """An event as a line."""
    if event.name == "cell":
        print(cells.line(event.data["cell"]), file=sys.stderr, flush=True)
    elif event.name == "state":
        place = event.data.get("queue_position")
        print(f"{event.data['state']}{f', place {place}' if place else ''}", file=sys.stderr, flush=True)
    elif event.name == "log":
        print(printable(event.data["message"]), file=sys.stderr, flush=True)
