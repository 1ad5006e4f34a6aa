"""`lamina show --svg` and `lamina compare --svg`: pictures as files."""

from __future__ import annotations

import sys
from pathlib import Path

from backend.client import Unusable
from backend.commands import exits
from backend.commands.telling import say_json


def save(file: str, picture: str | bytes, *, as_json: bool, flag: str = "--svg") -> int:
    """Writes a picture, and prints where; `-` is standard output. flag: that names the file."""
    content = picture.encode() if isinstance(picture, str) else picture
    if file == "-":
        sys.stdout.buffer.write(content)
        return exits.OK
    try:
        Path(file).write_bytes(content)
    except OSError as problem:
        raise Unusable(f"{file} cannot be written: {problem.strerror}; name another file with {flag}") from None
    if as_json:
        say_json({"path": file, "bytes": len(content)})
    else:
        print(file)
    return exits.OK
