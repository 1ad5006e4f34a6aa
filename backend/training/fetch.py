"""Fetching a data set in a child process, so that a download or conversion of minutes can be cancelled at once."""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from backend.config import COMMAND
from backend.control_groups import out_of_memory_kills
from backend.state.deaths import OUT_OF_MEMORY
from nets.errors import DataError

logger = logging.getLogger("lamina.fetch")

PATIENCE = 3600.0  # seconds for the largest download on a slow line
SILENCE = 600.0  # seconds without a line: longer than the conversion of any data set here
LONGEST_LINE = 1 << 20
POLL = 0.1  # seconds between two looks at `stopped`

Report = Callable[[float | None, str], None]


class Stopped(Exception):
    """The fetch was cancelled; its child is gone."""


def fetch(
    name: str,
    data_dir: Path,
    *,
    progress: Report,
    stopped: Callable[[], bool],
    patience: float = PATIENCE,
    silence: float = SILENCE,
) -> None:
    """Have a child process fetch data set `name` into `data_dir`'s cache.

    `progress` gets (fraction or None, message); `stopped` is asked ten times a second. `patience`, `silence`: seconds
    in all and without a word. Raises `Stopped`, or `DataError` with reason and cure. No child outlives the call.
    """
    kills = out_of_memory_kills()
    with tempfile.TemporaryFile() as complaints:
        child = _start(name, data_dir, stderr=complaints)
        try:
            for line in _lines(name, child, stopped=stopped, patience=patience, silence=silence):
                if "error" in line:
                    raise DataError(str(line["error"]))
                if line.get("done"):
                    return
                if "message" in line:
                    progress(line.get("fraction"), str(line["message"]))
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=2.0)  # it has closed its output, so it is about to end: its exit status says how
            killed = child.returncode == -signal.SIGKILL and out_of_memory_kills() > kills
            how = OUT_OF_MEMORY if killed else f"exit status {child.returncode}"
            logger.error("fetching %s failed (%s): %s", name, how, _tail(complaints))
            cure = "where there is more memory, then train again" if killed else "to see why"
            raise DataError(f"fetching data set {name} failed ({how}); try `lamina datasets prepare {name}` {cure}")
        finally:
            _end(child)


def command(name: str, data_dir: Path) -> list[str]:
    """What the child runs. It prints JSON lines: `fraction` and `message`, at last `done` or `error`."""
    return [*COMMAND, "datasets", "prepare", name, "--data-dir", str(data_dir), "--json"]


def _start(name: str, data_dir: Path, *, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(name, data_dir.resolve()),
        stdin=subprocess.PIPE,  # never written to: see commands/datasets.py
        stdout=subprocess.PIPE,
        stderr=stderr,
        bufsize=0,
        start_new_session=True,  # a group of its own, so that grandchildren are killed as well
    )


def _lines(
    name: str, child: subprocess.Popen[bytes], *, stopped: Callable[[], bool], patience: float, silence: float
) -> Iterator[dict[str, Any]]:
    """The child's JSON lines as they come; other output (a library's chatter) is skipped."""
    assert child.stdout is not None
    started = heard = time.monotonic()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            if stopped():
                raise Stopped(name)
            now = time.monotonic()
            if now - started > patience or now - heard > silence:
                raise DataError(
                    f"data set {name} did not arrive within {now - started:.0f} s; "
                    f"run `lamina datasets prepare {name}` once, then train again"
                )
            if not selector.select(POLL):
                continue
            chunk = os.read(child.stdout.fileno(), 1 << 16)
            *lines, rest = (rest + chunk).split(b"\n")
            heard = now
            yield from filter(None, map(_parse, lines if chunk else [rest]))
            if not chunk:
                return
            rest = rest[-LONGEST_LINE:]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the child and its own children, and wait for it."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    if child.poll() is None:
        with suppress(ProcessLookupError, PermissionError):  # it ended by itself just now
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _tail(complaints: IO[bytes]) -> str:
    complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - 2000))
    return complaints.read().decode("utf-8", "replace").strip()
