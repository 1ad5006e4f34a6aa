"""The event stream of a run as the application gives it."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.backend.conftest import BODY, Trained, finish, offline_app, parts, wait_running
from tests.backend.samples import read_frame


@pytest.fixture(scope="module")
def client(trained: Trained) -> FlaskClient:
    return trained.client


def events(text: bytes) -> list[tuple[int | None, str, dict[str, Any]]]:
    return [read_frame(frame + b"\n\n") for frame in text.split(b"\n\n") if frame]


def test_the_history_of_a_finished_run_is_replayed(trained: Trained) -> None:
    answer = trained.client.get(f"/api/runs/{trained.run_id}/events")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-cache, no-transform" and answer.headers["X-Accel-Buffering"] == "no"
    told = events(answer.data)
    assert told[0][1] == "retry" and [event[0] for event in told[1:]] == list(range(1, len(told)))
    states = [data for _, name, data in told if name == "state"]
    assert [data["state"] for data in states] == ["queued", "running", "succeeded"]
    assert all(data.keys() >= {"run_id", "state", "error", "test_accuracy", "sample_predictions"} for data in states)
    assert [data["epoch"] for _, name, data in told if name == "metric"] == [1, 2]
    last = told[-1][2]
    assert last["state"] == "succeeded" and 0 <= last["test_accuracy"] <= 1 and len(last["sample_predictions"]) == 8
    for sample in last["sample_predictions"]:
        assert len(sample["grid"]) == 28 and {len(row) for row in sample["grid"]} == {28}
        assert all(type(value) is int and 0 <= value <= 255 for row in sample["grid"] for value in row)
        assert type(sample["label"]) is type(sample["prediction"]) is int and 0 <= sample["confidence"] <= 1


def test_a_reader_that_comes_back_gets_the_rest_and_then_204(trained: Trained) -> None:
    path = f"/api/runs/{trained.run_id}/events"
    last = events(trained.client.get(path).data)[-1][0]
    assert last is not None
    rest = events(trained.client.get(path, headers={"Last-Event-ID": str(last - 1)}).data)
    assert [event[0] for event in rest] == [None, last]
    done = trained.client.get(path, headers={"Last-Event-ID": str(last)})
    assert (done.status_code, done.data) == (204, b"")
    for odd in ("x", "-1", "", "1.5", "9" * 40):
        told = events(trained.client.get(path, headers={"Last-Event-ID": odd}).data)
        assert len(told) == last + 1, "an id that is none of ours replays everything"


@pytest.mark.parametrize("name", ["lastEventId", "last_event_id"])
def test_the_last_event_id_may_come_in_the_query(trained: Trained, name: str) -> None:
    path = f"/api/runs/{trained.run_id}/events"
    last = events(trained.client.get(path).data)[-1][0]
    assert last is not None
    assert events(trained.client.get(f"{path}?{name}={last - 1}").data)[-1][0] == last
    assert trained.client.get(f"{path}?{name}={last}").status_code == 204
    for header, query, status in ((last, 1, 204), (1, last, 200), ("none of ours", last, 204), ("", last, 204)):
        answer = trained.client.get(f"{path}?{name}={query}", headers={"Last-Event-ID": str(header)})
        assert answer.status_code == status, (header, query)
    for odd in ("", "-1", "x", "1.5", "9" * 40):
        assert events(trained.client.get(f"{path}?{name}={odd}").data)[1][0] == 1


def test_the_head_of_a_stream_does_not_hang(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    answer = client.head(f"/api/runs/{run_id}/events")
    assert answer.status_code == 200 and answer.mimetype == "text/event-stream" and answer.data == b""


def test_streams_are_bounded_and_their_places_come_back(
    tmp_path_factory: pytest.TempPathFactory, held: threading.Event
) -> None:
    app = offline_app(tmp_path_factory.mktemp("streams"), max_streams=2)
    client = app.test_client()
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    path = f"/api/runs/{run_id}/events"
    first, second = client.get(path), client.get(path)
    refused = client.get(path)
    assert refused.status_code == 503 and "All 2 event streams are in use" in refused.json["error"]
    assert client.get("/api/health").status_code == 200
    first.close()
    again = client.get(path)
    assert again.status_code == 200
    assert next(iter(again.response)) == b"retry: 3000\n\n"
    again.close()
    second.close()
    assert client.get(path).status_code == 200
    parts(app).close()


def test_a_cancelled_and_a_failed_run_end_their_streams(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    wait_running(client, run_id)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(client.get(f"/api/runs/{run_id}/events").data))
    reader.start()
    client.post(f"/api/train/{run_id}/cancel")
    reader.join(20)
    assert [data["state"] for _, name, data in events(received[0]) if name == "state"][-1] == "cancelled"

    run_id = client.post("/api/train", json=BODY).json["run_id"]
    wait_running(client, run_id)
    held.set()  # this training then ends without a result: an internal error
    record = finish(client, run_id)
    assert record["state"] == "failed" and "Traceback" not in record["error"]
    last = events(client.get(f"/api/runs/{run_id}/events").data)[-1][2]
    assert (last["state"], last["error"]) == ("failed", record["error"])


def frames_of(answer: Any) -> list[bytes]:
    return [frame + b"\n\n" for frame in answer.data.split(b"\n\n") if frame]


def test_many_runs_in_one_stream(trained: Trained) -> None:
    """Whole histories, each event under an id that goes on from there, and 204 for who has all of it."""
    client, run_id = trained.client, trained.run_id
    path = f"/api/events?runs={run_id}"
    alone = events(client.get(f"/api/runs/{run_id}/events").data)
    answer = client.get(path)
    assert answer.status_code == 200 and answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-cache, no-transform" and answer.headers["X-Accel-Buffering"] == "no"
    frames = frames_of(answer)[1:]
    ids, bodies = zip(*(frame.split(b"\n", 1) for frame in frames), strict=True)
    assert [frame.split(b"\n", 1)[1] for frame in frames_of(client.get(f"/api/runs/{run_id}/events"))[1:]] == [*bodies]
    assert {data["run_id"] for _, _, data in alone[1:]} == {run_id}
    told = [each.removeprefix(b"id: ").decode() for each in ids]
    assert len(set(told)) == len(told) and max(map(len, told)) < 12
    for last, after in ((told[1], bodies[2:]), ("7", bodies), ("garbage", bodies)):
        rest = [frame.split(b"\n", 1)[1] for frame in frames_of(client.get(path, headers={"Last-Event-ID": last}))[1:]]
        assert rest == [*after], last
    assert client.get(path, headers={"Last-Event-ID": told[-1]}).status_code == 204
    for query, header, status in ((told[-1], "", 204), (told[-1], "7", 204), (told[-1], told[0], 200)):
        for name in ("lastEventId", "last_event_id"):
            answer = client.get(f"{path}&{name}={query}", headers={"Last-Event-ID": header})
            assert answer.status_code == status, (query, header)


def test_which_runs_are_followed(client: FlaskClient, trained: Trained) -> None:
    for query, status, sentence in (
        ("", 400, "runs"),
        ("?runs=", 400, "must be ids of runs, separated by commas, or all alone"),
        ("?runs=all,r_1", 400, "all alone"),
        (f"?runs={trained.run_id},", 400, "all alone"),
        (f"?runs={trained.run_id},r_0", 404, "There is no run 'r_0'"),
        (f"?runs={','.join(f'r_{number}' for number in range(201))}", 400, "must be 200 ids at most, got 201"),
        ("?runs=all&events=metrics", 400, "Did you mean 'metric'?"),
    ):
        answer = client.get(f"/api/events{query}")
        assert answer.status_code == status and sentence in answer.json["error"], answer.json


def test_kinds_of_events_may_be_chosen(trained: Trained) -> None:
    for path in (f"/api/runs/{trained.run_id}/events?", f"/api/events?runs={trained.run_id}&"):
        told = [frame for frame in frames_of(trained.client.get(f"{path}events=metric")) if b"\nevent: " in frame]
        assert [frame.split(b"\n")[1] for frame in told] == [b"event: metric"] * 2
        last = frames_of(trained.client.get(f"{path}events=metric"))[-1].split(b"\n")[0].removeprefix(b"id: ").decode()
        answer = trained.client.get(f"{path}events=metric", headers={"Last-Event-ID": last})
        assert answer.status_code == 204, "the end is behind it, though it was not sent"


def test_the_stream_of_all_runs_takes_one_place_and_never_ends_by_itself(
    tmp_path_factory: pytest.TempPathFactory, held: threading.Event
) -> None:
    app = offline_app(tmp_path_factory.mktemp("all"), max_streams=1)
    client = app.test_client()
    answer = client.get("/api/events?runs=all")
    stream = iter(answer.response)
    assert next(stream) == b"retry: 3000\n\n" and b"event:" not in next(stream)
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    assert read_frame_of(next(stream)) == ("state", run_id)
    refused = client.get("/api/events?runs=all")
    assert refused.status_code == 503 and "All 1 event streams are in use" in refused.json["error"]
    assert client.head("/api/events?runs=all").status_code == 200
    answer.close()
    assert not parts(app).log._sources
    client.get(f"/api/events?runs={run_id}").close()
    parts(app).close()


def read_frame_of(frame: bytes) -> tuple[str, str]:
    lines = dict(line.split(": ", 1) for line in frame.decode().splitlines() if line)
    return lines["event"], json.loads(lines["data"])["run_id"]


def test_the_test_of_the_way_is_a_stream_that_ends(client: FlaskClient) -> None:
    assert client.head("/api/events/test").mimetype == "text/event-stream"
    assert client.get("/api/events/test", headers={"Last-Event-ID": "11"}).status_code == 204
    told = events(client.get("/api/events/test?lastEventId=9").data)
    assert [name for _, name, _ in told] == ["retry", "tick", "end"]
