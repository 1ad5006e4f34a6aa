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
    path = Path(folder) / (PREFIX + hashlib.sha256(description.encode()).hexdigest())
    code = _read(path)
    if code is None:
        code = compile_code()
        with contextlib.suppress(OSError):
            _write(path, code)
    return code


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(path: Path, code: bytes) -> None:
    """Whole, or of another length than its digest says."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        unfinished.write_bytes(hashlib.sha256(code).digest() + code)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
