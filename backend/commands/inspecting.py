"""`lamina inspect`: what a network costs before it trains, as a table; asked here, or of a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from backend.client import Client
from backend.client.overrides import body_of
from backend.commands import exits
from backend.commands.following import typed_body
from backend.commands.telling import Screen, cell, printable, say_json, screen, table
from backend.state.files import CALIBRATION_FOLDER

Json = Mapping[str, Any]
WIDE = 110  # columns from which on the options and what computes a layer have room
UNITS = ("", "k", "M", "G", "T", "P")


def inspect_here(file: str, state_dir: Path, *, as_json: bool) -> int:
    """Inspects a body in a file, or on standard input for "-", without a server."""
    import psutil

    import nets
    from nets.calibration.calibration import kept
    from nets.process.devices import by_name

    measured = {name: kept(state_dir / CALIBRATION_FOLDER, device) for name, device in by_name().items()}
    known = {name: calibration for name, calibration in measured.items() if calibration}
    body, available = read(file), int(psutil.virtual_memory().available)
    return say({**nets.inspect(body, calibrations=known, available=available)}, as_json=as_json)


def inspect_there(client: Client, file: str | None, model: str | None, *, as_json: bool) -> int:
    """Asks a server, which knows its stored models and what it has measured."""
    body = {**(read(file) if file else {}), **({"model_id": client.model_id(model)} if model else {})}
    return say(client.inspect(body).json, as_json=as_json)


def read(file: str) -> Json:
    """The body in a file, or on standard input."""
    return typed_body() if file == "-" else body_of(file)


def say(found: Json, *, as_json: bool) -> int:
    """Prints it; the exit code says whether it can be trained."""
    if as_json:
        say_json(found)
    else:
        out = screen()
        if found["layers"]:
            out.show(rows_of(found, wide=out.width >= WIDE))
            out.print()
        say_totals(out, found)
        say_sentences(out, found)
    return exits.OK if found["valid"] else exits.FAILED


def rows_of(found: Json, *, wide: bool) -> Table:
    """A row for each layer; what computes it where there is room."""
    numbers = ("params", "MACs", "memory")
    made = table("layer", "output", *numbers, *(("by",) if wide else ()), right=numbers)
    computed = by_layer(found)
    for row in found["layers"]:
        shape, params = row["output_shape"], row["params"]
        costs = ("" if params is None else f"{params:,}", number_of(row["macs"]), size_of(row["activation_bytes"]))
        style = "" if shape else "dim"
        made.add_row(
            cell(name_of(row), style=style),
            cell(" x ".join(map(str, shape)) if shape else "?", style=style),
            *map(cell, costs),
            *((cell(computed.get(row["name"], "")),) if wide else ()),
        )
    return made


def by_layer(found: Json) -> dict[str, str]:
    """What computes each layer in training, in a word or two."""
    told = {}
    for form in (found["kernels"] or {}).get("training", ()):
        first, word = form["layers"][0], form["algorithm"] or form["form"]
        loop = f", loop of {form['loop']}" if form["loop"] else ""
        for name in form["layers"]:
            told[name] = f"{word}{loop}" if name == first else f"with {first.rpartition('.')[2]}"
    return told


def name_of(row: Json) -> str:
    """What a layer is called, with its type where the name does not begin with it."""
    name, kind = row["name"], row["type"] or "no type"
    plain = row["part_of"] or name.rpartition(".")[2].startswith(kind)
    return str(name) if plain else f"{name} ({kind})"


def say_totals(out: Screen, found: Json) -> None:
    """What is summed up, below the rows."""
    totals = found["totals"]
    lines: list[tuple[str, str]] = []
    if found["layers"]:
        flops = f"{number_of(totals['flops_forward'])}FLOP a sample forward"
        if totals["flops_train_step"] is not None:
            flops += f", {number_of(totals['flops_train_step'])}FLOP a step of {totals['batch']}"
        lines += [("parameters", f"{totals['params']:,}"), ("operations", flops)]
    if memory := found["memory"]:
        parts = ", ".join(f"{name} {decimal(size)}" for name, size in memory.items() if name not in IN_ALL)
        lines.append(("memory", f"{decimal(memory['total'])}: {parts}; at most {decimal(memory['at_most'])}"))
        if memory["process"]:
            lines.append(("", f"{decimal(memory['peak'])} with what the process has already"))
    for device, told in found["predicted"].items():
        compiling, epoch, total = (duration(told[name]) for name in ("compile_seconds", *PER_RUN))
        share = f"within {100 * told['error']:.0f} %"
        lines.append((device, f"{epoch} an epoch ({share}), {compiling} {HOW[told['programs']]}, {total} in all"))
        lines.append(("", f"by {told['basis']}"))
    print_pairs(out, lines)


IN_ALL = ("total", "process", "peak", "at_most")
PER_RUN = ("seconds_per_epoch", "total_seconds")
HOW = {
    "cold": "to compile",
    "disk": "to read kept programs",
    "process": "to compile, its programs being in use already",
}


def print_pairs(out: Screen, lines: Iterable[tuple[str, str]]) -> None:
    """Names and what they are, side by side, long ones wrapped below themselves."""
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True, style="bold")
    made.add_column()
    for name, text in lines:
        made.add_row(Text(name), Text(printable(text)))
    if made.row_count:
        out.show(made)


def say_sentences(out: Screen, found: Json) -> None:
    """Problems, or that there are none, and warnings."""
    for sentence, style in sentences(found):
        out.print(Text(printable(sentence), style=style))


def sentences(found: Json) -> Iterator[tuple[str, str]]:
    problems = found["problems"]
    if problems:
        yield f"\n{len(problems)} problem{'s' * (len(problems) > 1)}: it cannot be trained so.", "bold red"
    for each in problems:
        yield f"{each['pointer'] or 'body'}: {each['detail']}", "red"
    if found["warnings"]:
        yield "\nWarnings", "bold yellow"
    for each in found["warnings"]:
        yield f"{each['path']}: {each['reason']}; {each['cure']}", "yellow"


def number_of(count: int | None) -> str:
    """A count in thousands, such as `3.61 M`, with a blank at its end for a unit."""
    if count is None:
        return ""
    value, power = float(count), 0
    while value >= 999.5 and power < len(UNITS) - 1:
        value, power = value / 1000, power + 1
    return f"{count} " if power == 0 else f"{value:.3g} {UNITS[power]}"


def size_of(size: int | None) -> str:
    return "" if size is None else decimal(size)


def duration(seconds: float) -> str:
    """`43 ms`, `1.2 s`, `12 min`, `3.5 h`."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
