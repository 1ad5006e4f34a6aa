"""What events say is what the OpenAPI document says of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.web.openapi import EVENTS, OPERATIONS, STREAM, document, schemas
from tests.backend.conftest import BODY, PARAMS, Trained, finish, wait_running

SCHEMAS = schemas()
Events = list[tuple[str, Any]]


def events_of(client: FlaskClient, run_id: str, heard: Callable[[str, Any], None] = lambda name, data: None) -> Events:
    """Those of a stream, up to its end."""
    return events_at(client, f"/api/runs/{run_id}/events", heard)


def events_at(client: FlaskClient, path: str, heard: Callable[[str, Any], None] = lambda name, data: None) -> Events:
    found = []
    for block in blocks(client.get(path).response):
        lines = dict(line.partition(": ")[::2] for line in block.splitlines())
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
            heard(*found[-1])
    return found


def blocks(chunks: Any) -> Iterator[str]:
    text = ""
    for chunk in chunks:
        *whole, text = (text + chunk.decode()).split("\n\n")
        yield from whole


def hold_against_the_document(events: Events, kinds: Mapping[str, Any] = EVENTS) -> set[str]:
    """The names of events, each of which is as it is described, without further fields."""
    for name, data in events:
        kind = kinds[name].__name__
        jsonschema_rs.validator_for(
            {"$ref": f"#/components/schemas/{kind}", "components": {"schemas": SCHEMAS}}
        ).validate(data)
        assert data.keys() <= SCHEMAS[kind]["properties"].keys(), (name, data)
    return {name for name, _ in events}


def test_every_stream_names_the_schemas_of_its_events(app: Flask) -> None:
    made = document(app)
    for (method, rule), operation in OPERATIONS.items():
        if (200, STREAM) in operation.answers:
            answer = made["paths"][rule.replace("<", "{").replace(">", "}")][method.lower()]["responses"]["200"]
            named = answer["content"][STREAM]["x-events"]
            assert named == {
                name: {"$ref": f"#/components/schemas/{kind.__name__}"} for name, kind in operation.events.items()
            }
            assert all(kind.__name__ in made["components"]["schemas"] for kind in operation.events.values())


def test_the_stream_of_a_succeeded_run_is_as_described(trained: Trained) -> None:
    events = events_of(trained.client, trained.run_id)
    assert hold_against_the_document(events) >= {"state", "metric"}
    assert events[-1][1]["state"] == "succeeded" and len(events[-1][1]["sample_predictions"]) == 8


def test_the_stream_of_many_runs_is_as_described(trained: Trained) -> None:
    events = events_at(trained.client, f"/api/events?runs={trained.run_id}")
    assert hold_against_the_document(events) >= {"state", "metric"}


def test_the_stream_that_shows_proxies_is_as_described(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.events.ticks.SECONDS", 0.01)
    kinds = OPERATIONS["GET", "/api/events/test"].events
    assert hold_against_the_document(events_at(client, "/api/events/test"), kinds) == {"tick", "end"}


def test_streams_of_cancelled_resumed_and_waiting_runs_are_as_described(app: Flask) -> None:
    client = app.test_client()
    body = {**BODY, "hyperparams": {**PARAMS, "epochs": 100_000, "dataset_type": "digits"}}
    run_id = client.post("/api/train", json=body).json["run_id"]
    waiting = client.post("/api/train", json={**body, "queue": True}).json["run_id"]
    told: list[Events] = []
    for _ in range(2):
        seen: list[str] = []

        def heard(name: str, data: Any, seen: list[str] = seen) -> None:
            seen.append(name)
            if name == "progress" and seen.count("metric") >= 2:
                for each in (waiting, run_id):
                    client.post(f"/api/runs/{each}/cancel")

        told.append(events_of(client, run_id, heard))
        assert hold_against_the_document(told[-1]) >= {"state", "metric", "progress"}
        if len(told) == 1:
            assert client.post(f"/api/runs/{run_id}/resume").status_code == 202
    assert hold_against_the_document(events_of(client, waiting)) == {"state"}
    said = [data for name, data in told[1] if name == "state"]
    assert said[-1]["state"] == "cancelled" and any(
        "superseded" in data and data["was"] == "cancelled" for data in said
    )


def test_the_stream_of_a_failed_run_is_as_described(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    wait_running(client, run_id)
    held.set()
    assert finish(client, run_id)["state"] == "failed"
    events = events_of(client, run_id)
    assert hold_against_the_document(events) >= {"state"} and events[-1][1]["error"]


@pytest.mark.parametrize("name", EVENTS)
def test_every_field_of_an_event_is_there_or_says_when(name: str) -> None:
    kind = SCHEMAS[EVENTS[name].__name__]
    assert kind["description"] and "run_id" in kind["required"]
    if name == "state":  # the contract's keys are always there
        assert kind["required"] == ["run_id", "state", "error", "test_accuracy", "sample_predictions"]
