"""What of a client's words is repeated in answers and logs: bounded, on one line, and without what may be a secret."""

from __future__ import annotations

import re

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECRET_PLACES = re.compile(r"(\?|%3f|token(?:=|%3d)).*", re.IGNORECASE | re.DOTALL)


def quoted(text: str, limit: int = 80) -> str:
    """Client text inside a sentence: bounded, and printable on one line."""
    text = without_secrets(text)
    shown = text if len(text) <= limit else text[:limit] + "..."
    return ascii(shown)


def without_secrets(path: str) -> str:
    """A path for a log or an answer: without what is a query by intention, where a token may stand."""
    return SECRET_PLACES.sub(r"\1...", path)


def known(method: str, other: str) -> str:
    """A method that HTTP knows; `other` in the place of one that a client made up."""
    return method if method in METHODS else other
