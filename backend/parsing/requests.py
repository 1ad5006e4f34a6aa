"""The top-level fields of a request: checked one by one, told all at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice
from typing import TypeVar

from backend.parsing.ids import MODEL_ID_RULE, is_model_id
from backend.parsing.strict_json import printable
from backend.state.records import Json
from nets.architecture.read import Frame
from nets.errors import MOST_PROBLEMS, Problem, SpecError
from nets.hyperparams.hyperparams import Hyperparams
from nets.hyperparams.optimizers import OPTIMIZERS
from nets.spec.fields import did_you_mean, shown, wire_names
from nets.spec.words import meant

Value = TypeVar("Value")

MAX_NAME = 200
MAX_DESCRIPTION = 10_000
MAX_ID = 128
MAX_LISTED = 10_000  # models, runs or metrics in one list
MAX_CURSOR = 10**18 - 1  # of lists
MAX_SINCE = 10**18 - 1  # ids of events that a query may name
INSIDE: dict[str, Collection[str]] = {
    "hyperparams": wire_names(Hyperparams),
    "hyperparams.optimizer": [name for kind in OPTIMIZERS.values() for name in wire_names(kind) if name != "type"],
    "architecture": wire_names(Frame),
}


def elsewhere(name: str, known: Collection[str]) -> str:
    """Where else in a request a field belongs, as a sentence after a blank; nothing for one that is only misspelt."""
    homes = (home for home, fields in INSIDE.items() if home.partition(".")[0] in known and meant(name, fields))
    home = None if meant(name, known) else next(homes, None)
    return f" It belongs in {home}." if home else ""


class Fields:
    """A body under examination: checks collect `problems`, and `done()` raises all of them."""

    def __init__(self, body: Json, known: Collection[str]) -> None:
        self.body = body
        self.problems: list[Problem] = []
        for name in islice((name for name in body if name not in known), MOST_PROBLEMS):
            hint = elsewhere(name, known) or did_you_mean(name, known)
            self.add(printable(name[:80]), f"is not a field of this request.{hint} Its fields: {', '.join(known)}")

    def add(self, name: str, detail: str) -> None:
        self.problems.append(Problem((name,), detail))

    def has(self, name: str) -> bool:
        """Whether the field came with a value; null is none."""
        return self.body.get(name) is not None

    def text(self, name: str, *, most: int) -> str | None:
        """A string of 1 to `most` characters, not blank; None when left out or wrong."""
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.add(name, f"must be a string, got {shown(value)}")
        elif not value.strip():
            self.add(name, f"must not be blank, got {shown(value)}; leave it out instead")
        elif len(value) > most:
            self.add(name, f"must have at most {most} characters, got {len(value)}")
        elif "\0" in value:
            self.add(name, "must not contain a NUL character")
        else:
            return value
        return None

    def name(self) -> str | None:
        return self.text("name", most=MAX_NAME)

    def description(self) -> str | None:
        """As sent, an empty one included: it says that there is nothing to say."""
        return None if self.body.get("description") == "" else self.text("description", most=MAX_DESCRIPTION)

    def run_id(self) -> str | None:
        return self.text("run_id", most=MAX_ID)

    def model_id(self) -> str | None:
        """An id that a model can have."""
        value = self.text("model_id", most=MAX_ID)
        if value is not None and not is_model_id(value):
            self.add("model_id", f"{MODEL_ID_RULE}, got {shown(value)}")
            return None
        return value

    def flag(self, name: str) -> bool | None:
        """A boolean; None when left out or wrong."""
        value = self.body.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.add(name, f"must be true or false, got {shown(value)}")
        return None

    def parsed(self, name: str, parse: Callable[[object], Value]) -> Value | None:
        """What `parse` makes of the field; None where it raised SpecError, whose problems are kept."""
        try:
            return parse(self.body.get(name))
        except SpecError as error:
            self.problems.extend(error.problems)
            return None

    def done(self) -> None:
        if self.problems:
            raise SpecError(self.problems)
