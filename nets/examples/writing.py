"""JSON for people: what fits on a line stands on one."""

from __future__ import annotations

import json
from typing import Any

MOST = 110  # characters of a line


def written(value: Any, *, before: str = "", label: str = "") -> str:
    """`value` as JSON, an object or a list on one line where it fits. before: blanks; label: what precedes it."""
    line = json.dumps(value, allow_nan=False, ensure_ascii=False)
    if len(before) + len(label) + len(line) <= MOST or not isinstance(value, dict | list) or not value:
        return f"{before}{label}{line}"
    inside = f"{before}  "
    if isinstance(value, dict):
        parts = [written(part, before=inside, label=f"{json.dumps(name)}: ") for name, part in value.items()]
    else:
        parts = [written(part, before=inside) for part in value]
    opened, closed = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([f"{before}{label}{opened}", ",\n".join(parts), f"{before}{closed}"])
