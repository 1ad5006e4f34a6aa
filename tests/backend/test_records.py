"""Records against the tables that keep them: what is forgotten in one of them is found here."""

from __future__ import annotations

import sqlite3
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest

from backend.state.records import DETAILS, ModelRecord, Record, RunRecord, Standing, kinds, told
from backend.state.rows import MODEL_COLUMNS, RUN_COLUMNS, RUN_FACTS, SELECT, SUMMED, Table, to_run
from backend.state.store import Store
from backend.web.openapi import schemas
from backend.web.views import run_view
from tests.backend.samples import add_run

OF_THE_TABLE = {"models": {"sequence", "checksum"}, "runs": {"sequence", "checksum", "ended", "facts"}}
AFFINITY = {str: "TEXT", list: "TEXT", dict: "TEXT", bool: "INTEGER", int: "INTEGER", float: "REAL"}
CASES: list[tuple[Table, type[Record], tuple[str, ...]]] = [
    ("models", ModelRecord, MODEL_COLUMNS),
    ("runs", RunRecord, RUN_COLUMNS),
]


@pytest.mark.parametrize(("table", "record", "columns"), CASES)
def test_a_field_in_a_column_has_that_column(
    tmp_path: Path, table: Table, record: type[Record], columns: tuple[str, ...]
) -> None:
    path = tmp_path / "lamina.sqlite3"
    Store(path).close()
    connection = sqlite3.connect(path)
    found = {name: (kind, needed) for _, name, kind, needed, *_ in connection.execute(f"PRAGMA table_info({table})")}
    connection.close()
    assert found.keys() == set(columns) | OF_THE_TABLE[table]
    hints = get_type_hints(record)
    for name in columns:
        assert found[name] == (AFFINITY[kinds(record)[name]], int(NoneType not in get_args(hints[name]))), name


@pytest.mark.parametrize(("table", "record", "columns"), CASES)
def test_a_checksum_is_over_all_that_is_kept(table: Table, record: type[Record], columns: tuple[str, ...]) -> None:
    assert set(SUMMED[table]) == set(columns) | OF_THE_TABLE[table] - {"checksum"}


@cache
def documented() -> Any:
    """The fields of a run, as the OpenAPI document has them."""
    return schemas()["Run"]["properties"]


@pytest.mark.parametrize("name", [name for name in RUN_FACTS if told(RunRecord)[name].shown])
def test_a_field_without_a_column_is_kept_changed_and_told(tmp_path: Path, name: str) -> None:
    """Such as `kernels`, which is one line of the record: no table, view or document names it."""
    store = Store(tmp_path / "lamina.sqlite3")
    [default] = [field.default for field in fields(RunRecord) if field.name == name]
    usual, other = add_run(store, "r_1"), add_run(store, "r_2", **{name: "changed"})
    store.update_run("r_1", epoch=1)
    for run_id, run, value in (("r_1", usual, default), ("r_2", other, "changed")):
        assert getattr(run, name) == getattr(store.get_run(run_id), name) == value
        assert run_view(run, Standing({}), 0)[name] == value
    store.update_run("r_1", **{name: "later"}, epoch=2)
    [changed] = [run for run in store.list_runs() if run.run_id == "r_1"]
    assert (getattr(changed, name), changed.epoch) == ("later", 2)
    store.close()
    assert documented()[name]["description"] == told(RunRecord)[name].about


def test_a_run_of_an_older_and_of_a_newer_server_can_be_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "lamina.sqlite3")
    add_run(store, kernels="xla")
    with store._write() as connection:
        for facts, kernels in (("{}", "auto"), ('{"kernels":"products","of_tomorrow":[1]}', "products")):
            connection.execute("UPDATE runs SET facts = ?", (facts,))
            assert to_run(connection.execute(SELECT["runs"]).fetchone(), []).kernels == kernels
    store.close()


def test_what_makes_a_run_long_is_told() -> None:
    assert all(told(RunRecord)[name].shown for name in DETAILS)


def test_each_field_says_how_it_is_kept_and_told() -> None:
    how = told(RunRecord)
    assert how["dataset"].name == "dataset_type" and not how["curve"].shown
    assert how["metrics"].kept == "events" and how["run_id"].kept == "column"
    lasting = {name for name, each in how.items() if each.lasting}
    assert lasting > {"architecture", "hyperparams", "dataset", "versions", "metrics", "resumed_from"}
    assert not lasting & {"state", "epoch", "error", "resumable", "saved_model_path", "queued"}
