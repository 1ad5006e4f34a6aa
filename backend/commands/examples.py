"""`lamina examples`: public networks on a terminal, and the body of one for `lamina train -`."""

from __future__ import annotations

import difflib
import sys

from backend.commands import exits
from backend.commands.telling import cell, percent, say_json, screen, table
from nets import examples


def list_all(*, as_json: bool) -> int:
    """Prints every network, by what it is trained on. Returns the exit code."""
    if as_json:
        say_json({"examples": examples.networks()})
        return exits.OK
    numbers = ("parameters", "claimed", "measured")
    made = table("name", "data", *numbers, "title", right=numbers, loose=("title",))
    for each in examples.networks():
        measured = each["measured"] and each["measured"]["accuracy"]
        shares = (percent(each["claim"]["accuracy"]), percent(measured))
        made.add_row(each["name"], each["data"], f"{each['parameters']:,}", *shares, cell(each["title"]))
    console = screen()
    console.show(made)
    console.print(
        "`lamina examples NAME | lamina train -` trains one; --json tells sources, recipes, and what differs."
    )
    return exits.OK


def show(name: str, *, as_json: bool) -> int:
    """Prints the body of one of them, or all that is known of it. Returns the exit code."""
    if name not in examples.names():
        near = difflib.get_close_matches(name, examples.names(), 1)
        cure = f"did you mean {near[0]}?" if near else "`lamina examples` lists the known ones"
        print(f'lamina: there is no example "{name}"; {cure}', file=sys.stderr)
        return exits.NOT_FOUND
    found = examples.network(name)
    if as_json:
        say_json(found)
    else:
        print(examples.written(found["body"]))
    return exits.OK
