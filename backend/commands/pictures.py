"""`lamina show --svg` and `lamina compare --svg`: pictures as files."""

from __future__ import annotations

import sys
from pathlib import Path

from backend.client import Unusable
from backend.commands import exits
from backend.commands.telling import say_json


def save(file: str, picture: str, *, as_json: bool) -> int:
    """Writes a picture, and prints where; `-` is standard output."""
    if file == "-":
        sys.stdout.write(picture)
        return exits.OK
    try:
        Path(file).write_text(picture, encoding="utf-8")
    except OSError as problem:
        raise Unusable(f"{file} cannot be written: {problem.strerror}; name another file with --svg") from None
    if as_json:
        say_json({"path": file, "bytes": len(picture.encode())})
    else:
        print(file)
    return exits.OK
