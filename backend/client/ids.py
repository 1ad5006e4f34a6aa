"""Ids by their beginning, `r_3f` or `3f`, and else by the name of what has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from backend.client.errors import Ambiguous, NotFound, Unusable

WHOLE = re.compile(r"[rmb]_[0-9a-f]{32}")
MOST = 10  # candidates that are told
LONGEST = 200  # characters of a name that servers look for


Listed = Callable[[str], Iterable[tuple[str, str]]]


def whole_id(text: str, kind: str, *, by_id: Listed, by_name: Listed) -> str:
    """The one id that is `text` or begins with it, with or without its `r_`; where none does, that of this name.

    kind: "run", "model" or "benchmark". by_id, by_name: ids that begin so, and those with this text in their names,
    with the names. Raises NotFound, Ambiguous.
    """
    if WHOLE.fullmatch(text):
        return text
    if not text.strip():
        raise Unusable(f"{text!r} is neither the id nor the name of a {kind}")
    found: dict[str, str] = {}
    for beginning in beginnings(text, kind):
        for each, name in by_id(beginning):
            if each == text:
                return each
            found[each] = name
    shared, cure = "begin with", "give more of the id"
    if not found and len(text) <= LONGEST and text.isprintable():
        found = {each: name for each, name in by_name(text) if name == text}
        shared, cure = "are called", "give the id"
    if not found:
        listing = f"lamina {kind}s"
        told = f"there is no {kind} whose id begins with {text!r}, or whose name it is; `{listing}` lists them"
        raise NotFound(told, status=404)
    if len(found) > 1:
        some = "".join(f"\n  {each}  {name}" for each, name in list(found.items())[:MOST])
        more = f"\n  and {len(found) - MOST} more" if len(found) > MOST else ""
        raise Ambiguous(f"{len(found)} {kind}s {shared} {text!r}; {cure}:{some}{more}", [*found.items()])
    return next(iter(found))


def beginnings(text: str, kind: str) -> list[str]:
    """What ids begin with that are shortened to `text`; nothing where no id is written so."""
    letter = f"{kind[0]}_"
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", text):
        return []
    return [text] if text.startswith(letter) else [letter + text, text]
