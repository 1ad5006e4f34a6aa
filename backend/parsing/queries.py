"""The queries of requests: each is one type, which checks it and which the OpenAPI document is made from."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, get_args

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from backend.parsing.parts import TAGS, Line, Rule
from backend.state.records import (
    ACTIVE,
    BENCHMARK_EVENT_KINDS,
    DETAILS,
    EVENT_KINDS,
    TERMINAL,
    BenchmarkEventKind,
    Detail,
    EventKind,
    Json,
    RunState,
)
from backend.state.selection import MORE, SORTS, Selection, Sort, expression
from backend.state.summary import METRICS, VAL
from nets.datasets import DATASETS
from nets.errors import UNSAID, BrokenRule, Code
from nets.exchange.named import Layout
from nets.metrics.names import metric_of
from nets.plots.course import Along
from nets.plots.style import Theme
from nets.spec.allowed import one_of
from nets.spec.fields import Spec, did_you_mean, got, shown, suggested

KEPT_FORMAT: Literal["msgpack"] = "msgpack"  # of the files that training leaves
WeightsFormat = Literal["msgpack", "npz", "safetensors"]
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
            detail = f"must be one of {', '.join(self.names)}{got(value, did_you_mean(value, self.names))}"
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
            if not self.takes(name):
                rule = f"must be one or more of {', '.join(self.names)}, separated by commas"
                detail = f"{rule}{got(name, did_you_mean(name, self.names))}"
                raise BrokenRule(detail, "not_one_of", expected=self.schema(), suggestion=suggested(name, self.names))
        return tuple(name for name in dict.fromkeys((*self.names, *named)) if name in named)

    def takes(self, name: str) -> bool:
        return name in self.names

    def schema(self) -> Json:
        one = f"({'|'.join(self.names)})"
        return {"type": "string", "pattern": f"^{one}(,{one})*$"}


@dataclass(frozen=True)
class SomeMetrics(SomeOf):
    """Metrics after each epoch, with commas; those that runs were asked for with any options, as `val_top_3`."""

    names: Collection[str] = (*METRICS, *(name for name in MORE if name.startswith(VAL)))

    def takes(self, name: str) -> bool:
        return name in self.names or (name.startswith(VAL) and metric_of(name.removeprefix(VAL)) is not None)


@dataclass(frozen=True)
class Tagged(Rule):
    """Tags, with commas."""

    def check(self, value: str) -> tuple[str, ...]:
        return tuple(TAGS.check(value.split(",")))

    def schema(self) -> Json:
        return {"type": "string", "pattern": r"^[^\s,]([^,]*[^\s,])?(,[^\s,]([^,]*[^\s,])?)*$"}


@dataclass(frozen=True)
class Sorted(Rule):
    """One of `SORTS`, with - in front where the highest come first."""

    def check(self, value: str) -> Sort:
        name = value.removeprefix("-")
        if expression(name) is None:
            rule = f"must be one of {', '.join(SORTS)}, or a metric such as {', '.join(list(MORE)[::12])}"
            rule += ", with - in front for the highest first"
            every = [*SORTS, *MORE]
            short = [each for each in every if "." not in each]
            known = short if did_you_mean(name, short) else every
            near = suggested(name, known)
            detail = f"{rule}{got(value, did_you_mean(name, known))}"
            set_to = UNSAID if near is None else value.replace(name, near)
            raise BrokenRule(detail, "not_one_of", expected=self.schema(), suggestion=near, set_to=set_to)
        return Sort(name, descending=value != name)

    def schema(self) -> Json:
        return {"type": "string", "enum": [f"{way}{name}" for name in (*SORTS, *MORE) for way in ("", "-")]}


@dataclass(frozen=True)
class Moment(Rule):
    """A date, or a time, which is one of UTC unless it says otherwise; as records write times."""

    def check(self, value: str) -> str:
        sent = re.sub(r" (?=\d\d:?\d\d$)", "+", value) if "T" in value else value  # a plus sign of a URL is a blank
        try:
            moment = datetime.fromisoformat(sent)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            rule = "must be a date or a time by ISO 8601, such as 2026-11-29 or 2026-11-29T08:30:00Z"
            raise BrokenRule(f"{rule}, got {shown(value)}", "malformed") from None
        return moment.isoformat(timespec="microseconds")

    def schema(self) -> Json:
        return {"type": "string", "examples": ["2026-11-29", "2026-11-29T08:30:00Z"]}


@dataclass(frozen=True)
class Ids(Rule):
    """Ids of runs, with commas, each once."""

    least: int
    most: int

    def check(self, value: str) -> tuple[str, ...]:
        ids = value.split(",")
        if len(ids) > self.most or len(ids) < self.least or "" in ids:
            count = "an empty one" if "" in ids else len(ids)
            rule = f"must be the ids of {self.least} to {self.most} runs, separated by commas, got {count}"
            code: Code = "malformed" if "" in ids else "too_long" if len(ids) > self.most else "too_short"
            raise BrokenRule(rule, code, expected=self.schema())
        if twice := next((each for each in ids if ids.count(each) > 1), None):
            raise BrokenRule(f"must name each run once, got {shown(twice)} more than once", "duplicate")
        return tuple(ids)

    def schema(self) -> Json:
        return {"type": "string", "pattern": f"^[^,]+(,[^,]+){{{self.least - 1},{self.most - 1}}}$"}


@dataclass(frozen=True)
class Flag(Rule):
    """Yes or no."""

    def check(self, value: str) -> bool:
        if value not in ("true", "false"):
            raise BrokenRule(f"must be true or false, got {shown(value)}", "not_one_of", expected=self.schema())
        return value == "true"

    def schema(self) -> Json:
        return {"type": "string", "enum": ["true", "false"]}


@dataclass(frozen=True)
class RunIds(Rule):
    """Ids of runs, with commas, each once; or `all`, which is none in particular."""

    most: int

    def check(self, value: str) -> tuple[str, ...]:
        named = tuple(dict.fromkeys(value.split(",")))
        if named == (ALL,):
            return ()
        if ALL in named or "" in named:
            rule = f"must be ids of runs, separated by commas, or {ALL} alone, got {shown(value)}"
            raise BrokenRule(rule, "malformed", expected=self.schema())
        if len(named) > self.most:
            cure = f"send runs={ALL}, or open another stream for the others"
            raise BrokenRule(f"must be {self.most} ids at most, got {len(named)}; {cure}", "too_long")
        return named

    def schema(self) -> Json:
        return {"type": "string", "pattern": "^[^,]+(,[^,]+)*$", "examples": [ALL]}


ALL = "all"
RUNS_OF_A_STREAM = 200  # whose ids fit into the first line of a request
Limit = Annotated[int, Digits(1, 10_000)]  # models, runs or metrics in one list


class Query(Spec):
    """No parameter at all."""


class Page(Query):
    """A part of a list, newest first."""

    limit: Limit | Left = Field(None, description="Items on a page, at most.")
    before: Annotated[int, Digits(1, 10**18 - 1)] | Left = Field(
        None, description="The `next` of the page before, to get older items."
    )


Beginning = Annotated[str, Line(128)]


class ModelPage(Page):
    """A part of the list of models."""

    id: Beginning | Left = Field(None, description="Models whose id begins with this.")


class Filters(Query):
    """Which runs, and in which order."""

    id: Beginning | Left = Field(None, description="Runs whose id begins with this.")
    model_id: str | Left = Field(None, description="Runs of this model.")
    state: Annotated[tuple[RunState, ...], SomeOf((*ACTIVE, *TERMINAL))] = Field(
        (), description="Runs in this state, or in one of several, separated by commas."
    )
    tag: Annotated[tuple[str, ...], Tagged()] = Field(
        (), description="Runs with this tag, or with all of several, separated by commas."
    )
    name: Annotated[str, Line(200)] | Left = Field(None, description="Runs whose name has this in it, in any case.")
    dataset_type: Annotated[str, OneOf(tuple(DATASETS))] | Left = Field(None, description="Runs on this data set.")
    device: Annotated[str, Line(200)] | Left = Field(None, description="Runs whose device has this in it, in any case.")
    created_after: Annotated[str, Moment()] | Left = Field(
        None, description="Runs that were created on this date or later; or at a time, of UTC unless it says otherwise."
    )
    created_before: Annotated[str, Moment()] | Left = Field(
        None, description="Runs that were created before this date or time."
    )
    sort: Annotated[Sort, Sorted()] | Left = Field(
        None, description="What to sort by, with - in front for the highest first; without it, newest first."
    )

    @property
    def selection(self) -> Selection:
        """For the store."""
        return Selection(
            begins=self.id,
            model_id=self.model_id,
            states=self.state,
            tags=self.tag,
            name=self.name,
            dataset=self.dataset_type,
            device=self.device,
            created_after=self.created_after,
            created_before=self.created_before,
            sort=self.sort,
        )


class RunPage(Filters, Page):
    """A part of the list of runs."""

    include: Annotated[tuple[Detail, ...], SomeOf(DETAILS)] = Field((), description="Long fields to include.")


class RunTable(Filters):
    """Runs as a table."""

    limit: Limit | Left = Field(None, description="Runs, at most; without it, all.")


class Deleting(Query):
    """What goes with a run."""

    with_model: Annotated[bool, Flag()] = Field(
        False,
        description="Also delete its model, if POST /api/train made it for this run, it was never named, changed or "
        "promoted since, and it has no other run.",
    )


class Compared(Query):
    """Runs to compare."""

    runs: Annotated[tuple[str, ...], Ids(2, 50)] = Field(description="Ids of 2 to 50 runs, separated by commas.")


class Drawn(Query):
    """How a picture looks."""

    x: Annotated[Along, OneOf(get_args(Along))] = Field(
        "epoch", description="What goes right: epochs, or seconds of training, compilation left out."
    )
    theme: Annotated[Theme, OneOf(get_args(Theme))] = Field(
        "auto", description="Dark ink on light paper, light ink on dark paper, or what the viewer prefers."
    )
    width: Annotated[int, Digits(300, 2400)] = Field(880, description="Pixels.")
    height: Annotated[int, Digits(200, 4800)] | Left = Field(
        None, description="Pixels, at least: more where the legend takes them. Left out: 280 for a row of panels."
    )


class Curves(Drawn):
    """A picture of a run."""


class ComparedCurves(Drawn):
    """A picture of runs side by side."""

    runs: Annotated[tuple[str, ...], Ids(2, 50)] = Field(description="Ids of 2 to 50 runs, separated by commas.")
    metrics: Annotated[tuple[str, ...], SomeMetrics()] = Field(
        ("val_loss", "val_accuracy"),
        description="Metrics, separated by commas: a panel for each; `val_f1` of runs that were asked for it.",
    )


class WeightsQuery(Query):
    """In which form the weights of a run are wanted."""

    format: Annotated[WeightsFormat, OneOf(get_args(WeightsFormat))] = Field(
        KEPT_FORMAT, description="`msgpack` is the kept file itself."
    )
    layout: Annotated[Layout, OneOf(get_args(Layout))] = Field(
        "flax", description="Names and order of axes of Flax, or of PyTorch: not for `msgpack`."
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


class RunEvents(Stream):
    """Events of a run."""

    events: Annotated[tuple[EventKind, ...], SomeOf(EVENT_KINDS)] = Field(
        (), description="The kinds of events to send; left out: all."
    )


class BenchmarkEvents(Stream):
    """Events of a benchmark."""

    events: Annotated[tuple[BenchmarkEventKind, ...], SomeOf(BENCHMARK_EVENT_KINDS)] = Field(
        (), description="The kinds of events to send; left out: all."
    )


class RunsEvents(RunEvents):
    """Events of many runs."""

    runs: Annotated[tuple[str, ...], RunIds(RUNS_OF_A_STREAM)] = Field(
        description="Ids of runs, separated by commas, 200 at most; or `all`."
    )
