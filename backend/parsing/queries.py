"""The queries of requests: each is one type, which checks it and which the OpenAPI document is made from."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from backend.parsing.parts import Rule
from backend.state.records import ACTIVE, DETAILS, TERMINAL, Detail, Json, RunState
from nets.errors import UNSAID, BrokenRule
from nets.spec.allowed import one_of
from nets.spec.fields import Spec, did_you_mean, shown, suggested

Left = SkipJsonSchema[None]  # out: a query says nothing by null


@dataclass(frozen=True)
class Digits(Rule):
    """A whole number as text."""

    least: int
    most: int

    def check(self, value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", value) or not self.least <= int(value) <= self.most:
            rule = f"must be a whole number from {self.least} to {self.most}, got {shown(value)}"
            digits = re.fullmatch(r"-?[0-9]+", value)
            raise BrokenRule(rule, "out_of_range" if digits else "wrong_type", expected=self.schema())
        return int(value)

    def schema(self) -> Json:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class OneOf(Rule):
    """A name."""

    names: Collection[str]

    def check(self, value: str) -> str:
        if value not in self.names:
            detail = f"must be one of {', '.join(self.names)}, got {shown(value)}.{did_you_mean(value, self.names)}"
            near = suggested(value, self.names)
            set_to = UNSAID if near is None else near
            raise BrokenRule(detail, "not_one_of", expected=one_of(self.names), suggestion=near, set_to=set_to)
        return value

    def schema(self) -> Json:
        return {"type": "string", "enum": list(self.names)}


@dataclass(frozen=True)
class SomeOf(Rule):
    """Names, with commas."""

    names: Collection[str]

    def check(self, value: str) -> tuple[str, ...]:
        named = value.split(",")
        for name in named:
            if name not in self.names:
                rule = f"must be one or more of {', '.join(self.names)}, separated by commas"
                detail = f"{rule}, got {shown(name)}.{did_you_mean(name, self.names)}"
                raise BrokenRule(detail, "not_one_of", expected=self.schema(), suggestion=suggested(name, self.names))
        return tuple(name for name in self.names if name in named)

    def schema(self) -> Json:
        one = f"({'|'.join(self.names)})"
        return {"type": "string", "pattern": f"^{one}(,{one})*$"}


@dataclass(frozen=True)
class Flag(Rule):
    """Yes or no."""

    def check(self, value: str) -> bool:
        if value not in ("true", "false"):
            raise BrokenRule(f"must be true or false, got {shown(value)}", "not_one_of", expected=self.schema())
        return value == "true"

    def schema(self) -> Json:
        return {"type": "string", "enum": ["true", "false"]}


Limit = Annotated[int, Digits(1, 10_000)]  # models, runs or metrics in one list


class Query(Spec):
    """No parameter at all."""


class Page(Query):
    """A part of a list, newest first."""

    limit: Limit | Left = Field(None, description="Items on a page, at most.")
    before: Annotated[int, Digits(1, 10**18 - 1)] | Left = Field(
        None, description="The `next` of the page before, to get older items."
    )


class RunPage(Page):
    """A part of the list of runs."""

    model_id: str | Left = Field(None, description="Runs of this model.")
    state: Annotated[RunState, OneOf((*ACTIVE, *TERMINAL))] | Left = Field(None, description="Runs in this state.")
    include: Annotated[tuple[Detail, ...], SomeOf(DETAILS)] = Field((), description="Long fields to include.")


class Deleting(Query):
    """What goes with a run."""

    with_model: Annotated[bool, Flag()] = Field(
        False,
        description="Also delete its model, if POST /api/train made it for this run, it was never named, changed or "
        "promoted since, and it has no other run.",
    )


class Since(Query):
    """Metrics of a run, oldest first."""

    since: Annotated[int, Digits(0, 10**18 - 1)] = Field(0, description="The id of the last event that the client has.")
    limit: Limit | Left = Field(None, description="Items on a page, at most.")


class Stream(Query):
    """What clients that can set no header say in the query. An id that is none of ours is that of a new client."""

    token: str | Left = Field(None, description="The token, for clients that cannot send headers.")
    lastEventId: str | Left = Field(None, description="The same as the header Last-Event-ID, which wins.")
    last_event_id: str | Left = Field(None, description="The same.")
