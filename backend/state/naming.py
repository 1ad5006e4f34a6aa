"""Generated names: those that repeat are numbered, inside the transaction that writes them down."""

from __future__ import annotations

import re
import sqlite3

from backend.state.rows import Table
from backend.state.tables import KEY

LONGEST = 190  # characters before the number: a name has 200


def numbered(
    connection: sqlite3.Connection, table: Table, base: str, *, model_id: str | None = None, but: str | None = None
) -> str:
    """`base` if it is free, else `base #2`, `base #3`: the number after the highest that is taken.

    model_id: of runs, only those of this model count. but: the id of the record that is named, which does not count.
    """
    base = base[:LONGEST]
    same = "(name = :base OR (name >= :base || ' #' AND name < :base || ' $'))"  # '$' comes after '#'
    of_model = "model_id = :model_id AND " if model_id is not None else ""
    # The id is looked up only where one is left out: the index has the names alone.
    other = f" AND {KEY[table]} <> :but" if but is not None else ""
    values = {"base": base, "model_id": model_id, "but": but}
    names = [row[0] for row in connection.execute(f"SELECT name FROM {table} WHERE {of_model}{same}{other}", values)]
    if base not in names:
        return base
    ending = re.compile(rf"{re.escape(base)} #([0-9]{{1,9}})")
    numbers = [int(found[1]) for name in names if (found := ending.fullmatch(name))]
    return f"{base} #{max([1, *numbers]) + 1}"
