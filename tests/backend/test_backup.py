"""Benchmarks outlive a move: exported, imported, merged, and into a store of an earlier version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from backend.events.wire import state_data
from backend.state.archive import ArchiveError, export_state, import_state
from backend.state.merge import Merged, merge_state
from backend.state.payloads import benchmark_state
from backend.state.records import BenchmarkRecord, Json
from backend.state.store import STORE_FILE, Store
from tests.backend.samples import add_run
from tests.backend.test_archive import silent
from tests.backend.test_state import a_store_of_version

CELL = {"body": "mlp", "device": "cpu:0", "machine": "here", "precision": "float32", "batch_size": 64}
RESULTS: Json = {"schema": "lamina-bench/1", "cells": [], "parity": []}


def add_benchmark(store: Store, benchmark_id: str) -> None:
    record = BenchmarkRecord(benchmark_id, "queued", "2026-01-01T00:00:00+00:00", f"name of {benchmark_id}", {}, 2)
    store.create_benchmark(record, benchmark_state(benchmark_id, "queued"))


def begin(store: Store, benchmark_id: str) -> None:
    """It has measured one cell of two."""
    store.transition_benchmark(benchmark_id, "running", data=benchmark_state(benchmark_id, "running"))
    store.keep_results(benchmark_id, RESULTS)
    data = {"benchmark_id": benchmark_id, "cell": CELL}
    store.append_benchmark_event(benchmark_id, "cell", data, cells_measured=1)


def end(store: Store, benchmark_id: str) -> None:
    whole = {**RESULTS, "cells": [CELL, CELL]}
    data = benchmark_state(benchmark_id, "succeeded")
    store.transition_benchmark(benchmark_id, "succeeded", data=data, results=whole, cells_measured=2)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Of a state with a run, and benchmarks that have ended, are measured, and wait."""
    (tmp_path / "theirs").mkdir()
    with closing(Store(tmp_path / "theirs" / STORE_FILE)) as store:
        add_run(store, "r_theirs")
        for benchmark_id in ("b_ended", "b_measured", "b_waiting"):
            add_benchmark(store, benchmark_id)
        begin(store, "b_ended")
        end(store, "b_ended")
        begin(store, "b_measured")
    export_state(tmp_path / "theirs", tmp_path / "a.tar", progress=silent)
    return tmp_path / "a.tar"


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "ours").mkdir()
    store = Store(tmp_path / "ours" / STORE_FILE)
    add_benchmark(store, "b_ours")
    yield store
    store.close()


def merged(archive: Path, store: Store) -> Merged:
    def ending(run_id: str, error: str) -> Json:
        return state_data(run_id, "failed", error=error)

    return merge_state(archive, store._path.parent, ending=ending, held=nullcontext(), progress=silent)


def states(store: Store) -> dict[str, str]:
    return {record.benchmark_id: record.state for _, record in store.each_benchmark()}


def test_an_import_has_every_benchmark_with_its_results_and_events(archive: Path, tmp_path: Path) -> None:
    import_state(archive, tmp_path / "there", progress=silent)
    with (
        closing(Store(tmp_path / "theirs" / STORE_FILE)) as store,
        closing(Store(tmp_path / "there" / STORE_FILE)) as it,
    ):
        for benchmark_id in ("b_ended", "b_measured", "b_waiting"):
            assert it.get_benchmark(benchmark_id) == store.get_benchmark(benchmark_id)
            assert it.results_of(benchmark_id) == store.results_of(benchmark_id)
            assert it.benchmark_events(benchmark_id) == store.benchmark_events(benchmark_id)
        it.verify()
        assert it.unreadable.sentences() == []


def test_a_merge_adds_benchmarks_and_keeps_what_an_active_one_had_measured(archive: Path, ours: Store) -> None:
    done = merged(archive, ours)
    assert (done.benchmarks, done.same_benchmarks) == (3, 0)
    expected = {"b_ours": "queued", "b_ended": "succeeded", "b_measured": "interrupted", "b_waiting": "interrupted"}
    assert states(ours) == expected
    cut = ours.get_benchmark("b_measured")
    assert cut is not None and "exported while" in (cut.error or "") and cut.cells_measured == 1
    kept, whole = ours.results_of("b_measured"), ours.results_of("b_ended")
    assert kept is not None and kept["cells"] == [CELL] and whole is not None and len(whole["cells"]) == 2
    assert ours.benchmark_events("b_measured")[-1].data["state"] == "interrupted"
    ours.verify()
    assert ours.unreadable.sentences() == []
    again = merged(archive, ours)
    assert (again.benchmarks, again.same_benchmarks) == (0, 3) and states(ours) == expected


def test_a_merge_refuses_another_benchmark_of_the_same_id(archive: Path, ours: Store) -> None:
    add_benchmark(ours, "b_ended")
    with pytest.raises(ArchiveError, match="b_ended"):
        merged(archive, ours)
    assert states(ours) == {"b_ours": "queued", "b_ended": "queued"}, "all of it, or nothing"


def test_a_store_of_an_earlier_version_gets_benchmarks(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "older" / STORE_FILE
    path.parent.mkdir()
    a_store_of_version(5, path)
    with closing(Store(path)) as store:
        assert [run.run_id for run in store.list_runs()] and states(store) == {}
        assert merged(archive, store).benchmarks == 3
        add_benchmark(store, "b_new")
        assert states(store)["b_new"] == "queued"
        store.verify()
