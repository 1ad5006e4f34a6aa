"""Every failure becomes one JSON body: `{"error": a sentence}`, with `"errors": [{"pointer", "detail"}]` for places."""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from backend.server.refusals import known, without_secrets
from backend.state.database import out_of_room
from backend.state.errors import UnknownRecord, UnreadableRecord
from backend.state.unreadable import KIND
from backend.training.runs import Busy, NotActive, QueueFull, ShuttingDown
from nets.errors import CheckpointError, Problem, SpecError

QUEUE_SECONDS = 10  # a run takes seconds to hours: the next look is worth no more
logger = logging.getLogger("lamina.http")

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


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
    return ApiError(404, f"There is no {kind} {_quoted(identifier)}; GET {listing} lists the known ones")


def register(app: Flask) -> None:
    """Answer every exception of `app` in the one shape."""
    app.register_error_handler(ApiError, _refused)
    app.register_error_handler(SpecError, lambda error: answer(400, str(error), error.problems))
    app.register_error_handler(Busy, _busy)
    app.register_error_handler(QueueFull, _queue_full)
    app.register_error_handler(NotActive, _not_active)
    app.register_error_handler(
        ShuttingDown, lambda error: answer(503, "The server is stopping; try again when it is back")
    )
    app.register_error_handler(UnknownRecord, lambda error: answer(404, f"{_quoted(str(error))} was deleted meanwhile"))
    app.register_error_handler(UnreadableRecord, _unreadable)
    app.register_error_handler(CheckpointError, lambda error: answer(500, str(error)))
    app.register_error_handler(NotFound, _no_route)
    app.register_error_handler(MethodNotAllowed, _no_method)
    app.register_error_handler(HTTPException, _protocol)
    app.register_error_handler(sqlite3.Error, _store)
    app.register_error_handler(OSError, _files)
    app.register_error_handler(Exception, _internal)


def answer(
    status: int, message: str, problems: Sequence[Problem] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """The one error body."""
    body: dict[str, Any] = {"error": message}
    if problems:
        body["errors"] = [{"pointer": problem.pointer, "detail": problem.detail} for problem in problems]
    response = jsonify(body)
    response.status_code = status
    response.headers.update(headers or {})
    return response


def _refused(error: ApiError) -> Response:
    return answer(error.status, str(error), error.problems, error.headers)


def _busy(error: Busy) -> Response:
    if error.cancelling:
        rule = f"Run {error.active_run_id} is active and cancelling, and only one run trains at a time"
        return answer(409, f'{rule}: send this again when it has ended, or send "queue": true to wait in line')
    return answer(
        409,
        f"Run {error.active_run_id} is active, and only one run trains at a time: wait for it, cancel it with "
        f'POST /api/train/{error.active_run_id}/cancel, or send "queue": true to wait in line',
    )


def _queue_full(error: QueueFull) -> Response:
    message = f"All {error.places} places in the queue are taken (--max-queue); cancel a run that waits, or try later"
    return answer(503, message, headers={"Retry-After": str(QUEUE_SECONDS)})


def _not_active(error: NotActive) -> Response:
    return answer(409, f"Run {error.run_id} is {error.state}; only a queued or running run can be cancelled")


def _no_route(error: NotFound) -> Response:
    if "//" in request.path:
        return answer(404, f"There is no endpoint {_quoted(request.path)}: nothing stands between two of its slashes")
    return answer(
        404, f"There is no endpoint {_quoted(request.path)}; GET /api/health, /api/models, /api/runs are where to start"
    )


def _no_method(error: MethodNotAllowed) -> Response:
    allowed = ", ".join(sorted(set(error.valid_methods or ()) | {"OPTIONS"}))
    message = f"{_quoted(request.path)} does not take {known(request.method, 'this method')}; it takes {allowed}"
    return answer(405, message, headers={"Allow": allowed})


def _protocol(error: HTTPException) -> Response:
    return answer(error.code or 500, f"{error.name}: {error.description}")


def _unreadable(error: UnreadableRecord) -> Response:
    what = f"There is no {KIND[error.table]} {_quoted(error.identifier)} that can be read"
    return answer(404, f"{what}: records in the store are damaged; the warnings of GET /api/health name them")


def _store(error: sqlite3.Error) -> Response:
    if out_of_room(error) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY:
        return _no_room(str(error))
    return answer(500, f"The store failed ({error}); the server log has the details under {_logged(error)}")


def _files(error: OSError) -> Response:
    return _no_room(error.strerror or "") if error.errno in NO_ROOM else _internal(error)


def _no_room(reason: str) -> Response:
    logger.warning("%s %r: the state directory cannot be written (%s)", request.method, request.path, reason)
    cure = "make room with DELETE /api/runs/<id> or DELETE /api/models/<id>, which work on a full disk, and try again"
    return answer(507, f"The state directory cannot be written ({reason}), so nothing was changed: {cure}")


def _internal(error: Exception) -> Response:
    return answer(500, f"Internal error; the server log has the details under {_logged(error)}")


def _logged(error: Exception) -> str:
    """Write the traceback to the log under a fresh id, for a client that may see only the id."""
    identifier = f"e_{uuid4().hex[:12]}"
    logger.error(
        "%s: %s %s failed", identifier, known(request.method, "(other)"), _quoted(request.path), exc_info=error
    )
    return identifier


def _quoted(text: str, limit: int = 80) -> str:
    """Client text inside a sentence: bounded, and printable on one line."""
    text = without_secrets(text)
    shown = text if len(text) <= limit else text[:limit] + "..."
    return ascii(shown)
