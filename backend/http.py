"""What came over the wire: bodies whole and bounded, JSON objects, query parameters."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from contextlib import suppress
from typing import Any, TypeVar

from flask import current_app, g, request
from werkzeug.exceptions import HTTPException

from backend import strict_json
from backend.errors import ApiError
from backend.openapi import OPERATIONS
from backend.records import Json
from nets.errors import SpecError
from nets.fields import did_you_mean, shown

Choice = TypeVar("Choice", bound=str)

CACHE_BUSTER = "_"
PIECE = 1 << 20
READ_SECONDS = 60.0  # of silence in a body
DRAIN_SECONDS = 15.0
DRAIN_SILENCE = 2.0
DRAIN_PIECES = 512


def read_body() -> None:
    """Take the request's body in whole, as `g.body`, before anything answers. 413 beyond the limit, 408 when stuck."""
    if not request.content_length and "Transfer-Encoding" not in request.headers:
        g.body = b""
        return
    limit: int = current_app.config["MAX_BODY_BYTES"]
    connection: Any = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(READ_SECONDS)
    try:
        g.body = b"" if (request.content_length or 0) > limit else _read(limit + 1)
        too_large = (request.content_length or 0) > limit or len(g.body) > limit
        if too_large:
            _drain(connection)
            raise ApiError(413, f"The body is larger than the limit of {limit >> 20} MB (see --max-body-mb)")
    finally:
        if connection is not None:
            connection.settimeout(None)


def _read(size: int) -> bytes:
    try:
        return request.stream.read(size)
    except TimeoutError:
        raise ApiError(408, f"The body stopped arriving for {READ_SECONDS:.0f} s; send it again") from None
    except HTTPException:
        raise
    except Exception as error:  # the server's parser: broken chunks, a client that left
        raise ApiError(400, f"The body could not be read: {type(error).__name__}") from None


def _drain(connection: Any) -> None:
    """Swallow what is still coming, within bounds.

    A socket that is closed with unread input is reset, and the reset overtakes the answer.
    """
    if connection is not None:
        connection.settimeout(DRAIN_SILENCE)
    deadline = time.monotonic() + DRAIN_SECONDS
    with suppress(ApiError, HTTPException):
        for _ in range(DRAIN_PIECES):
            if not _read(PIECE) or time.monotonic() > deadline:
                return


def json_object(*, required: bool = True, unchecked: Collection[str] = ()) -> Json:
    """The body as an object, `{}` for one that is empty or null where none is required.

    `unchecked`: fields the caller checks itself.
    Raises ApiError (400 malformed, 415) and SpecError (NaN, repeated names, ... at their places).
    """
    body: bytes = g.body
    if not body:
        if required:
            raise ApiError(400, "The body is empty; send a JSON object")
        return {}
    if not is_json(request.mimetype):
        came = ascii(request.mimetype[:80]) if request.mimetype else "none"
        raise ApiError(415, f"The Content-Type of a body must be application/json, got {came}")
    try:
        value, problems = strict_json.loads(body, unchecked)
    except strict_json.Malformed as error:
        raise ApiError(400, f"Malformed JSON: {error}") from None
    if problems:
        raise SpecError(problems)
    if value is None and not required:  # what some clients make of no data
        return {}
    if not isinstance(value, dict):
        raise ApiError(400, f"The body must be a JSON object, got {shown(value)}")
    return value


def is_json(mimetype: str) -> bool:
    return mimetype == "application/json" or (mimetype.startswith("application/") and mimetype.endswith("+json"))


def check_query() -> None:
    """400 for a query parameter that the endpoint does not know, or that comes twice, whatever the method.

    `?_=` with anything is what clients send lest a cache answers; nothing here may be cached, and it says nothing.
    """
    rule = request.url_rule
    if rule is None or request.method == "OPTIONS":
        return
    operation = OPERATIONS.get(("GET" if request.method == "HEAD" else request.method, rule.rule))
    known = list(operation.query) if operation else []
    for name, values in request.args.lists():
        if name == CACHE_BUSTER:
            continue
        if name not in known:
            listed = f"it takes {', '.join(known)}" if known else "it takes none"
            cure = f" Send {name} in the body." if operation and name in operation.fields else did_you_mean(name, known)
            raise ApiError(400, f"{shown(name)} is not a query parameter of this endpoint; {listed}.{cure}")
        if len(values) > 1:
            raise ApiError(400, f"The query parameter {name} came {len(values)} times; send it once")


def query_number(name: str, *, least: int, most: int) -> int | None:
    value = request.args.get(name)
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", value) or not least <= int(value) <= most:
        raise ApiError(400, f"{name}: must be a whole number from {least} to {most}, got {shown(value)}")
    return int(value)


def query_choice(name: str, choices: Collection[Choice]) -> Choice | None:
    value = request.args.get(name)
    chosen = next((choice for choice in choices if choice == value), None)
    if value is not None and chosen is None:
        raise ApiError(
            400, f"{name}: must be one of {', '.join(choices)}, got {shown(value)}.{did_you_mean(value, choices)}"
        )
    return chosen


def query_choices(name: str, choices: Collection[Choice]) -> tuple[Choice, ...]:
    """Those of `choices` that are named, with commas between them."""
    value = request.args.get(name)
    named = value.split(",") if value is not None else []
    for word in named:
        if word not in choices:
            rule = f"must name some of {', '.join(choices)}, with commas"
            raise ApiError(400, f"{name}: {rule}, got {shown(word)}.{did_you_mean(word, choices)}")
    return tuple(choice for choice in choices if choice in named)
