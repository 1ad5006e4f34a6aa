"""One text for each JSON value, so that equal requests have equal digests, however they were written."""

from __future__ import annotations

import hashlib
import json

from backend.state.records import Json


def sha256(body: Json) -> str:
    """In hex, of the body of a request as it came: names sorted, no spaces, ASCII. `json.dumps` of Python has it so.

    Without `$schema`, which says nothing to the server.
    """
    body = {name: value for name, value in body.items() if name != "$schema"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
