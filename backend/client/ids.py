"""Ids by their beginning: `r_3f`, or `3f`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from backend.client.errors import Ambiguous, NotFound, Unusable

WHOLE = re.compile(r"[rm]_[0-9a-f]{32}")
MOST = 10  # candidates that are told


def whole_id(text: str, kind: str, listed: Callable[[str], Iterable[tuple[str, str]]]) -> str:
    """The one id that is `text` or begins with it, with or without its `r_`.

    kind: "run" or "model". listed: the ids that begin so, with the names of what they name. Raises NotFound, Ambiguous.
    """
    if WHOLE.fullmatch(text):
        return text
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", text):
        raise Unusable(f"{text!r} is no id of a {kind}")
    letter = f"{kind[0]}_"
    beginnings = [text] if text.startswith(letter) else [letter + text, text]
    found: dict[str, str] = {}
    for beginning in beginnings:
        for each, name in listed(beginning):
            if each == text:
                return each
            found[each] = name
    if not found:
        listing = {"run": "lamina runs", "model": "lamina models"}[kind]
        raise NotFound(f"there is no {kind} whose id begins with {text!r}; `{listing}` lists them", status=404)
    if len(found) > 1:
        some = "".join(f"\n  {each}  {name}" for each, name in list(found.items())[:MOST])
        more = f"\n  and {len(found) - MOST} more" if len(found) > MOST else ""
        raise Ambiguous(f"{len(found)} {kind}s begin with {text!r}; give more of the id:{some}{more}", [*found.items()])
    return next(iter(found))
