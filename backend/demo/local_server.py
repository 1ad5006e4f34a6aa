"""A real server as a child process, for the demo."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

from backend.client import Client, LaminaError
from backend.config import COMMAND, Settings, as_environment, as_flags

START_SECONDS = 60.0
STOP_SECONDS = 12.0
CORRECTABLE = 2  # exit code of a server that has said in a sentence what its user can change


class StartError(Exception):
    """The server did not come up; the message holds what it said, or the end of its log. `code`: its exit code."""

    def __init__(self, message: str, *, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def free_port(*, first: int) -> int:
    """`first` when nobody listens there, else any free port of the loopback interface."""
    for port in (first, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StartError("no port of 127.0.0.1 is free")


class LocalServer:
    """`lamina serve` on 127.0.0.1 in a session of its own: Ctrl-C reaches it only through stop()."""

    def __init__(self, settings: Settings) -> None:
        command = [*COMMAND, "serve", *as_flags(settings), "--stop-with-parent"]
        self.client = Client(f"http://127.0.0.1:{settings.port}", token=settings.token)
        self.lines: deque[str] = deque(maxlen=1000)
        self.echo = False
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **as_environment(settings)},
        )
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until_healthy(self) -> float:
        """Seconds until the first good answer of GET /api/health. Raises StartError."""
        begin = time.monotonic()
        brief = Client(self.client.url, token="", timeout=5.0)
        while time.monotonic() - begin < START_SECONDS:
            try:
                brief.health()
                return time.monotonic() - begin
            except LaminaError:
                time.sleep(0.05)
            if self.process.poll() is not None:
                break
        code = self.stop()
        self.reader.join(timeout=1.0)
        said = [line for line in self.lines if line.startswith("lamina: ")]
        if code == CORRECTABLE and said:
            raise StartError(said[-1].removeprefix("lamina: "), code=code)
        raise StartError("the server did not start:\n" + "\n".join(list(self.lines)[-15:]))

    def show_log(self) -> None:
        """From now on every line of the server's log goes to this process's standard error."""
        self.echo = True

    def wait(self) -> int:
        """Waits for the end of the server; returns its exit code."""
        return self.process.wait()

    def stop(self) -> int:
        """Asks the server to end, and sees to it. Returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout=STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self.process.kill()
            return self.process.wait()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as log:
            for line in log:
                self.lines.append(line.rstrip())
                if self.echo:
                    print(line, end="", file=sys.stderr, flush=True)
