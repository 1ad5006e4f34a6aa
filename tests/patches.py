"""JSON Patch, as a client applies the fixes of problems. RFC 6902."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any


def applied(changes: Sequence[dict[str, Any]], document: Any) -> Any:
    """A copy of a document with the changes; KeyError or IndexError where one cannot be made."""
    document = copy.deepcopy(document)
    for change in changes:
        put = change.get("value")
        if change["op"] == "move":
            put = taken(document, change["from"])
        if change["op"] == "remove":
            taken(document, change["path"])
        else:
            place(document, change["path"], put, new=change["op"] != "replace")
    return document


def parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def parent(document: Any, pointer: str) -> tuple[Any, Any]:
    *way, last = parts(pointer)
    for part in way:
        document = document[int(part) if isinstance(document, list) else part]
    return document, int(last) if isinstance(document, list) else last


def taken(document: Any, pointer: str) -> Any:
    around, last = parent(document, pointer)
    return around.pop(last)


def place(document: Any, pointer: str, value: Any, *, new: bool) -> None:
    around, last = parent(document, pointer)
    if isinstance(around, list) and new:
        around.insert(last, value)
    else:
        assert new or around[last] is not ...  # what is replaced is there
        around[last] = value
