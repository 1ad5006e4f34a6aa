"""What came over the wire: bodies whole and bounded, and JSON objects."""

from __future__ import annotations

import math
from collections.abc import Collection

from flask import current_app, g, request

from backend.errors import ApiError
from backend.parsing import strict_json
from backend.state.records import Json
from backend.web.environ import INCOMING, Parked
from backend.web.incoming import Failure, Incoming, Room, too_large, unzipped
from nets.errors import Code, Problem, SpecError
from nets.spec.fields import shown

TAKE_BODIES = frozenset({"POST", "PUT", "PATCH"})
GZIP = frozenset({"gzip", "x-gzip"})


def read_body() -> None:
    """Take the request's body in whole, as `g.body`. What its head says is refused before any of it is read.

    Raises ApiError, or Parked where more of it is to come.
    """
    g.body = b""
    incoming: Incoming = request.environ.get(INCOMING) or _all_of_it()
    if incoming.absent:
        return
    _check_head(incoming)
    incoming.gather()
    if not incoming.settled:
        raise Parked
    if incoming.failure:
        raise _refusal(incoming.failure)
    if incoming.size:
        _check_type()
        body = unzipped(incoming) if _coding() in GZIP else incoming.take()
        if isinstance(body, Failure):
            raise _refusal(body)
        g.body = body


def _all_of_it() -> Incoming:
    """Where another server has the connection, e.g. in a test."""
    limit: int = current_app.config["MAX_BODY_BYTES"]
    incoming = Incoming(None, request.content_length or 0, limit, Room(math.inf))
    incoming.feed(request.stream.read(limit + 1))
    return incoming


def _check_head(incoming: Incoming) -> None:
    if request.routing_exception is not None:
        raise request.routing_exception
    if request.method not in TAKE_BODIES:
        raise ApiError(400, f"{request.method} takes no body here; send the request without one")
    if incoming.length is None and request.headers["Transfer-Encoding"].strip().lower() != "chunked":
        raise ApiError(
            415, "The Transfer-Encoding of a body must be chunked or absent; to compress, send Content-Encoding: gzip"
        )
    if incoming.length is not None:
        _check_type()
        if incoming.length > incoming.limit:
            raise _refusal(too_large(incoming.limit))


def _check_type() -> None:
    if not is_json(request.mimetype):
        came = ascii(request.mimetype[:80]) if request.mimetype else "none"
        raise ApiError(415, f"The Content-Type of a body must be application/json, got {came}")
    if _coding() not in (*GZIP, "identity"):
        rule = "The Content-Encoding of a body must be gzip or absent"
        raise ApiError(415, f"{rule}, got {ascii(_coding()[:80])}", headers={"Accept-Encoding": "gzip"})


def _coding() -> str:
    return request.headers.get("Content-Encoding", "").strip().lower() or "identity"


def _refusal(failure: Failure) -> ApiError:
    return ApiError(failure.status, failure.sentence, headers={"Retry-After": "1"} if failure.status == 503 else None)


def json_object(*, required: bool = True, unchecked: Collection[str] = ()) -> Json:
    """The body as an object, also kept as `g.sent`, `{}` for one that is empty or null where none is required.

    `unchecked`: fields the caller checks itself.
    Raises ApiError (400 malformed, 415) and SpecError (NaN, repeated names, ... at their places).
    """
    body: bytes = g.body
    if not body:
        if required:
            raise no_object("The body is empty; send a JSON object", "missing")
        return {}
    try:
        value, problems = strict_json.loads(body, unchecked)
    except strict_json.Malformed as error:
        raise no_object(f"Malformed JSON: {error}", "malformed") from None
    g.sent = value  # for the answer to a request with problems
    if problems:
        raise SpecError(problems)
    if value is None and not required:  # what some clients make of no data
        return {}
    if not isinstance(value, dict):
        raise no_object(f"The body must be a JSON object, got {shown(value)}", "wrong_type", got=value)
    return value


def no_object(sentence: str, code: Code, *, got: object = None) -> ApiError:
    """400 for a body of which no field can be told."""
    return ApiError(400, sentence, [Problem((), sentence, code, expected={"type": "object"}, got=got)])


def is_json(mimetype: str) -> bool:
    return mimetype == "application/json" or (mimetype.startswith("application/") and mimetype.endswith("+json"))
