"""What can go wrong in this library.

NetsError
├── SpecError        a request's architecture or hyperparams break a rule; lists every problem
├── DataError        a data set cannot be had, or its file is damaged
├── CheckpointError  a weight file or training state is missing, damaged, or does not fit the architecture
├── CompilersBusy    too many programs are being compiled
├── TrainingError    a run cannot go on: its loss left the finite numbers
└── NoDevice         there is nothing to train on
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]
MOST_PROBLEMS = 100  # told of one request: a body can break more rules than anyone reads
LONGEST_NAME = 80  # characters of a client's name in a place


class NetsError(Exception):
    """Base of everything this library raises on purpose."""


@dataclass(frozen=True)
class Problem:
    """One broken rule of a request: where it is, and a sentence with the rule, what came, and the cure."""

    path: Path
    detail: str

    @property
    def pointer(self) -> str:
        """JSON pointer to the value, e.g. `/architecture/layers/7/in`. RFC 6901."""
        return "".join("/" + _cut(part).replace("~", "~0").replace("/", "~1") for part in self.path)

    @property
    def place(self) -> str:
        """The value's place as a person writes it, e.g. `architecture.layers[7].in`."""
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{_cut(part)}" for part in self.path)
        return text.removeprefix(".") or "body"

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}"


def _cut(part: str | int) -> str:
    text = str(part)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


class SpecError(NetsError, ValueError):
    """A specification breaks one or more rules; `problems` holds them in reading order, the first MOST_PROBLEMS."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        assert problems, "a SpecError names at least one problem"
        super().__init__(str(problems[0]))
        self.problems = tuple(problems[:MOST_PROBLEMS])


class DataError(NetsError):
    """A data set cannot be had or its file is damaged; the message gives the reason and the cure."""


class CheckpointError(NetsError):
    """A weight file or training state is missing, damaged, or does not fit the architecture."""


class CompilersBusy(NetsError):
    """As many programs are being compiled as may be at one time; the message says how many."""


class TrainingError(NetsError):
    """A run cannot go on; the message says in which epoch and step, and what to try."""


class NoDevice(NetsError):
    """JAX has no device that can be used; the message gives the reason and the cure."""
