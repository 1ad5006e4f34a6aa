"""The processes that measure cells, seen from the one that starts them."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from typing import Any

from nets.process.device_memory import PREALLOCATE

HEARTBEAT = 0.25  # seconds between two looks at a process, which is when it can be stopped
STOPPING = 1.0  # seconds for a process to end by itself
TAIL = 500  # characters of what it said last


class CellFailed(Exception):
    """A cell that could not be measured. The message is the reason."""


def measure(job: Mapping[str, Any]) -> Generator[tuple[str, float], None, dict[str, Any]]:
    """What a process of its own measures; phases while it does. Closing the generator ends the process. CellFailed."""
    with tempfile.TemporaryFile() as errors:
        command = [sys.executable, "-P", "-m", "nets.benchmarks.cell"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environ(),
            start_new_session=True,  # Ctrl-C is for whoever keeps what was measured
        )
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
            return (yield from followed(process, errors))
        finally:
            end(process)


def environ() -> dict[str, str]:
    """For the process to find this package wherever it is started, and to take of a GPU what it needs.

    Whoever starts it may hold three quarters of the GPU, as a server does that trains on it. When training has warmed
    up, the allocator has all that it needs either way.
    """
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {PREALLOCATE: "false", **os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def followed(process: subprocess.Popen[bytes], errors: Any) -> Generator[tuple[str, float], None, dict[str, Any]]:
    """The phases of a process and what it measured."""
    assert process.stdout is not None
    phase, pending = ("starting", 0.0), b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(HEARTBEAT):
                piece = os.read(process.stdout.fileno(), 1 << 16)
                if not piece:
                    raise CellFailed(reason(process, errors))
                *lines, pending = (pending + piece).split(b"\n")
                for line in map(json.loads, lines):
                    if "measured" in line:
                        found: dict[str, Any] = line["measured"]
                        return found
                    if "error" in line:
                        raise CellFailed(line["error"])
                    phase = line["phase"], line["fraction"]
            yield phase


def reason(process: subprocess.Popen[bytes], errors: Any) -> str:
    """Why a process ended without a word."""
    code = process.wait()
    errors.seek(0)
    said = errors.read().decode(errors="replace").strip()[-TAIL:]
    if code < 0:
        name = signal.Signals(-code).name
        return f"its process was killed by {name}" + ", most likely for want of memory" * (name == "SIGKILL")
    return f"its process ended with code {code}: {said.splitlines()[-1] if said else 'it said nothing'}"


def end(process: subprocess.Popen[bytes]) -> None:
    """Whatever it is doing."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # what it did not read any more
                continue
