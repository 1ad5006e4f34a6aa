"""The query of a request."""

from __future__ import annotations

from typing import TypeVar

from flask import request

from backend.errors import ApiError
from backend.parsing.queries import Query
from backend.web.openapi import OPERATIONS
from nets.errors import SpecError
from nets.spec.fields import did_you_mean, parse, shown, wire_names

Q = TypeVar("Q", bound=Query)

CACHE_BUSTER = "_"


def check_query() -> None:
    """400 for a query parameter that the endpoint does not know, or that comes twice, whatever the method.

    `?_=` with anything is what clients send lest a cache answers; nothing here may be cached, and it says nothing.
    """
    rule = request.url_rule
    if rule is None or request.method == "OPTIONS":
        return
    operation = OPERATIONS.get(("GET" if request.method == "HEAD" else request.method, rule.rule))
    known = wire_names(operation.query) if operation else []
    for name, values in request.args.lists():
        if name == CACHE_BUSTER:
            continue
        if name not in known:
            listed = f"it takes {', '.join(known)}" if known else "it takes none"
            cure = f" Send {name} in the body." if operation and name in operation.fields else did_you_mean(name, known)
            raise ApiError(400, f"{shown(name)} is not a query parameter of this endpoint; {listed}.{cure}")
        if len(values) > 1:
            raise ApiError(400, f"The query parameter {name} came {len(values)} times; send it once")


def asked(query: type[Q]) -> Q:
    """The query of the current request; ApiError for a value that cannot be used."""
    came = {name: value for name, value in request.args.items() if name != CACHE_BUSTER}
    try:
        return parse(query, came, (), owner="this query")
    except SpecError as error:
        raise ApiError(400, str(error)) from None
