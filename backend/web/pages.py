"""Long lists in pages: newest first, each ended by a number of items or of bytes, with a cursor to the next."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from flask import Response

Record = TypeVar("Record")

PAGE_BYTES = 8 << 20  # a longer page ends here, and goes on behind its cursor: so much memory an answer takes


@dataclass(frozen=True)
class Page:
    """Items as JSON. `next`: what to send as `before` for those that follow; None at the end."""

    items: list[msgspec.Raw]
    next: int | None


def page(found: Generator[tuple[int, Record]], show: Callable[[Record], object], *, limit: int) -> Page:
    """The first `limit` of `found`, or fewer where they are long, each as `show` has it. They come with their cursors.

    The store is left at once, not when the last name of `found` is gone.
    """
    items: list[msgspec.Raw] = []
    size, last = 0, None
    with closing(found):
        for cursor, item in found:
            encoded = msgspec.json.encode(show(item))
            size += len(encoded)
            if items and (len(items) == limit or size > PAGE_BYTES):
                return Page(items, last)
            items.append(msgspec.Raw(encoded))
            last = cursor
    return Page(items, None)


def json_answer(value: object) -> Response:
    """A response of what may hold pages. All numbers in the store are finite."""
    return Response(msgspec.json.encode(value) + b"\n", mimetype="application/json")
