"""How the server says that it is, while everything else is well, full, gone or stuck."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

from backend.state import writable
from tests.backend.conftest import Trained, parts
from tests.backend.samples import DEADLINE


def test_health(trained: Trained) -> None:
    report = trained.client.get("/api/health").json
    assert report["status"] == "ok" and report["store_writable"] is True
    assert report["version"] and report["uptime_seconds"] > 0 and report["disk_free_bytes"] > 0
    assert report["devices"][0].keys() >= {"id", "platform", "kind"}
    assert (report["active_run"], report["queue_length"]) == (None, 0)


def test_health_says_when_nothing_can_be_written(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writable, "BELIEVED", 0.0)
    monkeypatch.setattr(writable.tempfile, "TemporaryFile", full)
    report = trained.client.get("/api/health")
    assert report.status_code == 200 and report.json["status"] == "degraded" and not report.json["store_writable"]


def test_health_answers_without_a_state_directory(app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(writable, "BELIEVED", 0.0)
    (tmp_path / "state").rename(tmp_path / "moved")
    assert app.test_client().get("/api/health").json["status"] == "degraded"


def test_health_is_about_the_store_itself(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writable, "BELIEVED", 0.0)
    ask = app.test_client().get
    assert ask("/api/health").json["store_writable"] is True
    parts(app).store._writer.execute("PRAGMA query_only = ON")
    assert ask("/api/health").json["store_writable"] is False
    parts(app).store._writer.execute("PRAGMA query_only = OFF")
    assert ask("/api/health").json["store_writable"] is True


def test_health_answers_while_the_store_and_the_runs_are_stuck(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writable, "BELIEVED", 0.0)
    monkeypatch.setattr(writable, "PATIENCE", 0.05)
    here = parts(app)
    with ThreadPoolExecutor() as pool, here.store._lock, here.runs._condition:
        for answer in [pool.submit(app.test_client().get, "/api/health") for _ in range(3)]:
            assert answer.result(DEADLINE).json["status"] == "degraded"


def test_health_waits_no_longer_for_another_process_that_writes(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writable, "BELIEVED", 0.0)
    monkeypatch.setattr(writable, "PATIENCE", 0.05)
    store, ask = parts(app).store, app.test_client().get
    with closing(sqlite3.connect(store._path, isolation_level=None)) as other, ThreadPoolExecutor() as pool:
        other.execute("BEGIN IMMEDIATE")
        try:
            assert pool.submit(ask, "/api/health").result(DEADLINE).json["status"] == "degraded"
        finally:
            other.execute("ROLLBACK")
    assert ask("/api/health").json["status"] == "ok"
    assert store._writer.execute("PRAGMA busy_timeout").fetchone()[0] == 60_000
