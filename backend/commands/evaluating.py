"""`lamina evaluate`: how good kept weights are on a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from backend.client import Client, Evaluated, NotFound
from backend.client.evaluation_calls import Split
from backend.commands import exits
from backend.commands.asking import class_names
from backend.commands.telling import cell, number, percent, say_json, screen, span, table

MODEL = "m_"  # how ids of models begin, unless somebody has chosen them


def evaluate(
    client: Client,
    named: str,
    *,
    dataset: str | None,
    split: Split,
    metrics: Sequence[str],
    max_samples: int | None,
    as_json: bool,
) -> int:
    """Evaluates a run, or a model where no run is called so."""
    wish: dict[str, Any] = {"dataset": dataset, "split": split, "max_samples": max_samples}
    found = client.evaluate(**asked(client, named), metrics=list(metrics) or None, **wish)
    if as_json:
        say_json(found.json)
        return exits.OK
    out = screen()
    made = table("", "value", right=("value",))
    for name, value in figures(found):
        made.add_row(cell(name), cell(value))
    out.show(made)
    names = class_names(client, found.dataset_type)
    for heading, rows in by_class(found):
        out.print()
        out.show(table_of_classes(heading, rows, names))
    for warning in found.warnings:
        out.print(Text(warning, style="yellow"))
    return exits.OK


def asked(client: Client, named: str) -> dict[str, Any]:
    """Which network a name stands for, by its id: that of a run, else of a model."""
    if named.startswith(MODEL):
        return {"model": client.model_id(named)}
    try:
        return {"run": client.run_id(named)}
    except NotFound:
        return {"model": client.model_id(named)}


def figures(found: Evaluated) -> Iterator[tuple[str, str]]:
    """The single values, a line each."""
    yield from (("run", found.run_id), ("samples", f"{found.samples:,} of {found.dataset_type}, {found.split}"))
    yield "accuracy", percent(found.accuracy)
    yield "most frequent class", percent(found.baseline_accuracy)
    yield "loss", "" if found.loss is None else number(found.loss)
    for name, value in found.metrics.items():
        if not isinstance(value, list) and name != "accuracy":
            yield name, "-" if value is None else number(value)
    yield "took", span(found.seconds)


Columns = dict[str, list[Any]]


def by_class(found: Evaluated) -> Iterator[tuple[str, Columns]]:
    """Tables of a row for each class: what each has a value of, and which it was taken for."""
    lists = {name: value for name, value in found.metrics.items() if isinstance(value, list)}
    each = {name.removesuffix("_per_class"): value for name, value in lists.items() if name.endswith("_per_class")}
    if each:
        yield "class", each
    for rows in lists.values():
        if rows and isinstance(rows[0], list):
            yield "class, taken for", {str(place): list(column) for place, column in enumerate(zip(*rows, strict=True))}


def table_of_classes(heading: str, columns: Columns, names: Sequence[str]) -> Any:
    """A row for each class, by its name."""
    numbered = all(name.isdecimal() for name in columns)
    heads = [names[int(name)] if numbered and int(name) < len(names) else name for name in columns]
    made = table(heading, *heads, right=heads)
    for place, row in enumerate(zip(*columns.values(), strict=True)):
        name = names[place] if place < len(names) else str(place)
        made.add_row(cell(name), *(cell("-" if value is None else number(value)) for value in row))
    return made
