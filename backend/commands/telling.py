"""How commands that speak to a server begin and end: a client, one sentence for what goes wrong, an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import Any, Literal, NoReturn

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from backend.client import Ambiguous, Client, Conflict, LaminaError, NotFound, Run, TimedOut, Unreachable, Unusable
from backend.commands import exits

WIDE = 10_000  # columns where nobody looks: nothing is cut off in a pipe
STYLES = {
    "interrupted": "yellow",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "queued": "dim",
}
CODES: dict[type[LaminaError], int] = {
    Unreachable: exits.NO_SERVER,
    NotFound: exits.NOT_FOUND,
    TimedOut: exits.TIMED_OUT,
    Unusable: exits.USAGE,
    Ambiguous: exits.USAGE,
}


class Screen(Console):
    """A console on which a pipe that is closed early is told as such, and ends the command quietly."""

    def show(self, made: Table) -> None:
        """Prints a table; where programs read, without blanks at the ends of lines."""
        if self.is_terminal:
            self.print(made)
            return
        with self.capture() as caught:
            self.print(made)
        self.file.write("".join(f"{line.rstrip()}\n" for line in caught.get().splitlines()))

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def screen(*, stderr: bool = False) -> Screen:
    """Where people read, as wide as the terminal; where programs do, as wide as it takes."""
    stream = sys.stderr if stderr else sys.stdout
    wide = None if stream.isatty() or os.environ.get("COLUMNS") else WIDE
    return Screen(stderr=stderr, highlight=False, width=wide, emoji=False, markup=False)


def spoken(command: Callable[[Client], int], *, url: str | None, token: str | None, as_json: bool) -> int:
    """Runs a command on a client. What goes wrong is told on standard error, as JSON where the answer would be."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # of names that a terminal of another alphabet does not have
    try:
        return command(Client(url, token))
    except LaminaError as problem:
        complain(problem, as_json=as_json)
        return code_of(problem)


def code_of(problem: LaminaError) -> int:
    """The exit code of a command that ends with this."""
    return next((code for kind, code in CODES.items() if isinstance(problem, kind)), exits.FAILED)


def complain(problem: LaminaError, *, as_json: bool = False) -> None:
    """Tells a problem: every place of a body that is wrong, and the cure where the command line has one."""
    if as_json:
        places = problem.json.get("errors", [])
        print(json.dumps({"error": problem.message, "status": problem.status, "errors": places}), file=sys.stderr)
        return
    lines = [problem.message]
    if len(problem.problems) > 1:
        lines = [f"{len(problem.problems)} problems:", *(f"  {each}" for each in problem.problems)]
    print(f"lamina: {os.linesep.join(lines + cures(problem))}", file=sys.stderr)


def cures(problem: LaminaError) -> list[str]:
    """What to type instead."""
    if "CERTIFICATE_VERIFY_FAILED" in problem.message:
        return ["REQUESTS_CA_BUNDLE names a file of certificates to trust"]
    if isinstance(problem, Unreachable):
        return ["`lamina serve` starts a server here; --url or LAMINA_URL names another"]
    if isinstance(problem, Conflict) and '"queue": true' in problem.message:
        return ["--queue lets it wait in line"]
    if isinstance(problem, Conflict) and '"resume_from": ' in problem.message:
        return ["here: echo '{}' | lamina train - --set resume_from=RUN_ID --set hyperparams.epochs=MORE"]
    if problem.status == 401:
        return ["--token or LAMINA_TOKEN gives the token"]
    return []


def say_json(value: object) -> None:
    """One object on one line, at once."""
    print(json.dumps(value, allow_nan=False), flush=True)


NARROW = 8  # columns that a name has at least
LOOSE = ("name", "tags", "promoted run")  # columns that give way where there is no room


def table(*columns: str, right: Sequence[str] = (), loose: Sequence[str] = LOOSE) -> Table:
    """An empty table; numbers go to the right."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, header_style="bold")
    for column in columns:
        least = NARROW if column == "name" else None
        side: Literal["left", "right"] = "right" if column in right else "left"
        made.add_column(column, justify=side, no_wrap=column not in loose, min_width=least)
    return made


def cell(text: object, *, style: str = "") -> Text:
    """A cell that is cut off where there is no room, never wrapped."""
    return Text(printable(str(text)), style=style, no_wrap=True, overflow="ellipsis")


class Name:
    """A name in a cell: where there is no room it is cut before its number, by which names of equal networks differ."""

    def __init__(self, name: str) -> None:
        self.name = printable(name).replace("\n", " ")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = cell_len(self.name)
        return Measurement(min(width, NARROW), width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.within(options.max_width), no_wrap=True, overflow="ellipsis")

    def within(self, width: int) -> str:
        """The name in `width` columns."""
        start, sign, number = self.name.rpartition(" #")
        room = width - cell_len(f"… #{number}")
        if cell_len(self.name) <= width or not sign or not number.isdigit() or room < 1:
            return self.name
        return f"{set_cell_size(start, room).rstrip()}… #{number}"


def printable(text: str) -> str:
    """Text that moves no cursor and changes no colour, whatever somebody has called a run."""
    return "".join(
        character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def state_of(run: Run) -> Text:
    """The state of a run in its colour."""
    return Text("cancelling" if run.cancelling else run.state, style=STYLES.get(run.state, ""), no_wrap=True)


def percent(fraction: float | None) -> str:
    """Such as 97.1 %; nothing for None."""
    return "" if fraction is None else f"{100 * fraction:.1f} %"


def number(value: Any) -> str:
    """A value of a record, short."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def seconds_between(start: str | None, end: str | None = None) -> float | None:
    """Seconds from one time of a record to another, or to now; None where there is no start."""
    if not start:
        return None
    last = datetime.fromisoformat(end) if end else datetime.now(UTC)
    return max(0.0, (last - datetime.fromisoformat(start)).total_seconds())


def span(seconds: float | None) -> str:
    """A duration in its largest unit, such as 42s, 5m, 3h or 12d."""
    if seconds is None:
        return ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    if seconds < 1:
        return f"{1000 * seconds:.0f}ms"
    return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"


def joined(words: Iterable[str]) -> str:
    """Words with commas."""
    return ", ".join(words)
