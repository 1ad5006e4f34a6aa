"""gunicorn's master, for exactly one worker. It never imports JAX: a fork after that can hang."""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import Any

from gunicorn.arbiter import Arbiter

from backend import control_groups
from backend.state.deaths import Deaths, cause_of

log = logging.getLogger("lamina.server")

DYING_SECONDS = 15.0  # at most, from the system's kill of a process to its end: its memory is given back first
CANNOT_START = 2  # this command's exit code where the worker has said in a sentence why it cannot


class Master(Arbiter):
    """Every request to end is graceful, none makes a second worker, and one that dies is replaced, sooner or later."""

    def __init__(self, application: Any, *, deaths: Deaths, parent: int | None) -> None:
        super().__init__(application)
        self.deaths, self.parent = deaths, parent
        self.stopping = False
        self.born = self.next_start = 0.0
        # Of processes for want of memory: as counted lately, and before. Long enough ago for who died of it meanwhile.
        self.kills = self.kills_before = control_groups.out_of_memory_kills()
        self.counted = 0.0
        # `nohup lamina serve` asks to outlive its terminal.
        self.outlives_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    def handle_int(self) -> None:
        """Ctrl-C stops as SIGTERM does; a second Ctrl-C does not wait for requests in flight."""
        self.handle_term()

    handle_quit = handle_int

    def handle_hup(self) -> None:
        """A closed terminal. gunicorn's reload would run two workers over one state directory."""
        if not self.outlives_terminal:
            self.handle_term()

    def handle_usr2(self) -> None:
        """gunicorn would start a second master, or change the number of workers: not here."""
        log.warning("signal ignored: this server is one process pair")

    handle_ttin = handle_ttou = handle_usr2

    def manage_workers(self) -> None:
        """Called at least once a second."""
        if self.parent is not None and os.getppid() != self.parent:
            log.info("the process that started this server is gone")
            self.handle_term()
        if time.monotonic() - self.counted > DYING_SECONDS:
            self.kills_before, self.kills = self.kills, control_groups.out_of_memory_kills()
            self.counted = time.monotonic()
        if self.WORKERS or time.monotonic() >= self.next_start:
            super().manage_workers()

    def spawn_worker(self) -> Any:
        self.born = time.monotonic()
        return super().spawn_worker()

    def reap_workers(self) -> None:
        """Learn how the worker has died, if it has; as process 1, be rid of orphans as well."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if (worker := self.WORKERS.pop(pid, None)) is not None:
                worker.tmp.close()
                if not self.stopping:
                    self.mourn(os.waitstatus_to_exitcode(status), hung=worker.aborted)

    def mourn(self, exit_code: int, *, hung: bool) -> None:
        """Replace a worker that has died; end where it could not even start, which another could not either."""
        if exit_code == self.APP_LOAD_ERROR:
            raise SystemExit(CANNOT_START)
        if exit_code == self.WORKER_BOOT_ERROR:
            raise SystemExit(exit_code)
        killed = control_groups.out_of_memory_kills() > self.kills_before
        now = time.monotonic()
        cause = cause_of(exit_code, out_of_memory=killed, hung=hung)
        self.next_start = now + self.deaths.add(cause, lived=now - self.born)

    def stop(self, graceful: bool = True) -> None:
        self.stopping = True
        log.info("stopping")
        super().stop(graceful)
        log.info("stopped")
