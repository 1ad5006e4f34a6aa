"""What can go wrong in this library.

NetsError
├── SpecError        a request's architecture or hyperparams break a rule; lists every problem
├── DataError        a data set cannot be had, or its file is damaged
├── CheckpointError  a weight file or training state is missing, damaged, or does not fit the architecture
├── CompilersBusy    too many programs are being compiled
├── TrainingError    a run cannot go on: its loss left the finite numbers
└── NoDevice         there is nothing to train on
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

Path = tuple[str | int, ...]
MOST_PROBLEMS = 100  # told of one request: a body can break more rules than anyone reads
LONGEST_NAME = 80  # characters of a client's name in a place
LONGEST_TEXT = 200  # characters of a text that came
MOST_ITEMS = 8  # of a list or an object that came
DEEPEST = 3  # levels of it

Code = Literal[
    "missing",
    "unknown_field",
    "wrong_type",
    "not_one_of",
    "out_of_range",
    "too_short",
    "too_long",
    "too_deep",
    "malformed",
    "mismatch",
    "misfit",
    "conflict",
    "duplicate",
    "unknown_name",
    "cycle",
    "unused",
    "too_costly",
]
CODES: Mapping[Code, str] = MappingProxyType(
    {
        "missing": "A required value is not there.",
        "unknown_field": "There is no such field or parameter here; `expected` lists the names that there are.",
        "wrong_type": "The value is of another type than is taken here.",
        "not_one_of": "The value is none of those that can be chosen; `expected` says which these are.",
        "out_of_range": "The number, or one of several, is too small or too large.",
        "too_short": "The text, or the list, has less in it than it must have.",
        "too_long": "The text, or the list, has more in it than it may have.",
        "too_deep": "Values are nested deeper than is allowed.",
        "malformed": "The value is of the right type, but not written as the rule says.",
        "mismatch": "The value is another than the one that follows from the rest; where only one is right, `expected` "
        "is that one.",
        "misfit": "The layer cannot take what it reads: values of this number, kind or shape.",
        "conflict": "The value cannot stand beside another one; one of them has to change or to go.",
        "duplicate": "What must come once came again.",
        "unknown_name": "A layer names another one that is not there.",
        "cycle": "Layers wait for each other.",
        "unused": "Nothing makes use of the value; without it the rest means the same.",
        "too_costly": "It needs more memory or more time than is allowed.",
    }
)
assert tuple(CODES) == get_args(Code)


class _Unsaid:
    """Stands for a value of which nothing is said; null is a value."""

    def __repr__(self) -> str:
        return "UNSAID"


UNSAID: Final = _Unsaid()


class NetsError(Exception):
    """Base of everything this library raises on purpose."""


class BrokenRule(ValueError):
    """A rule that one value breaks: in words, and for programs as a `Problem` has it, whose place only callers know.

    set_to: what to put in the value's place instead, where that is certain.
    """

    def __init__(
        self, detail: str, code: Code, *, expected: Any = UNSAID, suggestion: str | None = None, set_to: Any = UNSAID
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.expected = expected
        self.suggestion = suggestion
        self.set_to = set_to

    def at(self, path: Path) -> Problem:
        fix = () if self.set_to is UNSAID else (Change("replace", path, self.set_to),)
        return Problem(path, str(self), self.code, expected=self.expected, suggestion=self.suggestion, fix=fix)


@dataclass(frozen=True)
class Change:
    """One operation of a JSON Patch. `source`: from where `move` moves. RFC 6902."""

    op: Literal["add", "remove", "replace", "move"]
    path: Path
    value: Any = UNSAID
    source: Path | None = None

    def to_json(self) -> dict[str, Any]:
        source = {} if self.source is None else {"from": pointer(self.source)}
        value = {} if self.value is UNSAID else {"value": self.value}
        return {"op": self.op, **source, "path": pointer(self.path), **value}


@dataclass(frozen=True)
class Problem:
    """One broken rule of a request: where it is, and a sentence with the rule, what came, and the cure.

    For programs: which kind of rule; what is expected, the value itself where only one is right (never an object), else
    a JSON Schema (always an object); what came; the name or value that was probably meant; and the changes of the whole
    request that remove the problem for certain, if there are such.
    """

    path: Path
    detail: str
    code: Code
    expected: Any = UNSAID
    got: Any = UNSAID
    suggestion: str | None = None
    fix: tuple[Change, ...] = ()

    @property
    def pointer(self) -> str:
        """JSON pointer to the value, e.g. `/architecture/layers/7/in`. RFC 6901."""
        return pointer(self.path)

    @property
    def place(self) -> str:
        """The value's place as a person writes it, e.g. `architecture.layers[7].in`."""
        return place(self.path)

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}"

    def seen_in(self, value: object, root: Path = ()) -> Problem:
        """The same, with what came, of a request that has `value` at `root`."""
        if self.got is not UNSAID or self.path[: len(root)] != root:
            return self
        return replace(self, got=found_at(value, self.path[len(root) :]))

    def to_json(self) -> dict[str, Any]:
        """As clients read it: an expectation and what came are always there, `{}` and null where there is none."""
        said: dict[str, Any] = {"suggestion": self.suggestion} if self.suggestion is not None else {}
        if self.fix:
            said["fix"] = [change.to_json() for change in self.fix]
        return {
            "pointer": self.pointer,
            "detail": self.detail,
            "code": self.code,
            "expected": {} if self.expected is UNSAID else self.expected,
            "got": None if self.got is UNSAID else shortened(self.got),
            **said,
        }


