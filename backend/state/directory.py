"""What a setting names as a directory, looked at before anything is made there."""

from __future__ import annotations

import os
from pathlib import Path


class NoDirectory(Exception):
    """It cannot be one: a sentence with the cure."""


def require_directory(path: Path) -> None:
    """NoDirectory for a file, and for a link that leads nowhere: often to a disk that is not mounted.

    What is not there at all can still be made.
    """
    for place in [*reversed(path.parents), path]:
        if place.is_symlink() and not place.exists():
            target = os.readlink(place)
            cure = "make or mount that, or remove the link"
            raise NoDirectory(f"{place} is a link to {target}, which is not there: {cure}")
    if path.exists() and not path.is_dir():
        raise NoDirectory(f"{path} is a file: choose a directory, or a new name")
