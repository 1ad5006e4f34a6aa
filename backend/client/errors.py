"""What can go wrong between a program and a server: one class for each thing that a caller may do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One place of a body that breaks a rule. `pointer`: a JSON pointer into it.

    `code`, `expected` and `got` say the same as `detail`, for programs. `suggestion`: what may have been meant; `fix`:
    a JSON patch of the body that mends it, where one is certain. None where there is nothing to say.
    """

    pointer: str
    detail: str
    code: str | None = None
    expected: Any = None
    got: Any = None
    suggestion: Any = None
    fix: list[dict[str, Any]] | None = None

    def __str__(self) -> str:
        return f"{self.pointer}: {self.detail}"


FOR_PROGRAMS = ("code", "expected", "got", "suggestion", "fix")


class LaminaError(Exception):
    """Whatever this package raises. `message`: a sentence; `status`: of the answer, 0 where there was none.

    `problems`: every place of a refused body; `json`: the whole answer, where it is an object.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        problems: Sequence[Problem] = (),
        json: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.problems = tuple(problems)
        self.json = json or {}
        self.retry_after = retry_after


class Unreachable(LaminaError):
    """No server answers, or its answer broke off."""


class Unusable(LaminaError, ValueError):
    """A URL, token, path or file that cannot be used: nothing was sent."""


class Ambiguous(LaminaError, ValueError):
    """The beginning of an id that several have: `candidates`, each with its name."""

    def __init__(self, message: str, candidates: Sequence[tuple[str, str]]) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


class TimedOut(LaminaError, TimeoutError):
    """The time that the caller gave is over; what runs on the server goes on."""


class Refused(LaminaError):
    """The server answered that it will not: see `status`, `message` and `problems`."""


class Invalid(Refused):
    """400, 413, 415, 422: the request itself is wrong."""


class Unauthorized(Refused):
    """401, 403: the token is missing or wrong, or the server does not answer under this name."""


class NotFound(Refused):
    """404: there is no such run, model or endpoint."""


class Conflict(Refused):
    """409: not now, as when another run is active."""


class Unavailable(Refused):
    """502, 503, 504: a limit is reached or the server restarts; `retry_after` in seconds, where it says so."""


class NoRoom(Refused):
    """507: the server's disk is full or read-only."""


class Faulty(Refused):
    """Another 5xx, or an answer that is not one of a Lamina server."""


BY_STATUS: dict[int, type[Refused]] = {
    400: Invalid,
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: NoRoom,
}


def refusal(status: int, body: object, *, place: str, retry_after: float | None = None) -> Refused:
    """The exception for an error answer. `body`: its JSON, or None where it has none; `place`: what was asked."""
    kind = BY_STATUS.get(status, Faulty if status >= 500 else Refused)
    if not isinstance(body, dict) or not isinstance(body.get("error"), str):
        message = f"{place} answered {status}, not as a Lamina server does; is the address right?"
        return kind(message, status=status, retry_after=retry_after)
    listed = [each for each in body.get("errors") or () if isinstance(each, dict) and "detail" in each]
    problems = [
        Problem(str(each.get("pointer") or ""), str(each["detail"]), **{name: each.get(name) for name in FOR_PROGRAMS})
        for each in listed
    ]
    return kind(body["error"], status=status, problems=problems, json=body, retry_after=retry_after)
