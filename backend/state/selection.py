"""Which runs a list has, and in which order: what can be asked for, and how SQL says it.

Only what the index `runs_listed` holds is looked at, so that none of a run's long fields is read. Whatever a damaged
index may hold, no expression here fails on it: rows are held against their checksums when they are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.state.records import Json, RunState
from backend.state.summary import BEST, HIGH, LOW, METRICS, TEST, VAL
from nets.metrics.names import metric_of, usual


def folded(raw: bytes | None) -> str | None:
    """Text without the difference of upper and lower case, as a function of SQL."""
    return None if raw is None else raw.decode("utf-8", "replace").casefold()


def _text(column: str) -> str:
    return f"folded(CAST({column} AS BLOB))"


def _number(path: str) -> str:
    return f"CASE WHEN json_valid(summary) THEN CAST(json_extract(summary, '$.{path}') AS REAL) END"


SORTS: Mapping[str, str] = {  # by name: an expression that is NULL where a run has no value
    "created_at": _text("created_at"),
    "started_at": _text("started_at"),
    "completed_at": _text("completed_at"),
    "name": _text("name"),
    "seconds": "86400 * (julianday(completed_at) - julianday(started_at))",
    **{name: f"CAST({name} AS REAL)" for name in ("compile_seconds", "epoch", "test_accuracy", "test_loss")},
    **{name: _number(f"reached.{name}") for name in (*LOW, *HIGH)},
    **{f"best.{name}": _number(f"best.{name}") for name in BEST},
    **{f"last.{name}": _number(f"last.{name}") for name in METRICS},
}
USUAL = [name for name in usual() if f"{VAL}{name}" not in SORTS]
MORE: Mapping[str, str] = {  # the metrics that runs were asked for, with usual options
    **{f"{VAL}{name}": _number(f"reached.{VAL}{name}") for name in USUAL},
    **{f"last.{VAL}{name}": _number(f"last.{VAL}{name}") for name in USUAL},
    **{f"{TEST}{name}": _number(f"test.{TEST}{name}") for name in USUAL},
}
OTHERS = re.compile(rf"(?P<last>last\.)?(?P<of>{VAL}|{TEST})(?P<name>\w+)")


def expression(name: str) -> str | None:
    """What runs are sorted by, as SQL; None for what no run has. Metrics may have any options, as `val_top_3` has."""
    if name in SORTS or name in MORE:
        return SORTS.get(name) or MORE[name]
    found = OTHERS.fullmatch(name)
    if found is None or metric_of(found["name"]) is None or (found["last"] and found["of"] == TEST):
        return None
    where = "test" if found["of"] == TEST else "last" if found["last"] else "reached"
    return _number(f"{where}.{found['of']}{found['name']}")


# Ids that begin so, which an index finds: none has a letter behind the last one of Unicode.
BEGINS = "{0} < :begins || char(1114111) AND {0} >= :begins"


@dataclass(frozen=True)
class Sort:
    """By a name that has an `expression`; runs without it come last, either way, and of equal ones the newest first."""

    name: str
    descending: bool = False


@dataclass(frozen=True)
class Selection:
    """Runs that fit all of it. None and () leave all in.

    begins: the beginning of their ids. tags: all of which a run must have. name, device: parts of these, in any case.
    created_after: this moment, or later; created_before: earlier than this one. Both as `created_at` is written.
    """

    model_id: str | None = None
    states: tuple[RunState, ...] = ()
    tags: tuple[str, ...] = ()
    name: str | None = None
    dataset: str | None = None
    device: str | None = None
    created_after: str | None = None
    created_before: str | None = None
    sort: Sort | None = None
    begins: str | None = None

    @property
    def plain(self) -> Json | None:
        """Values of columns that are all there is to it, newest first; None if there is more."""
        if self != Selection(self.model_id, self.states) or len(self.states) > 1:
            return None
        both = ("model_id", self.model_id), ("state", self.states[0] if self.states else None)
        return {name: value for name, value in both if value is not None}  # a model has fewer runs than a state

    def conditions(self) -> tuple[list[str], dict[str, Any]]:
        """As SQL, with its values."""
        found: dict[str, Any] = {
            "model_id = :model_id": self.model_id,
            "dataset = :dataset": self.dataset,
            f"instr({_text('name')}, :name)": self.name.casefold() if self.name else None,
            f"instr({_text('device')}, :device)": self.device.casefold() if self.device else None,
            "created_at >= :created_after": self.created_after,
            "created_at < :created_before": self.created_before,
            f"sequence IN (SELECT sequence FROM runs WHERE {BEGINS.format('run_id')})": self.begins,
        }
        values = {condition.rpartition(":")[2].rstrip(")"): value for condition, value in found.items()}
        chosen = [condition for condition, value in found.items() if value is not None]
        if self.states:
            values |= {f"state_{number}": state for number, state in enumerate(self.states)}
            chosen.append(f"state IN ({', '.join(f':state_{number}' for number in range(len(self.states)))})")
        readable = "json_each(CASE WHEN json_valid(tags) THEN tags ELSE '[]' END)"
        for number, tag in enumerate(self.tags):
            values[f"tag_{number}"] = tag
            chosen.append(f"EXISTS (SELECT 1 FROM {readable} WHERE value = :tag_{number})")
        return chosen, values
