"""Compiled code on the disk, programs of XLA and kernels, so that a restart does not compile it again.

It runs with the rights of this process, so it is taken from nobody else: neither from a folder nor from a file that
another user owns or may write to, nor through a link. What cannot be taken costs its compilation, and no more.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DIGEST = hashlib.sha256().digest_size
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe under the name of a file must not hold up its reader.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Untrusted(Exception):
    """Compiled code cannot be kept in a folder: one sentence with the reason and the cure."""


@dataclass(frozen=True)
class Shelf:
    """A folder of compiled code in a directory that is there: made when it is first needed, for this user alone.

    Both are looked at again for every file, for owners and permissions may change while the process lives.
    """

    folder: Path
    made_for: str = ""  # what runs the code: none is taken that was made for something else

    def require(self) -> None:
        """Raises Untrusted where nothing can be kept."""
        try:
            with self._opened():
                pass
        except OSError as error:
            cure = "make it a folder, or remove it"
            raise Untrusted(f"{self.folder} cannot be used ({error.strerror}): {cure}") from None

    def get(self, name: str) -> bytes | None:
        """What was put under `name`; None where there is nothing, or nothing that can be trusted to be it."""
        try:
            with self._opened() as folder:
                content = _read(folder, name)
        except (OSError, Untrusted):
            return None
        digest, code = content[:_DIGEST], content[_DIGEST:]
        return code if self._digest(name, code) == digest else None

    def put(self, name: str, code: bytes) -> None:
        """Keep `code` under `name` if that can be done."""
        with contextlib.suppress(OSError, Untrusted), self._opened() as folder:
            _write(folder, name, self._digest(name, code) + code)

    def _digest(self, name: str, code: bytes) -> bytes:
        """Of the name too, lest a file that was copied pass for another one."""
        return hashlib.sha256(b"\0".join((name.encode(), self.made_for.encode(), code))).digest()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """A descriptor of the folder, by which its files are named: it cannot be exchanged between check and use."""
        with _descriptor(os.open(self.folder.parent, _FOLDER)) as parent:
            _require_own(parent, self.folder.parent)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.folder.name, 0o700, dir_fd=parent)
            with _descriptor(os.open(self.folder.name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)) as folder:
                if _require_own(folder, self.folder) != 0o700:  # made by somebody's mkdir: nobody else needs to read it
                    os.fchmod(folder, 0o700)
                yield folder


_shelf: Shelf | None = None


def keep_in(shelf: Shelf | None) -> None:
    """From now on compiled code is kept there; None: nowhere."""
    global _shelf
    _shelf = shelf


def get(name: str) -> bytes | None:
    """What is kept under `name`."""
    return _shelf.get(name) if _shelf else None


def put(name: str, code: bytes) -> None:
    """Keep `code` under `name`, if anything is kept."""
    if _shelf:
        _shelf.put(name, code)


@contextlib.contextmanager
def _descriptor(opened: int) -> Iterator[int]:
    try:
        yield opened
    finally:
        os.close(opened)


def _require_own(descriptor: int, path: Path) -> int:
    """The permissions of what is open; Untrusted where others may change it, or could let others do so."""
    status = os.fstat(descriptor)
    permissions = stat.S_IMODE(status.st_mode)
    if status.st_uid != os.geteuid():
        raise Untrusted(f"{path} belongs to user {status.st_uid} and not to {os.geteuid()}, who runs this: chown it")
    if permissions & (stat.S_IWGRP | stat.S_IWOTH):
        raise Untrusted(f"{path} may be written to by others (mode {permissions:04o}): chmod go-w it")
    return permissions


def _read(folder: int, name: str) -> bytes:
    with open(os.open(name, _FILE, dir_fd=folder), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Untrusted(f"{name} is no file")
        _require_own(file.fileno(), Path(name))
        return file.read()


def _write(folder: int, name: str, content: bytes) -> None:
    """Not flushed to the disk: what a power cut leaves of it is told by its digest."""
    unfinished = f".{name}.{secrets.token_hex(4)}.tmp"
    try:
        with open(os.open(unfinished, _NEW_FILE, 0o600, dir_fd=folder), "wb") as file:
            file.write(content)
        os.replace(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(unfinished, dir_fd=folder)
        raise
