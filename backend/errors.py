"""What a request is refused with: a status, a sentence, and the places in the request that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from backend.quoting import quoted
from nets.errors import Problem

Part = Literal["body", "query"]  # of a request


class ApiError(Exception):
    """A request that is answered with `status` and one sentence; `problems` are the places in a `part` of it."""

    part: Part = "body"

    def __init__(
        self, status: int, message: str, problems: Sequence[Problem] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.problems = tuple(problems)
        self.headers = headers


class BadQuery(ApiError):
    """400: the query, as an object of its parameters. `message`: where it says more than its problem."""

    part: Part = "query"

    def __init__(self, problems: Sequence[Problem], message: str = "") -> None:
        super().__init__(400, message or str(problems[0]), problems)


class Unprocessable(ApiError):
    """422: the pixels of an inference request."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(422, str(problem), [problem])


def not_found(kind: str, identifier: str, *, listing: str) -> ApiError:
    """404 for an unknown id. `listing`: the endpoint that lists the known ones."""
    return ApiError(404, f"There is no {kind} {quoted(identifier)}; GET {listing} lists the known ones")
