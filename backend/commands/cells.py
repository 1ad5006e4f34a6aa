"""What a benchmark found, as people read it in a terminal: a table of its cells, and what they have to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from backend.commands.telling import Name, Screen, cell, printable, table

GAP = 2  # columns between two of a table
NAMED = 24  # columns that names of networks and machines get at least, where they are as long
UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

Found = Mapping[str, Any]  # a cell of `results.json`


@dataclass(frozen=True)
class Column:
    """Figures of all cells. about: what they are, for below the table. shown: them as texts, from all of them."""

    head: str
    about: str
    of: Callable[[Found], float | None]
    shown: Callable[[Sequence[float | None]], list[str]]


def aligned(values: Sequence[float | None], digits: int = 2) -> list[str]:
    """Numbers with equally many decimals: so many that the smallest has this many digits."""
    known = [abs(value) for value in values if value]
    decimals = max(0, digits - 1 - floor(log10(min(known)))) if known else 0
    return ["" if value is None else f"{value:,.{min(decimals, 6)}f}" for value in values]


def whole(values: Sequence[float | None]) -> list[str]:
    return ["" if value is None else f"{value:,.0f}" for value in values]


def shares(values: Sequence[float | None]) -> list[str]:
    known = aligned([None if value is None else 100 * value for value in values])
    return [each and f"{each} %" for each in known]


def intervals(values: Sequence[float | None]) -> list[str]:
    return ["" if value is None else f"±{100 * value:.1f} %" for value in values]


def prefixed(values: Sequence[float | None]) -> list[str]:
    """Large numbers, each with three digits and a letter."""
    return ["" if value is None else short(value) for value in values]


def short(value: float) -> str:
    """`174 G`."""
    size, letter = next((unit for unit in UNITS if value >= unit[0]), (1.0, ""))
    return f"{value / size:.3g} {letter}".strip()


def at(*names: str, times: float = 1.0) -> Callable[[Found], float | None]:
    """A figure inside a cell, in another unit; None where there is none."""

    def of(found: Found) -> float | None:
        value: Any = found
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return None if value is None else times * value

    return of


def half_width(found: Found) -> float | None:
    """Of the interval of the median, the longer side as a share of it; None for one repeat, which has no interval."""
    speed = found.get("samples_per_second")
    if not speed or len(speed["values"]) < 2:
        return None
    return float(max(speed["high"] - speed["median"], speed["median"] - speed["low"]) / speed["median"])


# In the order in which they are left out where a terminal is narrow, the last first.
COLUMNS = (
    Column("samples/s", "trained in a second, the median of the repeats", at("samples_per_second", "median"), aligned),
    Column("95 %", "half of the interval of that median", half_width, intervals),
    Column("step ms", "a training step, median", at("step_seconds", "p50", times=1e3), aligned),
    Column("FLOP/s", "operations of the network", at("model_flops_per_second"), prefixed),
    Column("of peak", "share of the measured peak of a matrix product", at("utilization", "measured"), shares),
    Column("compile s", "all programs anew", at("compile_seconds", "cold"), aligned),
    Column("answer ms", "to one sample, median", at("inference", "latency_p50", times=1e3), aligned),
    Column("MB", "most memory in use", at("peak_memory", "bytes", times=1e-6), whole),
)
TARGET = Column("target s", "training to the accuracy asked for", at("target", "seconds"), aligned)


def show(console: Screen, results: Mapping[str, Any]) -> None:
    """A table of the cells, what its columns are, and what a reader has to know."""
    cells: Sequence[Found] = results.get("cells") or ()
    if cells:
        show_cells(console, cells, several=len({found["machine"] for found in cells}) > 1)
    for parity in results.get("parity") or ():
        if not parity["within"]:
            found, allowed = parity["largest_difference"], parity["tolerance"]
            what = f"{parity['compared']} against {parity['reference']}, {parity['body']}, batch {parity['batch_size']}"
            say(console, f"losses differ: {what}: by {found:.2g}, and {allowed:g} is allowed")
    for warning in results.get("warnings") or ():
        say(console, f"warning: {warning}")


def say(console: Screen, sentence: str) -> None:
    console.print(Text(printable(sentence), style="yellow"), soft_wrap=not console.is_terminal)


def show_cells(console: Screen, cells: Sequence[Found], *, several: bool) -> None:
    """The table. several: machines, which are named then."""
    heads = ["network", *(["machine"] if several else []), "device", "precision", "batch"]
    texts = [words_of(found, several=several) for found in cells]
    columns = [*COLUMNS[:2], TARGET, *COLUMNS[2:]] if any(found.get("target") for found in cells) else [*COLUMNS]
    figures = [figures_of(column, cells) for column in columns]
    wanted = [max(cell_len(head), *(cell_len(text[place]) for text in texts)) for place, head in enumerate(heads)]
    room = console.width - sum(GAP + min(width, NAMED) for width in wanted)
    wide = [GAP + max(cell_len(column.head), *map(len, shown)) for column, shown in zip(columns, figures, strict=True)]
    while len(columns) > 2 and sum(wide) > room + GAP:
        for each in (columns, figures, wide):
            each.pop()
    figured = [column.head for column in columns]
    made = table(*heads, *figured, right=("batch", *figured))
    if sum(wide) + sum(wanted) + GAP * len(wanted) > console.width + GAP:
        for each_name in made.columns[: len(heads) - 3]:
            each_name.max_width = NAMED
    for place, text in enumerate(texts):
        names: list[RenderableType] = [Name(each) for each in text[:-3]]
        made.add_row(*names, *map(cell, text[-3:]), *(cell(shown[place]) for shown in figures))
    console.show(made)
    about = "; ".join(f"{column.head}: {column.about}" for column in columns)
    console.print(Text(about, style="dim"), soft_wrap=not console.is_terminal)


def words_of(found: Found, *, several: bool) -> list[str]:
    """What a cell is called by, a word for each of the first columns."""
    machine = [str(found["machine"])] if several else []
    return [str(found["body"]), *machine, str(found["device"]), str(found["precision"]), str(found["batch_size"])]


def figures_of(column: Column, cells: Sequence[Found]) -> list[str]:
    """A column, with a word where there is no figure for a reason that is told below."""
    shown = column.shown([column.of(found) for found in cells])
    if column.head == COLUMNS[0].head:
        return [text or "failed" for text in shown]
    if column is TARGET:
        return [text or ("missed" if found.get("target") else "") for text, found in zip(shown, cells, strict=True)]
    return shown


def line(found: Found) -> str:
    """A cell after one of its repeats, or after training to a target, where nobody sees a bar."""
    speed, target = found.get("samples_per_second"), found.get("target")
    told = str(found.get("error") or "")
    if not told and target:
        missed = f"{target['accuracy']:g} was missed, the best was {target['best']:.4g}"
        reached = f"{target['accuracy']:g} in {target['seconds'] or 0:.3g} s, epoch {target['epoch']}"
        told = missed if target["seconds"] is None else reached
    elif not told and speed:
        told = f"repeat {found['repeats']}: {speed['values'][-1]:,.0f} samples/s"
    return printable(f"{where(found)}: {told}")


def where(found: Found) -> str:
    """A cell in words."""
    return f"{found['body']}, {found['device']}, {found['precision']}, batch {found['batch_size']}"
