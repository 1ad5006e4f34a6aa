"""Queries as types: what is told of a wrong value, and that the document says the same."""

from __future__ import annotations

import pytest

from backend.parsing.queries import Page, Query, RunPage, Since, Stream
from nets.errors import SpecError
from nets.spec.fields import parse


@pytest.mark.parametrize(
    ("query", "came", "message"),
    [
        (Page, {"limit": "0"}, 'limit: must be a whole number from 1 to 10000, got "0"'),
        (Page, {"limit": "1e3"}, "limit: must be a whole number"),
        (Page, {"limit": "\u0663"}, "limit: must be a whole number"),
        (Page, {"before": "9" * 19}, "before: must be a whole number from 1 to 9"),
        (Since, {"since": "-1"}, "since: must be a whole number from 0 to"),
        (
            RunPage,
            {"state": "Running"},
            "state: must be one or more of queued.*got \"Running\". Did you mean 'running'",
        ),
        (RunPage, {"include": "metrics,x"}, 'include: must be one or more of metrics.*separated by commas, got "x"'),
        (RunPage, {"include": ""}, "include: must be one or more of"),
    ],
)
def test_a_wrong_value_is_told_with_its_rule(query: type[Query], came: dict[str, str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(query, came, (), owner="this query")


def test_what_is_left_out_has_a_default() -> None:
    assert (RunPage().limit, RunPage().state, RunPage().include, Since().since) == (None, (), (), 0)
    runs = parse(RunPage, {"limit": "7", "include": "architecture,metrics,metrics"}, (), owner="this query")
    assert (runs.limit, runs.include) == (7, ("metrics", "architecture"))


@pytest.mark.parametrize("query", [Page, RunPage, Since, Stream])
def test_a_parameter_is_described_and_never_null(query: type[Query]) -> None:
    for schema in query.model_json_schema()["properties"].values():
        assert schema["description"].endswith(".") and schema["type"] in ("string", "integer")
