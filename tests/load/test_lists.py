"""What lists cost on a store of 20,000 runs and ten runs of 100,000 epochs. Figures are printed."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from backend.config import Settings
from backend.demo.local_server import LocalServer, free_port
from backend.state.curve import SHOWN
from backend.web.pages import PAGE_BYTES
from tests.load.clients import worker_of
from tests.load.full_store import fill

pytestmark = pytest.mark.slow

RUNS, LONG, EPOCHS = 20_000, 10, 100_000
LONGEST_ANSWER = 0.050  # seconds, 99 of 100
MOST_MEMORY = 100 << 20  # for four long answers at one time
EVERYTHING = "include=metrics,sample_predictions,architecture"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    place = tmp_path_factory.mktemp("lists")
    fill(place / "state", runs=RUNS, long=LONG, epochs=EPOCHS)
    settings = Settings(port=free_port(first=0), state_dir=place / "state", data_dir=place / "d", log_level="warning")
    with LocalServer(settings) as running:
        running.wait_until_healthy()
        yield running
    shutil.rmtree(place)  # more than a gigabyte


def fetch(server: LocalServer, path: str) -> bytes:
    with urlopen(server.client.url + path) as answer:
        body: bytes = answer.read()
    return body


def seconds(server: LocalServer, path: str) -> float:
    began = time.monotonic()
    fetch(server, path)
    return time.monotonic() - began


@pytest.mark.timed
@pytest.mark.parametrize(
    "query", ["", "?model_id=m_7", "?state=succeeded", "?state=failed", "?model_id=m_7&state=failed"]
)
def test_the_usual_list_is_small_and_quick(server: LocalServer, query: str) -> None:
    path = f"/api/runs{query}"
    rounds = [
        sorted(seconds(server, path) for _ in range(100))[98] for _ in range(3)
    ]  # what else runs here is not ours
    size = len(fetch(server, path))
    print(f"{path}: 99 of 100 within {1000 * min(rounds):.0f} ms, {size / 1000:.0f} kB")
    assert min(rounds) < LONGEST_ANSWER and size < 100_000


@pytest.mark.parametrize(
    "path",
    [
        "/api/runs?limit=10000",
        f"/api/runs?limit=10000&{EVERYTHING}",
        "/api/models/m_7?limit=10000",
        "/api/models/m_long",
        "/api/models?limit=10000",
        "/api/runs/r_long_3/metrics",
        "/api/runs/r_long_3/metrics.csv",
    ],
)
def test_four_long_answers_at_one_time_take_a_bounded_memory(server: LocalServer, path: str) -> None:
    worker = worker_of(server)
    fetch(server, path)  # what the first request of a kind loads stays
    before = peak = worker.memory_info().rss
    began = time.monotonic()
    askers = [threading.Thread(target=fetch, args=(server, path)) for _ in range(4)]
    for asker in askers:
        asker.start()
    while any(asker.is_alive() for asker in askers):
        peak = max(peak, worker.memory_info().rss)
        time.sleep(0.005)
    print(f"four {path}: {(peak - before) >> 20} MB, {time.monotonic() - began:.1f} s")
    assert peak - before < MOST_MEMORY


def test_long_lists_are_whole_page_by_page(server: LocalServer) -> None:
    seen: list[str] = []
    query = ""
    while True:
        body = fetch(server, f"/api/runs?limit=10000{query}")
        assert len(body) < PAGE_BYTES * 1.01
        page: dict[str, Any] = json.loads(body)
        seen += [run["run_id"] for run in page["runs"]]
        if page["next"] is None:
            break
        query = f"&before={page['next']}"
    assert seen == [f"r_long_{number}" for number in reversed(range(LONG))] + [f"r_{n}" for n in reversed(range(RUNS))]


def test_a_model_of_long_runs_shows_what_tells_most(server: LocalServer) -> None:
    body = fetch(server, "/api/models/m_long")
    print(f"a model with {LONG} runs of {EPOCHS} epochs: {len(body) / 1000:.0f} kB")
    assert len(body) < 1_000_000
    for run in json.loads(body)["runs"]:
        epochs = [metric["epoch"] for metric in run["metrics"]]
        assert (epochs[0], epochs[-1], run["metrics_total"]) == (1, EPOCHS, EPOCHS) and len(epochs) <= SHOWN
    whole = json.loads(fetch(server, "/api/runs/r_long_3/metrics"))
    assert [metric["epoch"] for metric in whole["metrics"]] == list(range(1, EPOCHS + 1))