def set_to(value: Any, path: Path, detail: str, *, got: Any = UNSAID) -> Problem:
    """A value that contradicts the rest, which another one would fit for certain."""
    return Problem(path, detail, "mismatch", expected=value, got=got, fix=(Change("replace", path, value),))


def place(path: Path) -> str:
    """A path as a person writes it."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_cut(part)}" for part in path)
    return text.removeprefix(".") or "body"


def pointer(path: Path) -> str:
    """A path as a JSON pointer, long names cut."""
    return "".join("/" + _cut(part).replace("~", "~0").replace("/", "~1") for part in path)


def found_at(value: object, path: Path) -> Any:
    """The part of a JSON value at a path; UNSAID where there is none."""
    for part in path:
        of_list = isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value)
        if not of_list and not (isinstance(value, dict) and part in value):
            return UNSAID
        value = value[part]  # type: ignore[index]  # which was just looked at
    return value


def seen(problems: Iterable[Problem], value: object, root: Path = ()) -> list[Problem]:
    """All of them with what came."""
    return [problem.seen_in(value, root) for problem in problems]


def shortened(value: object, levels: int = DEEPEST) -> Any:
    """JSON with long texts, lists and objects cut, each with a text of three dots at its end."""
    if isinstance(value, dict):
        kept = list(value.items())[:MOST_ITEMS] if levels else []
        cut = {_cut(str(name)): shortened(item, levels - 1) for name, item in kept}
        return cut if len(kept) == len(value) else {**cut, "...": f"{len(value) - len(kept)} more"}
    if isinstance(value, list | tuple):
        items = [shortened(item, levels - 1) for item in value[:MOST_ITEMS]] if levels else []
        return items if len(items) == len(value) else [*items, f"... {len(value) - len(items)} more"]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return "a whole number beyond 64 bits"
    if isinstance(value, bool | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _cut(value if isinstance(value, str) else str(value), LONGEST_TEXT)


def _cut(part: str | int, longest: int = LONGEST_NAME) -> str:
    text = str(part)[: longest + 1]
    kept = text if len(text) <= longest else f"{text[:longest]}..."
    return kept.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is no text


class SpecError(NetsError, ValueError):
    """A specification breaks one or more rules; `problems` holds them in reading order, the first MOST_PROBLEMS."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        assert problems, "a SpecError names at least one problem"
        super().__init__(str(problems[0]))
        self.problems = tuple(problems[:MOST_PROBLEMS])


class DataError(NetsError):
    """A data set cannot be had or its file is damaged; the message gives the reason and the cure."""


class CheckpointError(NetsError):
    """A weight file or training state is missing, damaged, or does not fit the architecture."""


class CompilersBusy(NetsError):
    """As many programs are being compiled as may be at one time; the message says how many."""


class TrainingError(NetsError):
    """A run cannot go on; the message says in which epoch and step, and what to try."""


class NoDevice(NetsError):
    """JAX has no device that can be used; the message gives the reason and the cure."""
