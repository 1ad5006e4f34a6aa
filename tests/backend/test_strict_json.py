"""Two readers of JSON, one for long lists of numbers: nobody can tell from the answer which of them read a body."""

from __future__ import annotations

import json
import math
import random
import re
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.parsing import strict_json
from backend.parsing.strict_json import LONG, Malformed, NotJson, Rows, _numbers, loads
from tests.backend.conftest import Trained

UNCHECKED = ("pixels", "batch")
BODIES = [
    b'{"run_id": "r_1", "pixels": [0, 0.5, 1.0, 1e-3, -0.0, 7]}',
    b'{"run_id": "r_1", "batch": [[0.25, 1], [0, 1]], "model_id": "m"}',
    b'{"batch": [[[0.5, true], [null, 1]], [[{}, []], [18446744073709551616, 1e400]]]}',
    '{"name": "Ωmega é \\U0001f600", "batch": [[1.5, 2]]}'.encode(),
    b'{"name": "a\\u00e9", "hyperparams": {"seed": 9007199254740993}, "pixels": [[[[1]]]]}',
    b'{"pixels": [[[[[[1]]]]]]}',
]
PIECES = st.sampled_from(
    [
        *(b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xef\xbb\xbf", b"\0", b"\x7f"),
        *(b"\\", b'"', b"\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"NaN", b"-", b"01", b"1.", b"e5", b"E+5"),
        *(b"9" * 25, b"9" * 400, b"9" * 5000, b"1e999", b"-Infinity", b"null", b"true", b'"pixels": [1],', b"\n"),
        *(b'"a": 1, "a": 2,', b"[" * 70, b"{}", b'"x"', b"\xc2\xa0", b"\x0b"),
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    body = draw(st.sampled_from(BODIES))
    for _ in range(draw(st.integers(1, 3))):
        at, cut = draw(st.integers(0, len(body))), draw(st.integers(0, 3))
        body = body[:at] + draw(PIECES) + body[at + cut :]
    padding = draw(st.sampled_from([b" ", b"x", b"\t\r\n"])) * LONG
    where = draw(st.one_of(st.just(len(body)), st.integers(0, len(body))))
    return body[:where] + padding + body[where:]


def said(body: bytes) -> tuple[str, Any]:
    """What a reader makes of a body, so that two can be compared."""
    try:
        value, problems = loads(body, UNCHECKED)
    except Malformed as error:
        return "malformed", str(error)
    return "read", (typed(value), [str(problem) for problem in problems])


def typed(value: Any) -> Any:
    """A value in which 1, 1.0 and true differ."""
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return value.detail if isinstance(value, NotJson) else (type(value), value)


@settings(max_examples=400, deadline=None)
@given(mutated())
def test_both_readers_give_the_same_value_or_the_same_refusal(body: bytes) -> None:
    assert len(body) >= LONG
    quick = said(body)
    with mock.patch.object(strict_json, "LONG", math.inf):
        assert said(body) == quick


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xe2\x82"])
@pytest.mark.parametrize("length", [0, LONG])
def test_a_body_that_is_not_utf_8_is_refused_whatever_its_length(trained: Trained, bad: bytes, length: int) -> None:
    for path in ("/api/models", "/api/train", "/api/infer"):
        for body in (b'{"name":"%s%s"}' % (bad, b"x" * length), b'{"%s":"%s"}' % (bad, b"x" * length)):
            answer = trained.client.post(path, data=body, content_type="application/json")
            assert answer.status_code == 400 and "of the body is not UTF-8" in answer.get_json()["error"]


@pytest.mark.parametrize("value", ["255", "255.0", "-1", "-1.0", "18446744073709551616", "9007199254740993", "1e30"])
def test_wrong_pixels_are_told_alike_in_short_and_long_bodies(trained: Trained, value: str) -> None:
    rows = ",".join(["[" + ",".join(["0.5"] * 784) + "]"] * 2).replace("0.5", value, 1)
    body = f'{{"run_id": "{trained.run_id}", "batch": [{rows}]}}'
    short, long = (
        trained.client.post("/api/infer", data=sent, content_type="application/json")
        for sent in (body, body + " " * LONG)
    )
    assert short.status_code == long.status_code == 422 and short.get_json() == long.get_json()


@pytest.mark.parametrize("length", [0, LONG])
def test_a_byte_order_mark_is_skipped_and_other_encodings_are_named(length: int) -> None:
    text = json.dumps({"name": "é", "pixels": [0.5] * 3}, ensure_ascii=False) + " " * length
    assert loads(text.encode("utf-8-sig"), UNCHECKED) == (json.loads(text), [])
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        name = encoding[:6].upper()
        with pytest.raises(Malformed, match=re.escape(f"the body is {name}; send UTF-8")):
            loads(text.encode(encoding), UNCHECKED)


def test_random_bytes_never_surprise_a_reader() -> None:
    chance = random.Random(9)
    for _ in range(200):
        body = chance.randbytes(chance.choice([0, 1, 2, 3, 4, 5, 40, LONG]))
        with pytest.raises(Malformed):
            loads(b"\xfe" + body, UNCHECKED)


def test_whole_surrogate_pairs_and_plain_unicode_pass() -> None:
    assert loads(b'{"name": "\\ud83d\\ude00"}') == ({"name": "\U0001f600"}, [])
    assert loads('{"name": "\u00e9"}'.encode()) == ({"name": "\u00e9"}, [])


def test_all_that_json_forbids_is_told_at_once() -> None:
    _, problems = loads(b'{"a": [1.0, NaN], "b": {"c": 1e400, "c": 2e400}, "d": 99999999999999999999}')
    assert [problem.pointer for problem in problems] == ["/a/1", "/b/c", "/b/c", "/d"]


def test_fields_that_the_caller_checks_are_left_alone() -> None:
    value, problems = loads(b'{"pixels": [NaN, 1e999], "run_id": NaN}', unchecked=("pixels",))
    assert len(value["pixels"]) == 2 and [problem.place for problem in problems] == ["run_id"]


LONG_LIST = "[" + "0.5," * LONG + "0.25]"


@pytest.mark.parametrize(
    "text",
    [
        '{"run_id": "r_1", "batch": %s}',
        '{"batch": [%s, %s]}',
        '{"batch": [true, null, %s]}',
        '{"batch": %s, "batch": [1]}',
        '{"batch": %s, "run_id": "a", "run_id": "b"}',
        '{"batch": %s, "run_id": "\\ud800"}',
        '{"batch": [NaN, %s]}',
        '{"batch": [1e999, %s]}',
        '{"batch": [{"a": 1, "a": 2}, %s]}',
        '{"batch": ["0.5", %s]}',
        '{"other": [NaN, %s]}',
        '{"other": %s, "deep": {"a": 1, "a": 2}}',
        "[%s]",
    ],
)
def test_long_bodies_are_read_quickly_and_as_strictly(text: str) -> None:
    """What the quick way lets through is what the other one finds."""
    body = text.replace("%s", LONG_LIST).encode()
    assert _numbers(body, ("batch",)) is None or loads(body, ("batch",))[0] == json.loads(body)
    quick, slow = loads(body, ("batch",)), loads(text.replace("%s", "[0.5]").encode(), ("batch",))
    assert [str(problem) for problem in quick[1]] == [str(problem) for problem in slow[1]]


def test_the_quick_way_is_taken_where_nothing_can_be_wrong() -> None:
    assert _numbers(b'{"run_id": "r_1", "batch": [[0.5]]}', ("batch",)) == {"run_id": "r_1", "batch": [[0.5]]}
    for other in (b'{"batch": [], "batch": [0]}', b'{"b": [1]}', b'{"batch": ["1"]}', b'{"batch": {"a": 1}}', b"[1]"):
        assert _numbers(other, ("batch",)) is None


def test_rows_of_numbers_are_told_from_lists_of_anything() -> None:
    rows = _numbers(b'{"batch": [[1, 0.5], [0]]}', ("batch",))
    assert rows is not None and isinstance(rows["batch"], Rows) and set(map(type, rows["batch"][0])) == {int, float}
    for other in (b"[[true]]", b"[[null, 0]]", b"[0.5]", b"[[[0.5]]]"):
        anything = _numbers(b'{"batch": %s}' % other, ("batch",))
        assert anything is not None and type(anything["batch"]) is list


def test_malformed_text_is_one_sentence() -> None:
    with pytest.raises(Malformed, match="line 1, column 1: Expecting value"):
        loads(b"<html>")
