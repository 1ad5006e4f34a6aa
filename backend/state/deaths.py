"""How the process that serves has died: its master tells the next one, and the run that was cut off."""

from __future__ import annotations

import logging
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backend.state.files import no_link

logger = logging.getLogger("lamina.server")

NOTE = "died.txt"  # in the state directory until a server has read it: the master may end as well
LONGEST = 200  # characters of a note
KILLED = "killed (SIGKILL)"
OUT_OF_MEMORY = "killed by the system: out of memory"
STEADY_SECONDS = 60.0  # what has lived for so long is replaced at once when it dies
LONGEST_PAUSE = 30.0
REMEMBERED_SECONDS = 86_400.0
SIGNALS = {each.value: each.name for each in signal.Signals}  # not all that there are: most real-time ones are nameless


def cause_of(exit_code: int, *, out_of_memory: bool, hung: bool) -> str:
    """What ended a process. `exit_code`: negative for a signal. `out_of_memory`: the system has killed for it since."""
    if hung:
        return "hung"
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    if -exit_code == signal.SIGKILL:
        return OUT_OF_MEMORY if out_of_memory else KILLED
    return f"crashed ({SIGNALS.get(-exit_code, f'signal {-exit_code}')})"


@dataclass
class Deaths:
    """Those of the workers of one master, which waits before it starts another where they die young."""

    state_dir: Path
    in_a_row: int = 0
    _last: str = ""
    _until: float = 0.0

    def add(self, cause: str, *, lived: float) -> float:
        """Record a death. Seconds to wait before the next start: 0 for the first, then 1, 2, 4 and so on."""
        self.in_a_row = 1 if lived >= STEADY_SECONDS else self.in_a_row + 1
        pause = 0.0 if self.in_a_row == 1 else min(LONGEST_PAUSE, 2.0 ** (self.in_a_row - 2))
        waits = f"the next one starts {f'in {pause:g} s' if pause else 'at once'}"
        often = f", {self.in_a_row} times in a row within a minute of its start" if self.in_a_row > 1 else ""
        logger.error("the worker process died: %s%s; %s", cause, often, waits)
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        self._last = f"the worker process died at {when} UTC: {cause}{often}; {waits}".replace("starts", "started")
        self._until = time.monotonic() + REMEMBERED_SECONDS
        if cause != KILLED:  # by somebody, who knows why
            with suppress(OSError), open(self.state_dir / NOTE, "w", opener=no_link) as file:
                file.write(f"{cause}," if cause == OUT_OF_MEMORY else f"the server {cause}")
        return pause

    def warnings(self) -> list[str]:
        """What to know of the last one, a day long."""
        return [self._last] if time.monotonic() < self._until else []


def take_note(state_dir: Path) -> str | None:
    """Why the run that was cut off was, once."""
    path = state_dir / NOTE
    with suppress(OSError, UnicodeDecodeError):
        with open(path, opener=no_link) as file:
            cause = file.read(LONGEST)
        path.unlink()
        return cause
    return None
