"""Lists of runs: each filter and each order against the same done by hand, page by page, whatever changes meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.state.errors import UnknownCursor
from backend.state.listing import REMEMBERED, Places
from backend.state.records import Json, RunRecord
from backend.state.selection import SORTS, Selection, Sort
from backend.state.store import Store
from tests.backend.conftest import parts
from tests.backend.samples import a_run, add_run

COUNT = 60
STATES = ("queued", "running", "succeeded", "failed", "cancelled")
EPOCH: Json = {"val_accuracy": 0.5, "train_loss": 1.0, "train_accuracy": 0.5, "learning_rate": 0.1, "epoch_time": 1.0}


def the_run(number: int) -> RunRecord:
    """Runs that differ in all that can be asked for; ties and missing values among them."""
    value = (number * 37 % 20) / 20
    metric = {**EPOCH, "epoch": 1, "val_loss": value, "samples_per_sec": 100 * value}
    return a_run(
        f"r_{number}",
        model_id=f"m_{number % 3}",
        state=STATES[number % 5],
        created_at=f"2026-11-{1 + number % 28:02d}T10:00:00.000000+00:00",
        started_at=None if number % 4 == 0 else "2026-11-01T10:00:00.000000+00:00",
        completed_at=None if number % 4 == 0 else f"2026-11-01T10:{number * 7 % 60:02d}:00.000000+00:00",
        name=f"{'Größe' if number % 2 else 'rate'} {number * 7 % COUNT}",
        tags=[tag for tag, every in (("all", 1), ('say "hi"', 2), ("third", 3)) if number % every == 0],
        dataset="digits" if number % 3 else "mnist",
        device=None if number % 7 == 0 else f"cpu: {'Xeon' if number % 2 else 'EPYC'}, 2 cores",
        compile_seconds=value if number % 5 else None,
        test_accuracy=value if number % 6 else None,
        test_loss=-value if number % 6 else None,
        epoch=number % 4,
        summary={"best": metric, "last": metric, "reached": metric} if number % 5 else None,
    )


RUNS = [the_run(number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "lamina.sqlite3"
    store = Store(path)
    for run in RUNS:
        add_run(store, run.run_id, **{name: value for name, value in vars(run).items() if name != "run_id"})
    store.close()
    return path


@pytest.fixture(scope="module")
def store(path: Path) -> Iterator[Store]:
    """Shared: tests only read it."""
    store = Store(path)
    yield store
    store.close()


@pytest.fixture
def copied(path: Path, tmp_path: Path) -> Iterator[Store]:
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    store = Store(copy)
    yield store
    store.close()


def listed(store: Store, selection: Selection) -> list[str]:
    return [run.run_id for _, run in store.each_run(selection, details=())]


FILTERS: list[tuple[Selection, Callable[[RunRecord], bool]]] = [
    (Selection(model_id="m_1"), lambda run: run.model_id == "m_1"),
    (Selection(states=("failed", "queued")), lambda run: run.state in ("failed", "queued")),
    (Selection("m_2", ("failed",)), lambda run: (run.model_id, run.state) == ("m_2", "failed")),
    (Selection(tags=("third",)), lambda run: "third" in run.tags),
    (Selection(tags=("third", 'say "hi"')), lambda run: {"third", 'say "hi"'} <= set(run.tags)),
    (Selection(tags=("thir",)), lambda run: False),
    (Selection(name="GRÖSSE 1"), lambda run: "größe 1".casefold() in run.name.casefold()),
    (Selection(name="%"), lambda run: False),
    (Selection(begins="r_4"), lambda run: run.run_id.startswith("r_4")),
    (Selection(begins="r_4%"), lambda run: False),
    (Selection(dataset="mnist"), lambda run: run.dataset == "mnist"),
    (Selection(device="xeon"), lambda run: "Xeon" in (run.device or "")),
    (Selection(created_after="2026-11-20"), lambda run: run.created_at >= "2026-11-20"),
    (Selection(created_before="2026-11-05"), lambda run: run.created_at < "2026-11-05"),
    (
        Selection("m_0", ("succeeded", "failed"), ("all",), "rate", "mnist", "epyc", "2026-11-03", "2026-11-27"),
        lambda run: run.model_id == "m_0" and run.state in ("succeeded", "failed") and "rate" in run.name
        and "EPYC" in (run.device or "") and "2026-11-03" <= run.created_at < "2026-11-27",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("selection", "fits"), FILTERS)
def test_a_list_has_what_fits_all_filters_newest_first(
    store: Store, selection: Selection, fits: Callable[[RunRecord], bool]
) -> None:
    wanted = [run.run_id for run in reversed(RUNS) if fits(run)]
    assert listed(store, selection) == wanted
    ascending = replace(selection, sort=Sort("created_at"))
    assert sorted(listed(store, ascending)) == sorted(wanted)
    [(cursor, _)] = islice(store.each_run(selection, details=()), 1) if wanted else [(1, None)]
    assert [run.run_id for _, run in store.each_run(selection, before=cursor, details=())] == wanted[1:]


def value(run: RunRecord, name: str) -> Any:
    """What a run is sorted by."""
    if name == "seconds":
        return None if run.completed_at is None else int(run.completed_at[14:16])
    if name == "name":
        return run.name.casefold()
    if name in vars(run):
        return getattr(run, name)
    part, _, metric = name.rpartition(".")
    return run.summary[part or "reached"][metric] if run.summary else None


@pytest.mark.parametrize("name", SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_a_list_is_sorted_and_goes_on_page_by_page(store: Store, name: str, descending: bool) -> None:
    there = [run for run in reversed(RUNS) if value(run, name) is not None]
    missing = [run for run in reversed(RUNS) if value(run, name) is None]
    there.sort(key=lambda run: value(run, name), reverse=descending)
    if descending:  # of equal ones the newest still comes first
        there.sort(key=lambda run: -RUNS.index(run))
        there.sort(key=lambda run: value(run, name), reverse=True)
    wanted = [run.run_id for run in there + missing]
    selection = Selection(sort=Sort(name, descending))
    assert listed(store, selection) == wanted
    told: list[str] = []
    before = None
    while page := list(islice(store.each_run(selection, before=before, details=()), 7)):
        told += [run.run_id for _, run in page]
        before = page[-1][0]
        if len(told) % 2:
            store._places._keys.clear()  # as a server that starts again
    assert told == wanted


def test_a_sorted_list_goes_on_behind_what_was_deleted_or_changed(copied: Store) -> None:
    selection = Selection(sort=Sort("test_accuracy", descending=True))
    wanted = listed(copied, selection)
    cursor, last = list(islice(copied.each_run(selection, details=()), 10))[-1]

    def then() -> list[str]:
        return [run.run_id for _, run in islice(copied.each_run(selection, before=cursor, details=()), 5)]

    copied.update_run(last.run_id, test_accuracy=0.0)
    assert then() == wanted[10:15]
    with copied._write() as connection:
        connection.execute("DELETE FROM runs WHERE run_id = ?", (last.run_id,))
    assert then() == wanted[10:15]
    copied._places._keys.clear()
    with pytest.raises(UnknownCursor):
        next(copied.each_run(selection, before=cursor))


def test_no_more_places_are_remembered_than_some() -> None:
    places = Places()
    for number in range(REMEMBERED + 1):
        places.keep(Sort("name"), number, "x")
    assert places.find(Sort("name"), 0) is None and places.find(Sort("name", True), 1) == ("x",)


def test_a_long_list_looks_at_no_long_field(store: Store) -> None:
    """The index has all that is filtered and sorted by."""
    for name in SORTS:
        selection = Selection("m_1", ("failed", "queued"), ("all",), "a", "digits", "x", "2026", "2027", Sort(name))
        conditions, values = selection.conditions()
        query = (
            f"SELECT sequence FROM runs INDEXED BY runs_listed WHERE {' AND '.join(conditions)} ORDER BY {SORTS[name]}"
        )
        with store._read() as connection:
            plan = [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
        assert "SCAN runs USING COVERING INDEX runs_listed" in plan


def test_damaged_rows_are_left_out_of_every_order(copied: Store) -> None:
    damage = ("summary = '{'", "tags = '['", "name = CAST(x'ff' AS TEXT)", "test_accuracy = 'high'")
    with copied._write() as connection:
        for number, settings in enumerate(damage, start=1):
            connection.execute(f"UPDATE runs SET {settings} WHERE run_id = 'r_{number}'")
    left = {run.run_id for run in RUNS[:1] + RUNS[5:]}
    for name in SORTS:
        assert set(listed(copied, Selection(sort=Sort(name)))) == left
    assert set(listed(copied, Selection(tags=("all",), name="r"))) <= left
    assert len(copied.unreadable.sentences()) == 4


QUERIES = [
    ("sort=-test_accuracy&state=failed,succeeded&limit=2", ["r_b", "r_a"]),
    ("tag=one,two", ["r_b"]),
    ("tag=one&sort=name", ["r_a", "r_b"]),
    ("name=BETA&dataset_type=digits", ["r_b"]),
    ("device=xeon", ["r_a"]),
    ("created_after=2026-11-02&created_before=2026-11-03T00:00:00%2B02:00", ["r_b"]),
    ("created_after=2026-11-02T14:00:00+02:00&created_before=2026-11-02T12:00:00.000001Z", ["r_b"]),
]
WRONG = [
    ("sort=acuracy", "sort: must be one of .*test_accuracy.*-.*got .*Did you mean 'val_accuracy'"),
    ("sort=val_los", "Did you mean 'val_loss'"),
    ("sort=", "sort: must be one of"),
    ("sort=name&before=77", "before: must be the next of a page before.*77"),
    ("tag=a,,b", "tag: each must be printable"),
    ("tag=", "tag: each must be"),
    ("name=", "name: must not be blank"),
    ("dataset_type=mnits", "Did you mean 'mnist'"),
    ("created_after=yesterday", 'created_after: must be a date or a time by ISO 8601.*got "yesterday"'),
    ("created_before=0001-01-01T00:00:00%2B14:00", "created_before: must be a date or a time"),
    ("state=failed,done", "state: must be one or more of"),
]


@pytest.fixture
def with_two(app: Flask) -> FlaskClient:
    store = parts(app).store
    two = {"r_a": ("alpha", ["one"], "cpu: Xeon", 0.5), "r_b": ("Beta", ["two", "one"], None, 0.75)}
    for number, (run_id, (name, tags, device, accuracy)) in enumerate(two.items(), start=1):
        created = f"2026-11-0{number}T12:00:00.000000+00:00"
        labels = {"name": name, "tags": tags, "device": device, "test_accuracy": accuracy, "created_at": created}
        add_run(store, run_id, state="succeeded", **labels)
    return app.test_client()


def test_lists_are_asked_for_by_the_query(with_two: FlaskClient) -> None:
    for query, wanted in QUERIES:
        answer = with_two.get(f"/api/runs?{query}")
        assert answer.status_code == 200, answer.json
        assert [run["run_id"] for run in answer.json["runs"]] == wanted, query
    page = with_two.get("/api/runs?sort=name&limit=1").json
    assert [run["name"] for run in page["runs"]] == ["alpha"] and page["next"]
    rest = with_two.get(f"/api/runs?sort=name&limit=1&before={page['next']}").json
    assert [run["name"] for run in rest["runs"]] == ["Beta"] and rest["next"] is None


def test_a_wrong_query_is_told_its_rule(with_two: FlaskClient) -> None:
    for query, message in WRONG:
        answer = with_two.get(f"/api/runs?{query}")
        assert answer.status_code == 400 and re.search(message, answer.json["error"]), (query, answer.json)
