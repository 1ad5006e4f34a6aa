"""Benchmarks over HTTP: checked, queued between runs, told, kept, cancelled and deleted. The engine is a puppet."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from backend.cli.top import main
from backend.client import Client, Conflict, Event, NotFound
from backend.services import Services, start
from backend.state.benchmarks import with_cells
from backend.state.records import Json
from backend.state.store import STORE_FILE, Store
from backend.training.benchmarks import Benchmarks
from backend.training.default_dataset import DefaultDataset
from backend.training.engine import Advanced, Begun, Done, Measured, Said, Told
from backend.web.app import create_app
from nets.benchmarks.results import RESULTS
from nets.errors import BrokenRule
from tests.backend.conftest import BODY, COMPILED, out_of_reach, serving, settings, wait_running
from tests.backend.samples import eventually, read_frame
from tests.nets.benchmark_results import example

KEYS = {"body": "Plain", "device": "cpu:0", "machine": "here", "precision": "float32"}


def a_cell(batch_size: int, **fields: Any) -> Json:
    return {**KEYS, "batch_size": batch_size, **fields}


class Puppet:
    """An engine that measures nothing: it waits for `go` before each cell but the first."""

    def __init__(self) -> None:
        self.began, self.go, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.error: Exception | None = None
        self.requests: list[Json] = []

    def body(self, name: str) -> Json:
        if name != "mnist_mlp":
            raise BrokenRule(f"must be one of mnist_mlp, got {name!r}", "not_one_of")
        return BODY

    def completed(self, asked: Json) -> Json:
        defaults = {"devices": ["cpu:0"], "precisions": ["float32"], "batch_sizes": None, "repeats": 3}
        defaults |= {"target": None, "preset": "quick"}
        return {name: value if asked[name] is None else asked[name] for name, value in defaults.items()}

    def assembled(self, results: Json, cells: list[Json]) -> Json:
        whole: Json | None = with_cells(results, cells)
        assert whole is not None
        return whole

    def measure(self, request: Json) -> Generator[Told]:
        self.requests.append(request)
        results = {"schema": "lamina-bench/1", "name": "", "cells": [], "parity": []}
        try:
            yield Begun(results)
            yield Said("warning", "the machine is not quiet")
            cells = []
            for size in request["batch_sizes"] or [32]:
                cells.append(a_cell(size, loss={"value": 0.5}))
                yield Advanced(0.5, cell=a_cell(size), seconds_left=3.0)
                yield Measured(cells[-1])
                self.began.set()
                while not self.go.wait(0.01):
                    yield Advanced(0.5, cell=a_cell(size), seconds_left=2.0)
                if self.error:
                    raise self.error
            yield Done({**results, "cells": cells, "parity": [{"within": True}]})
        finally:
            self.closed.set()


@pytest.fixture
def puppet() -> Puppet:
    return Puppet()


@pytest.fixture
def start_server(tmp_path: Path, puppet: Puppet) -> Iterator[Callable[..., tuple[Services, FlaskClient]]]:
    """Servers on one state directory, one after the other."""
    running: list[Services] = []

    def started(**changes: Any) -> tuple[Services, FlaskClient]:
        while running:
            running.pop().close()
        chooser = DefaultDataset(tmp_path / "data", available=out_of_reach)
        parts = start(settings(tmp_path, **changes), default_dataset=chooser, programs=COMPILED, engine=puppet)
        running.append(parts)
        app = create_app(parts)
        app.testing = True
        return parts, app.test_client()

    yield started
    puppet.go.set()
    while running:
        running.pop().close()


@pytest.fixture
def client(start_server: Callable[..., tuple[Services, FlaskClient]]) -> FlaskClient:
    return start_server()[1]


def post(client: FlaskClient, **fields: Any) -> Json:
    answer = client.post("/api/benchmarks", json={"bodies": [{**BODY, "name": "Plain"}], **fields})
    assert answer.status_code == 202, answer.json
    accepted: Json = answer.json
    return accepted


def get(client: FlaskClient, benchmark: Json) -> Json:
    answer: Json = client.get(f"/api/benchmarks/{benchmark['benchmark_id']}").json
    return answer


def ended(client: FlaskClient, benchmark: Json) -> Json:
    eventually(lambda: get(client, benchmark)["state"] not in ("queued", "running"))
    return get(client, benchmark)


def events(client: FlaskClient, benchmark: Json, **headers: str) -> list[tuple[int | None, str, Json]]:
    """The whole stream of a benchmark that ends."""
    answer = client.get(f"/api/benchmarks/{benchmark['benchmark_id']}/events", headers=headers)
    with closing(answer):
        frames = [frame + b"\n\n" for frame in answer.data.split(b"\n\n") if frame]
    return [found for found in map(read_frame, frames) if found[1] not in (":", "retry")]


def test_a_benchmark_is_measured_and_kept(client: FlaskClient, puppet: Puppet) -> None:
    puppet.go.set()
    accepted = post(client, batch_sizes=[16, 64], precisions=["bfloat16"], devices=["cpu"], repeats=2, target=0.9)
    assert accepted["cells_total"] == 2 and accepted["name"] == "Plain" and "queue_position" not in accepted
    record = ended(client, accepted)
    assert record["state"] == "succeeded" and record["cells_measured"] == 2
    assert [cell["batch_size"] for cell in record["results"]["cells"]] == [16, 64]
    assert record["results"]["parity"] == [{"within": True}] and record["warnings"] == ["the machine is not quiet"]
    (request,) = puppet.requests
    assert {**request, "bodies": None} == {
        **{"bodies": None, "devices": ["cpu:0"], "precisions": ["bfloat16"], "batch_sizes": [16, 64]},
        **{"repeats": 2, "target": 0.9, "preset": "quick"},
    }
    assert request["bodies"][0]["body"]["hyperparams"]["optimizer"]["lr"] == 0.01
    listed = client.get("/api/benchmarks").json["benchmarks"]
    assert [each["benchmark_id"] for each in listed] == [accepted["benchmark_id"]] and "results" not in listed[0]


def test_its_events_can_be_taken_up_again(client: FlaskClient, puppet: Puppet) -> None:
    puppet.go.set()
    accepted = post(client, batch_sizes=[16, 64])
    ended(client, accepted)
    told = events(client, accepted)
    assert [name for _, name, _ in told] == ["state", "state", "log", "cell", "cell", "state"]
    assert [number for number, _, _ in told] == [1, 2, 3, 4, 5, 6]
    assert told[3][2] == {"benchmark_id": accepted["benchmark_id"], "cell": a_cell(16, loss={"value": 0.5})}
    assert events(client, accepted, **{"Last-Event-ID": "4"}) == told[4:]
    url = f"/api/benchmarks/{accepted['benchmark_id']}/events"
    assert client.get(url, headers={"Last-Event-ID": "6"}).status_code == 204
    with closing(client.get(f"{url}?events=cell")) as answer:
        assert b"event: cell" in answer.data and b"event: state" not in answer.data
    assert client.get(f"{url}?events=metric").status_code == 400


def test_progress_tells_which_cell_and_how_long(client: FlaskClient, puppet: Puppet) -> None:
    accepted = post(client)
    stream = client.get(accepted["events_url"]).iter_encoded()
    frame = next(frame for frame in stream if b"event: progress" in frame and b"measuring" in frame)
    data = read_frame(frame)[2]
    assert data["cell"]["batch_size"] == 32 and data["fraction"] == 0.5 and data["seconds_left"] in (2.0, 3.0)
    puppet.go.set()
    assert list(stream)


def test_runs_and_benchmarks_wait_for_each_other(client: FlaskClient, puppet: Puppet, held: threading.Event) -> None:
    first = post(client)
    assert puppet.began.wait(20)
    run = client.post("/api/train", json={**BODY, "queue": True}).json
    second = post(client)
    assert run["queue_position"] == 1 and second["queue_position"] == 2
    assert get(client, second)["queue_position"] == 2
    health = client.get("/api/health").json
    assert health["active_benchmark"] == first["benchmark_id"] and health["active_run"] is None
    assert health["queue_length"] == 2
    refused = client.post("/api/train", json=BODY)
    assert (
        refused.status_code == 409 and f"POST /api/benchmarks/{first['benchmark_id']}/cancel" in refused.json["error"]
    )
    refused = client.post("/api/benchmarks", json={"bodies": [BODY], "queue": False})
    assert refused.status_code == 409 and "nothing else runs beside it" in refused.json["error"]
    puppet.go.set()
    wait_running(client, run["run_id"])
    assert get(client, first)["state"] == "succeeded" and get(client, second)["queue_position"] == 1
    assert len(puppet.requests) == 1
    client.post(f"/api/runs/{run['run_id']}/cancel")
    assert ended(client, second)["state"] == "succeeded"
    assert [data.get("queue_position") for _, name, data in events(client, second) if name == "state"][:2] == [2, 1]


def test_a_cancel_keeps_what_is_measured(client: FlaskClient, puppet: Puppet) -> None:
    accepted = post(client, batch_sizes=[16, 64])
    assert puppet.began.wait(20)
    url = f"/api/benchmarks/{accepted['benchmark_id']}"
    running = get(client, accepted)
    assert running["state"] == "running" and [cell["batch_size"] for cell in running["results"]["cells"]] == [16]
    assert client.delete(url).status_code == 409
    assert client.post(f"{url}/cancel").json["state"] == "cancelling"
    record = ended(client, accepted)
    assert puppet.closed.is_set()
    assert record["state"] == "cancelled" and [cell["batch_size"] for cell in record["results"]["cells"]] == [16]
    refused = client.post(f"{url}/cancel")
    assert refused.status_code == 409 and "The state of benchmark" in refused.json["error"]
    assert client.delete(url).json == {"benchmark_id": accepted["benchmark_id"], "deleted": True}
    assert (
        client.get(url).status_code == client.delete(url).status_code == client.post(f"{url}/cancel").status_code == 404
    )


def test_one_that_waits_is_cancelled_at_once(client: FlaskClient, puppet: Puppet) -> None:
    post(client)
    waiting = post(client)
    assert client.post(f"/api/benchmarks/{waiting['benchmark_id']}/cancel").status_code == 202
    assert get(client, waiting)["state"] == "cancelled" and get(client, waiting)["results"] is None
    assert client.post(f"/api/runs/{waiting['benchmark_id']}/cancel").status_code == 404


def test_what_goes_wrong_leaves_what_was_measured(client: FlaskClient, puppet: Puppet) -> None:
    puppet.error = RuntimeError("no such luck")
    puppet.go.set()
    record = ended(client, post(client))
    assert record["state"] == "failed" and "RuntimeError: no such luck" in record["error"]
    assert len(record["results"]["cells"]) == 1


def test_the_end_of_a_server_keeps_what_was_measured_and_who_waits(
    start_server: Callable[..., tuple[Services, FlaskClient]], puppet: Puppet
) -> None:
    _, client = start_server()
    first, second = post(client, batch_sizes=[16, 64]), post(client)
    assert puppet.began.wait(20)
    _, client = start_server()
    record = get(client, first)
    assert record["state"] == "interrupted" and "interrupted: the server stopped" in record["error"]
    assert [cell["batch_size"] for cell in record["results"]["cells"]] == [16]
    puppet.go.set()
    assert ended(client, second)["state"] == "succeeded"


def test_a_server_that_was_killed_leaves_an_interrupted_benchmark(
    start_server: Callable[..., tuple[Services, FlaskClient]], puppet: Puppet
) -> None:
    parts, client = start_server()
    accepted = post(client)
    assert puppet.began.wait(20)
    parts.runs._handlers["benchmark"].log.transition = lambda *_, **__: None  # type: ignore[attr-defined]
    _, client = start_server()
    record = get(client, accepted)
    assert record["state"] == "interrupted" and len(record["results"]["cells"]) == 1
    assert [name for _, name, _ in events(client, accepted)][-2:] == ["cell", "state"]


@pytest.mark.parametrize(
    ("fields", "place", "words"),
    [
        ({"bodies": []}, "/bodies", "must have 1 to 16 items, got 0"),
        ({"bodies": [3]}, "/bodies/0", "must be an object or the name of a network"),
        ({"bodies": ["mnist_mlp", "nmist"]}, "/bodies/1", "must be one of mnist_mlp"),
        ({"devices": ["cpu", "gpu:7"]}, "/devices/1", "the devices here"),
        ({"devices": ["cpu", "cpu:0"]}, "/devices/1", "must come once"),
        ({"precisions": ["float16"]}, "/precisions/0", "must be one of float32, bfloat16"),
        ({"batch_sizes": [64, 0]}, "/batch_sizes/1", "must be 1 to 65536"),
        ({"repeats": 99}, "/repeats", "must be at most 20"),
        ({"target": 1.5}, "/target", "must be less than 1"),
        ({"batchsizes": [1]}, "/batchsizes", "Did you mean 'batch_sizes'?"),
        ({"bodies": [{**BODY, "resume_from": "r_1"}]}, "/bodies/0/resume_from", "begins with new weights"),
        ({"bodies": [{"hyperparams": {}}]}, "/bodies/0/architecture", "is required"),
        ({"bodies": ["mnist_mlp"] * 16, "batch_sizes": list(range(2, 18)), "repeats": 20}, "/bodies", "measurements"),
    ],
)
def test_what_cannot_be_measured_is_refused(client: FlaskClient, fields: Json, place: str, words: str) -> None:
    answer = client.post("/api/benchmarks", json={"bodies": [BODY], **fields})
    assert answer.status_code == 400
    assert [(problem["pointer"], words in problem["detail"]) for problem in answer.json["errors"]] == [(place, True)]


def test_every_body_is_checked_as_train_checks_it(client: FlaskClient) -> None:
    layers = [{"type": "linear", "out": 10}, {"type": "linear", "in": 3000, "out": 10}]
    wrong = {"architecture": {**BODY["architecture"], "layers": layers}, "hyperparams": {"epochs": 0}}
    answer = client.post("/api/benchmarks", json={"bodies": [BODY, wrong], "repeats": 0})
    places = [problem["pointer"] for problem in answer.json["errors"]]
    assert {"/bodies/1/architecture/layers/1/in", "/bodies/1/hyperparams/epochs", "/repeats"} == set(places)
    fixes = [problem["fix"] for problem in answer.json["errors"] if problem.get("fix")]
    assert fixes and all(change["path"].startswith("/bodies/1/") for fix in fixes for change in fix)


def test_a_body_may_name_a_stored_model(client: FlaskClient, puppet: Puppet) -> None:
    puppet.go.set()
    model = client.post("/api/models", json={**BODY, "name": "Stored"}).json["model_id"]
    record = ended(client, post(client, bodies=[{"model_id": model}, {"model_id": model}, "mnist_mlp"]))
    assert [body["name"] for body in record["request"]["bodies"]] == ["Stored", "Stored #2", "mnist_mlp"]
    assert record["request"]["bodies"][0]["body"]["architecture"] == BODY["architecture"]
    assert client.post("/api/benchmarks", json={"bodies": [{"model_id": "none"}]}).status_code == 404


def test_the_list_has_pages(client: FlaskClient, puppet: Puppet) -> None:
    puppet.go.set()
    made = [post(client)["benchmark_id"] for _ in range(3)]
    first = client.get("/api/benchmarks?limit=2").json
    second = client.get(f"/api/benchmarks?limit=2&before={first['next']}").json
    found = [each["benchmark_id"] for page in (first, second) for each in page["benchmarks"]]
    assert found == made[::-1] and second["next"] is None


def test_damaged_results_are_left_out_and_told(client: FlaskClient, puppet: Puppet, tmp_path: Path) -> None:
    puppet.go.set()
    accepted = post(client)
    ended(client, accepted)
    with closing(Store(tmp_path / "state" / STORE_FILE)) as store, store.writing() as connection:
        connection.execute("UPDATE benchmarks SET results = replace(results, '0.5', '0.6')")
    record = get(client, accepted)
    assert record["results"] is None and "results of benchmark" in record["warnings"][-1]
    assert any("results of benchmark" in warning for warning in client.get("/api/health").json["warnings"])


def test_old_benchmarks_go_as_runs_do(
    start_server: Callable[..., tuple[Services, FlaskClient]], puppet: Puppet
) -> None:
    puppet.go.set()
    _, client = start_server(keep_runs=1)
    made = [post(client) for _ in range(3)]
    ended(client, made[-1])
    eventually(lambda: len(client.get("/api/benchmarks").json["benchmarks"]) == 1)
    assert get(client, made[-1])["state"] == "succeeded"


def test_a_client_asks_and_follows(start_server: Callable[..., tuple[Services, FlaskClient]], puppet: Puppet) -> None:
    parts, _ = start_server()
    puppet.go.set()
    with serving(create_app(parts)) as url:
        lamina = Client(url)
        started = lamina.bench(["mnist_mlp", BODY], batch_sizes=[16])
        told: list[Event] = []
        found = lamina.wait_for_benchmark(started, on_event=told.append)
        assert found.state == "succeeded" and found.results is not None and found.ended
        assert [event.name for event in told if event.name != "progress"] == ["state", "state", "log", "cell", "state"]
        assert [each.benchmark_id for each in lamina.benchmarks()] == [found.benchmark_id]
        assert lamina.benchmark(found.benchmark_id[:8]).name == lamina.benchmark(found.name).name == found.name
        with pytest.raises(Conflict):
            lamina.cancel_benchmark(found)
        lamina.delete_benchmark(found)
        with pytest.raises(NotFound):
            lamina.benchmark(found.benchmark_id)


def test_the_command_lists_shows_and_deletes(
    start_server: Callable[..., tuple[Services, FlaskClient]], puppet: Puppet, capsys: pytest.CaptureFixture[str]
) -> None:
    parts, _ = start_server()
    puppet.go.set()

    def said(*words: str) -> str:
        assert main(["benchmarks", *words, "--url", url]) == 0
        return capsys.readouterr().out

    with serving(create_app(parts)) as url:
        benchmark_id = Client(url).bench([BODY], name="Side by side").benchmark_id
        assert "succeeded" in said(benchmark_id[:6], "--follow")
        assert "Side by side" in said() and said("-q").strip() == benchmark_id
        assert "linear" in said("Side by side") or "cpu:0" in said("Side by side")
        assert json.loads(said(benchmark_id, "--json"))["results"]["cells"]
        assert main(["benchmarks", benchmark_id, "--cancel", "--url", url]) == 1
        assert main(["benchmarks", "--delete", "--url", url]) == 2
        assert "deleted" in said(benchmark_id, "--delete")
        assert main(["benchmarks", benchmark_id, "--url", url]) == 4


def test_its_results_are_files(client: FlaskClient, puppet: Puppet, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = post(client)
    url = f"/api/benchmarks/{accepted['benchmark_id']}"
    for form in ("json", "csv", "html"):
        early = client.get(f"{url}.{form}")
        assert early.status_code == 409 and "nothing has been measured" in early.json["error"]
    monkeypatch.setattr(Benchmarks, "results", lambda self, benchmark_id: example())
    puppet.go.set()
    ended(client, accepted)
    assert RESULTS.validate_json(client.get(f"{url}.json").data) == example()
    assert len(client.get(f"{url}.csv").text.splitlines()) == 1 + len(example()["cells"])
    page = client.get(f"{url}.html")
    assert page.mimetype == "text/html" and "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<svg" in page.text and "://" not in page.text
