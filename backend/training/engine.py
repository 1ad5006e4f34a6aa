"""What a benchmark is measured by: the engine, as the queue sees it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, Protocol

from backend.state.records import Json


@dataclass(frozen=True)
class Begun:
    """`results`: all that is known before anything is measured."""

    results: Json


@dataclass(frozen=True)
class Measured:
    """A cell with what has been measured of it so far: it takes the place of what was told of it before."""

    cell: Json


@dataclass(frozen=True)
class Advanced:
    """Where the benchmark is. `cell`: what is measured, None between two. `fraction`: of the whole.

    `seconds_left`: None while that cannot be known.
    """

    fraction: float
    cell: Json | None = None
    seconds_left: float | None = None
    message: str | None = None


@dataclass(frozen=True)
class Said:
    """A sentence for people."""

    level: Literal["info", "warning"]
    message: str


@dataclass(frozen=True)
class Done:
    """`results`: whole."""

    results: Json


Told = Begun | Measured | Advanced | Said | Done


class Engine(Protocol):
    """What measures."""

    def body(self, name: str) -> Json:
        """A network that has a name, as a body of `POST /api/train`. `BrokenRule` with a list of those there are."""

    def completed(self, asked: Json) -> Json:
        """devices, precisions, batch_sizes, repeats, target and preset, each None of them as it is when left out.

        `batch_sizes` stays None for the own ones of the bodies.
        """

    def measure(self, request: Json) -> Generator[Told]:
        """What happens while a complete request, with `bodies` as name and body, is measured.

        To close the generator stops all that it has started. It tells something at least every half second.
        """

    def assembled(self, results: Json, cells: list[Json]) -> Json:
        """What is known with what has been measured since, of a benchmark that did not come to its end."""
