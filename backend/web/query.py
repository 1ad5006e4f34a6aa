"""The query of a request."""

from __future__ import annotations

from typing import TypeVar

from flask import request

from backend.errors import BadQuery
from backend.parsing.queries import Query
from backend.web.openapi import OPERATIONS
from nets.errors import Change, Problem, SpecError
from nets.spec.allowed import one_of
from nets.spec.fields import did_you_mean, parse, shown, suggested, wire_names

Q = TypeVar("Q", bound=Query)

CACHE_BUSTER = "_"


def check_query() -> None:
    """400 for a query parameter that the endpoint does not know, or that comes twice, whatever the method.

    `?_=` with anything is what clients send lest a cache answers; nothing here may be cached, and it says nothing.
    """
    route = request.url_rule
    if route is None or request.method == "OPTIONS":
        return
    operation = OPERATIONS.get(("GET" if request.method == "HEAD" else request.method, route.rule))
    known = wire_names(operation.query) if operation else []
    for name, values in request.args.lists():
        if name == CACHE_BUSTER:
            continue
        if name not in known:
            raise unknown(name, values, known, in_body=operation is not None and name in operation.fields)
        if len(values) > 1:
            rule = f"The query parameter {name} came {len(values)} times; send it once"
            raise BadQuery([Problem((name,), rule, "duplicate", expected={"type": "string"}, got=values)], rule)


def unknown(name: str, values: list[str], known: list[str], *, in_body: bool) -> BadQuery:
    """A parameter that the endpoint does not have. in_body: whether its body has such a field."""
    listed = f"it takes {', '.join(known)}" if known else "it takes none"
    cure = f" Send {name} in the body." if in_body else did_you_mean(name, known)
    rule = f"{shown(name)} is not a query parameter of this endpoint; {listed}{'.' * bool(cure)}{cure}"
    near = None if in_body else suggested(name, known)
    fix = () if near is None or near in request.args else (Change("move", (near,), source=(name,)),)
    got = values[0] if len(values) == 1 else values
    return BadQuery(
        [Problem((name,), rule, "unknown_field", expected=one_of(known), got=got, suggestion=near, fix=fix)], rule
    )


def asked(query: type[Q]) -> Q:
    """The query of the current request; BadQuery for a value that cannot be used."""
    came = {name: value for name, value in request.args.items() if name != CACHE_BUSTER}
    try:
        return parse(query, came, (), owner="this query")
    except SpecError as error:
        raise BadQuery(error.problems) from None


def lost(before: int) -> BadQuery:
    """A cursor of a sorted list behind which nothing follows: its run is gone."""
    detail = (
        f"must be the next of a page before, and no run has the cursor {before} any more; leave it out to begin again"
    )
    return BadQuery([Problem(("before",), detail, "mismatch", fix=(Change("remove", ("before",)),))])
