"""Hidden folders in which commands work on a state: locked while they do, garbage once they were killed."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from backend.state.lock import NO_LOCKS

FOLDER = re.compile(r"\.(export|import|gc|bench)-[0-9a-f]{12}")  # in the state directory
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES, errno.EINVAL}


@contextmanager
def working(path: Path) -> Iterator[Path]:
    """Make the folder `path`, which is ours while the block lasts, and gone afterwards unless it was renamed."""
    path.mkdir()
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield path
    finally:
        os.close(held)
        shutil.rmtree(path, ignore_errors=True)


def folder_for(state_dir: Path, purpose: str) -> Path:
    """A name for a working folder, which nobody else has. `purpose`: one of those in `FOLDER`."""
    return state_dir / f".{purpose}-{uuid4().hex[:12]}"


def in_use(path: Path) -> bool:
    """Whether the command that made a working folder still lives. Where folders cannot be locked: no."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def link(source: Path, target: Path) -> bool:
    """Give a file a second name, or a copy where the file system has none; False where there is no such plain file."""
    if source.is_symlink() or not source.is_file():
        return False
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return _copy(source, target)
    return True


def _copy(source: Path, target: Path) -> bool:
    """Of a file that is replaced whole, never written to: it is one or the other."""
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        return False
    return True
