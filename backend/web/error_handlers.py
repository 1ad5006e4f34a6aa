"""Every failure becomes one JSON body: `{"error": a sentence}`, with `"errors"` for places, as `Problem` has them.

One table says which status and which sentence an exception is answered with.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from backend.errors import ApiError, Part
from backend.quoting import known, quoted
from backend.state.database import out_of_room
from backend.state.errors import UnknownRecord, UnreadableRecord
from backend.state.records import Json
from backend.state.unreadable import KIND
from backend.training.errors import Busy, NotActive, QueueFull, ShuttingDown
from nets.errors import UNSAID, CheckpointError, Problem, SpecError, found_at, shortened

logger = logging.getLogger("lamina.http")

QUEUE_SECONDS = 10  # a run takes seconds to hours: the next look is worth no more
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@dataclass(frozen=True)
class Answer:
    """What an exception is answered with; what is a function makes it of the exception."""

    status: int | Callable[[Any], int]
    sentence: Callable[[Any], str]
    headers: Callable[[Any], Mapping[str, str]] = lambda error: {}


def register(app: Flask) -> None:
    """Answer every exception of `app` in the one shape."""
    for kind in ANSWERS:
        app.register_error_handler(kind, respond)


def respond(error: Exception) -> Response:
    """The one error body, by the most specific row of the table."""
    if (reason := _no_room(error)) is not None:
        return _body(507, _told_of_no_room(reason))
    answer = next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)
    status = answer.status if isinstance(answer.status, int) else answer.status(error)
    return _body(status, answer.sentence(error), told(error), answer.headers(error))


def told(error: Exception) -> list[Json]:
    """The problems that an exception names, for programs."""
    if not isinstance(error, (ApiError, SpecError)):
        return []
    return as_sent(error.problems, error.part if isinstance(error, ApiError) else "body")


def as_sent(problems: Sequence[Problem], part: Part = "body") -> list[Json]:
    """Problems of the body or the query of this request, as an answer lists them."""
    sent = request.args.to_dict() if part == "query" else g.get("sent", {})
    found = [sendable(problem.seen_in(sent), sent) for problem in problems]
    named = [{"name": shortened(str(each.path[0]))} if part == "query" else {} for each in found]
    return [{"in": part, **name, **each.to_json()} for name, each in zip(named, found, strict=True)]


def sendable(problem: Problem, sent: object) -> Problem:
    """Without a fix that cannot be made in what was sent, such as one in a stored part of the request."""
    there = all(
        found_at(sent, change.path if change.op in ("remove", "replace") else change.source or ()) is not UNSAID
        and isinstance(found_at(sent, change.path[:-1]), dict | list)
        for change in problem.fix
    )
    return problem if there else replace(problem, fix=())


def _body(
    status: int, message: str, problems: Sequence[Json] = (), headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    body: Json = {"error": message}
    if problems:
        body["errors"] = problems
    response = jsonify(body)
    response.status_code = status
    response.headers.update(headers)
    return response


def _busy(error: Busy) -> str:
    who = f"{error.kind.capitalize()} {error.active_id} is {'being cancelled' if error.cancelling else 'active'}"
    rule = f"{who}, and {'only one run trains at a time' if error.kind == 'run' else 'nothing else runs beside it'}"
    if error.cancelling:
        return f'{rule}: send this again when it has ended, or send "queue": true to wait in line'
    cancel = f"POST /api/{error.kind}s/{error.active_id}/cancel"
    return f'{rule}: wait for it, cancel it with {cancel}, or send "queue": true to wait in line'


def _queue_full(error: QueueFull) -> str:
    return f"The queue is full: {error.places} runs are waiting (--max-queue); cancel one, or try again later"


def _no_route(_: NotFound) -> str:
    if "//" in request.path:
        return f"There is no endpoint {quoted(request.path)}: it has two slashes in a row"
    return f"There is no endpoint {quoted(request.path)}; GET /api/openapi.json lists all endpoints"


def _no_method(error: MethodNotAllowed) -> str:
    method = known(request.method, "this method")
    return f"{quoted(request.path)} does not take {method}; it takes {_allowed(error)}"


def _allowed(error: MethodNotAllowed) -> str:
    return ", ".join(sorted(set(error.valid_methods or ()) | {"OPTIONS"}))


def _unreadable(error: UnreadableRecord) -> str:
    what = f"There is no {KIND[error.table]} {quoted(error.identifier)} that can be read"
    return f"{what}: records in the store are damaged; the warnings of GET /api/health name them"


def _no_room(error: Exception) -> str | None:
    """Why the state directory cannot be written, if that is what went wrong."""
    if isinstance(error, sqlite3.Error):
        read_only = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY
        return str(error) if read_only or out_of_room(error) else None
    return (error.strerror or "") if isinstance(error, OSError) and error.errno in NO_ROOM else None


def _told_of_no_room(reason: str) -> str:
    logger.warning("%s %r: the state directory cannot be written (%s)", request.method, request.path, reason)
    cure = "make room with DELETE /api/runs/<id> or DELETE /api/models/<id>, which work on a full disk, and try again"
    return f"The state directory cannot be written ({reason}), so nothing was changed: {cure}"


def _logged(error: Exception) -> str:
    """Write the traceback to the log under a fresh id, for a client that may see only the id."""
    identifier = f"e_{uuid4().hex[:12]}"
    logger.error("%s: %s %s failed", identifier, known(request.method, "(other)"), quoted(request.path), exc_info=error)
    return identifier


ANSWERS: Mapping[type[Exception], Answer] = MappingProxyType(
    {
        ApiError: Answer(lambda error: error.status, str, headers=lambda error: error.headers or {}),
        HTTPException: Answer(lambda error: error.code or 500, lambda error: f"{error.name}: {error.description}"),
        SpecError: Answer(400, str),
        NotFound: Answer(404, _no_route),
        UnknownRecord: Answer(404, lambda error: f"{quoted(str(error))} was deleted meanwhile"),
        UnreadableRecord: Answer(404, _unreadable),
        MethodNotAllowed: Answer(405, _no_method, headers=lambda error: {"Allow": _allowed(error)}),
        Busy: Answer(409, _busy),
        NotActive: Answer(
            409,
            lambda error: (
                f"The state of {error.kind} {error.identifier} is {error.state}; "
                f"only a queued or running {error.kind} can be cancelled"
            ),
        ),
        CheckpointError: Answer(500, str),
        sqlite3.Error: Answer(
            500, lambda error: f"The store failed ({error}); the server log has the details under {_logged(error)}"
        ),
        Exception: Answer(500, lambda error: f"Internal error; the server log has the details under {_logged(error)}"),
        QueueFull: Answer(503, _queue_full, headers=lambda error: {"Retry-After": str(QUEUE_SECONDS)}),
        ShuttingDown: Answer(503, lambda error: "The server is stopping; try again when it is back"),
    }
)
