"""Where a client stands in the events of many runs, as the ids of those events say it: short, and opaque to clients.

Of each run that has more to tell, a key made of its id, and the last event that the client has. A key needs no store to
be read: it means the same run after an export, an import and a restart.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

KEY_BYTES = 3  # two of 200 runs have the same key once in 800 times, and then tell too much, never too little
TOLD = r"((?:\.[\w-]{4}[0-9]{1,15})*)"
NAMED = re.compile(rf"n{TOLD}", re.ASCII)
ALL = re.compile(rf"a\.([0-9]{{1,15}})\.([\w-]{{4}})\.([0-9]{{1,15}}){TOLD}", re.ASCII)
NO_KEY = "0000"


@lru_cache(1000)
def key_of(run_id: str | None) -> str:
    """Four characters that stand for a run."""
    return urlsafe_b64encode(sha256(run_id.encode()).digest()[:KEY_BYTES]).decode() if run_id else NO_KEY


@dataclass(frozen=True)
class Frontier:
    """Of a client that follows all runs: where it stands among them, beside those that have more to tell.

    newest: the number of the last run, in the order of creation, that it has met; key: that run's.
    turn: the number of the last end or resume of a run up to which it knows them all.
    """

    newest: int
    key: str
    turn: int


@dataclass(frozen=True)
class Cursor:
    """told: the last event that the client has, by the key of its run. Nothing of a new client."""

    told: Mapping[str, int] = field(default_factory=dict)
    frontier: Frontier | None = None


def read(text: str) -> Cursor | None:
    """The cursor that a client sends; None for what is none."""
    if match := NAMED.fullmatch(text):
        return Cursor(_told(match[1]))
    if match := ALL.fullmatch(text):
        return Cursor(_told(match[4]), Frontier(int(match[1]), match[2], int(match[3])))
    return None


def first_of(texts: Iterable[str]) -> Cursor:
    """The first of some ids that is a cursor; else that of a new client."""
    return next((cursor for cursor in map(read, texts) if cursor), Cursor())


def entry(run_id: str, event_id: int) -> bytes:
    """The part of a cursor that tells of one run."""
    return f".{key_of(run_id)}{event_id}".encode()


def head(frontier: Frontier | None) -> bytes:
    """The beginning of a cursor, before its entries."""
    return f"a.{frontier.newest}.{frontier.key}.{frontier.turn}".encode() if frontier else b"n"


def _told(text: str) -> Mapping[str, int]:
    told: dict[str, int] = {}
    for each in text.split(".")[1:]:
        key, number = each[:4], int(each[4:])
        told[key] = min(number, told.get(key, number))  # of two runs with one key
    return told
