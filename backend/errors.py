"""What a request is refused with: a status, a sentence, and the places in the request that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backend.quoting import quoted
from nets.errors import Problem


class ApiError(Exception):
    """A request that is answered with `status` and one sentence; `problems` are the places it is about."""

    def __init__(
        self, status: int, message: str, problems: Sequence[Problem] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.problems = tuple(problems)
        self.headers = headers


class Unprocessable(ApiError):
    """422: the pixels of an inference request."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(422, str(problem), [problem])


def not_found(kind: str, identifier: str, *, listing: str) -> ApiError:
    """404 for an unknown id. `listing`: the endpoint that lists the known ones."""
    return ApiError(404, f"There is no {kind} {quoted(identifier)}; GET {listing} lists the known ones")
