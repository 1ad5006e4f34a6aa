"""Words in pictures: names of any length and alphabet, and numbers that fit on an axis."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from math import isfinite

ELLIPSIS = "…"
SPANS = ((1, "s"), (60, "min"), (3600, "h"), (86400, "d"))
BYTES = ((1, "B"), (1 << 10, "KiB"), (1 << 20, "MiB"), (1 << 30, "GiB"), (1 << 40, "TiB"))
THOUSANDS = ((1, ""), (1e3, "K"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P"))


def columns(text: str) -> int:
    """How wide a text is, in letters of our alphabet."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def printable(text: str) -> str:
    """On one line, without what XML cannot hold and what turns the direction of a text."""
    clean = "".join(
        each if each.isprintable() else " " if each.isspace() else "\N{REPLACEMENT CHARACTER}" for each in text
    )
    return " ".join(clean.split())


def shortened(name: str, width: int) -> str:
    """A name in `width` columns, at least 8: cut before its number, by which names of equal networks differ."""
    name = printable(name)
    if columns(name) <= width:
        return name
    start, sign, number = name.rpartition(" #")
    end = f"{ELLIPSIS} #{number}" if sign and number.isdigit() and len(number) < width // 2 else ELLIPSIS
    kept = (start if end != ELLIPSIS else name)[:width]
    while kept and columns(kept + end) > width:
        kept = kept[:-1]
    return kept.rstrip() + end


def told_apart(names: Sequence[str], ids: Sequence[str], width: int) -> list[str]:
    """Names in `width` columns, with a piece of the id where two would read alike."""
    short = [shortened(name, width) or shortened(run_id, width) for name, run_id in zip(names, ids, strict=True)]
    if len(set(short)) == len(short):
        return short
    piece = next((size for size in (8, 12, 20) if len({each[:size] for each in ids}) == len(ids)), 40)
    return [
        one if short.count(one) == 1 else f"{shortened(name, max(8, width - piece - 3))} ({run_id[:piece]})"
        for one, name, run_id in zip(short, names, ids, strict=True)
    ]


def stand_in(text: str) -> str:
    """A text of the same width or more, whose letters every font has: that of other alphabets is not known here."""
    return "".join(
        each if each.isascii() or each == ELLIPSIS else "M" * (2 if unicodedata.east_asian_width(each) in "WF" else 1)
        for each in text
    )


def number(value: float) -> str:
    """A number for an axis: short, and read back as what it is."""
    if not isfinite(value):
        return ""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        size, sign = max(((size, sign) for size, sign in THOUSANDS if size <= abs(value)), default=(1, ""))
        return f"{value / size:.4g}{sign}" if abs(value) < 1e18 else f"{value:.3g}"
    return f"{value:.4g}".replace("e-0", "e-")


def unit_of(largest: float, units: Sequence[tuple[float, str]] = SPANS) -> tuple[float, str]:
    """The unit, and its size, in which values up to `largest` are told."""
    return next(((size, unit) for size, unit in reversed(units) if largest >= 2 * size), units[0])
