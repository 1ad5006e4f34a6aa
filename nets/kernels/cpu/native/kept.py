"""Machine code of kernels, kept where JAX keeps compiled programs, so that a restart does not compile it again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import jax

PREFIX = "lamina-kernel-"
_DIGEST = hashlib.sha256().digest_size


def kept(description: str, compile_code: Callable[[], bytes]) -> bytes:
    """The code that `description` describes in full: what was kept of it, or else compiled now and kept.

    What cannot be read, is damaged or cannot be written costs its compilation and no more.
    """
    folder: str | None = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    if not folder:
        return compile_code()
    name = hashlib.sha256(description.encode()).hexdigest()
    path = Path(folder) / (PREFIX + name)
    code = _read(path, name)
    if code is None:
        code = compile_code()
        with contextlib.suppress(OSError):
            _write(path, name, code)
    return code


def _read(path: Path, name: str) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if _digest(name, code) == digest else None


def _digest(name: str, code: bytes) -> bytes:
    """Of the name too, lest a file that was copied pass for another kernel."""
    return hashlib.sha256(name.encode() + code).digest()


def _write(path: Path, name: str, code: bytes) -> None:
    """Not flushed to the disk: what a power cut leaves of it is told by its digest."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        unfinished.write_bytes(_digest(name, code) + code)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
