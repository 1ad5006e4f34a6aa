"""JSON as the standard has it: what Python's parser lets through beside that is found, and named by its place."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import msgspec

from nets.errors import MOST_PROBLEMS, BrokenRule, Code, Path, Problem, seen

Json = dict[str, Any]

MAX_DEPTH = 64  # a specification needs 5 levels; deeper ones only exhaust the stack of whoever walks them
INTEGERS = range(-(2**63), 2**63)
INT64 = {"type": "integer", "minimum": INTEGERS[0], "maximum": INTEGERS[-1]}
NUMBER = {"type": "number"}
TEXT = {"type": "string"}
LONG = 1 << 15  # bytes from which a quick look pays: an image or two
ROWS = msgspec.json.Decoder(dict[str, str | list[list[int | float]]])
_Constant = int | float | bool | None
_Image = list[_Constant | list[_Constant | list[_Constant]]]
IMAGES = msgspec.json.Decoder(dict[str, str | list[_Constant | _Image]])  # what is nested deeper is read slowly
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")  # only an escape can bring in half a surrogate pair


class Malformed(ValueError):
    """Text that is no JSON: one sentence with the place."""


class NotJson:
    """Stands for a token that Python's parser takes and JSON, or a 64-bit machine, does not. `code`: of its problem."""

    def __init__(self, detail: str, code: Code, token: str) -> None:
        self.detail = detail
        self.code: Code = code
        self.token = token

    def __str__(self) -> str:
        return self.token


class Rows(list[list[int | float]]):
    """A list of lists of numbers: nobody has to look at their types again."""


class Repeated(dict[str, Any]):
    """An object in which a name came more than once."""

    names: tuple[str, ...] = ()


def loads(body: bytes, unchecked: Collection[str] = ()) -> tuple[Any, list[Problem]]:
    """The value in `body`, and what is wrong inside it. `unchecked`: top-level fields that the caller checks itself.

    Raises Malformed.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)  # some editors and shells write one
    if len(body) >= LONG and (numbers := _numbers(body, unchecked)) is not None:
        return numbers, []
    text = _text(body)
    try:
        value = _parse(text)
    except json.JSONDecodeError as error:
        raise Malformed(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise Malformed(f"values are nested deeper than {MAX_DEPTH} levels") from None
    problems = _Checker(halves=HALF_PAIR.search(text) is not None).problems(value, unchecked)
    return value, seen(islice(problems, MOST_PROBLEMS), value)


def printable(text: str) -> str:
    """Client text that any log and any encoding can carry."""
    return text.encode("ascii", "backslashreplace").decode()


def _numbers(body: bytes, unchecked: Collection[str]) -> Json | None:
    """An object of short strings and of lists that the caller checks, ten times as fast; None for all else.

    Each of its strings has two quotes. Where the text has no more of them than that, no name came twice, and nothing
    is in the lists but numbers, constants and lists.
    """
    value, lists = _decoded(body)
    if not isinstance(value, dict) or b"\\" in body:
        return None
    strings = len(value)
    for name, item in value.items():
        if isinstance(item, str):
            strings += 1
        elif isinstance(item, list) and name in unchecked:
            value[name] = lists(item)
        else:
            return None
    return value if body.count(b'"') == 2 * strings else None


def _decoded(body: bytes) -> tuple[Any, type[list[Any]]]:
    """The value, None where Python's parser says better what is wrong, and of which kind its lists are."""
    for decoder, lists in ((ROWS, Rows), (IMAGES, list)):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return decoder.decode(body), lists
    return None, list


def _text(body: bytes) -> str:
    encoding = json.detect_encoding(body)  # by its zeros: JSON in UTF-8 has none
    if not encoding.startswith("utf-8"):
        with suppress(UnicodeDecodeError):
            body.decode(encoding)
            raise Malformed(f"the body is {encoding[:6].upper()}; send UTF-8")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"byte {error.start + 1} of the body is not UTF-8") from None


def _parse(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_constant, object_pairs_hook=_object)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of more digits than Python converts: again, looking at each
        return json.loads(text, parse_constant=_constant, object_pairs_hook=_object, parse_int=_whole)


def _constant(token: str) -> NotJson:
    return NotJson(f"must be a finite number, got {token}", "wrong_type", token)


def _whole(digits: str) -> int | NotJson:
    beyond = _beyond(len(digits.lstrip("-")))
    return int(digits) if len(digits) < 20 else NotJson(beyond, "out_of_range", digits)


def _beyond(digits: int) -> str:
    return f"must fit into 64 bits, got a number of {digits} digits"


def _object(pairs: list[tuple[str, Any]]) -> Json:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    repeated = Repeated(value)
    repeated.names = tuple(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return repeated


class _Checker:
    """A walk over one value, without recursion. `halves`: whether strings may hold half a surrogate pair."""

    def __init__(self, *, halves: bool) -> None:
        self.halves = halves

    def problems(self, body: Any, unchecked: Collection[str]) -> Iterator[Problem]:
        """In reading order."""
        todo: list[tuple[Path, Any]] = [((), body)]
        while todo:
            path, value = todo.pop()
            if rule := self.scalar(value):
                yield rule.at(path)
            if not isinstance(value, dict | list) or _all_finite(value):
                continue
            if len(path) >= MAX_DEPTH:
                yield Problem(path[:4], f"is nested deeper than {MAX_DEPTH} levels", "too_deep")
                return
            yield from self.names(path, value)
            inside: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
            todo.extend(reversed([((*path, name), item) for name, item in inside if path or name not in unchecked]))

    def names(self, path: Path, value: Json | list[Any]) -> Iterator[Problem]:
        if isinstance(value, Repeated):
            for name in value.names:
                rule = "comes more than once in the same object; send it once"
                yield Problem((*path, printable(name)), rule, "duplicate")
        if self.halves and isinstance(value, dict):
            for name in filter(_is_broken, value):
                rule = "has half a surrogate pair in its name; send whole characters"
                yield Problem((*path, printable(name)), rule, "malformed", expected=TEXT)

    def scalar(self, value: object) -> BrokenRule | None:
        """Why one value cannot be used, or None."""
        if isinstance(value, NotJson):
            whole = value.code == "out_of_range"
            return BrokenRule(value.detail, value.code, expected=INT64 if whole else NUMBER)
        if isinstance(value, float) and not math.isfinite(value):
            return BrokenRule("must be a finite number, got one beyond 1.8e308", "out_of_range", expected=NUMBER)
        if isinstance(value, int) and value not in INTEGERS:
            return BrokenRule(_beyond(len(str(abs(value)))), "out_of_range", expected=INT64)
        if self.halves and isinstance(value, str) and _is_broken(value):
            return BrokenRule("has half a surrogate pair in it; send whole characters", "malformed", expected=TEXT)
        return None


def _all_finite(value: Json | list[Any]) -> bool:
    """Whether a list holds finite floats and nothing else: the quick way through long ones."""
    return isinstance(value, list) and set(map(type, value)) <= {float} and all(map(math.isfinite, value))


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
