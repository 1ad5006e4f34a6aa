"""/metrics, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from tests.backend.conftest import BODY, finish, offline_app, parts

Labels = Mapping[str, str]


class Scrape:
    """What a client of /metrics sees."""

    def __init__(self, client: FlaskClient, **headers: str) -> None:
        answer = client.get("/metrics", headers=headers)
        assert answer.status_code == 200 and answer.content_type.startswith("text/plain")
        self.samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]

    def of(self, name: str, **labels: str) -> list[float]:
        return [s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items()]

    def series(self, name: str) -> int:
        return len(self.of(name))


def test_what_an_operator_wants_to_know(app: Flask, client: FlaskClient) -> None:
    before = Scrape(client)
    assert (
        before.of("lamina_active_runs") == before.of("lamina_queued_runs") == before.of("lamina_event_streams") == [0]
    )
    assert before.of("lamina_store_writable") == [1] and before.of("lamina_disk_free_bytes")[0] > 0
    assert before.of("lamina_build_info", version=client.get("/api/health").json["version"], platform="cpu") == [1]
    assert before.of("process_resident_memory_bytes")[0] > 0

    run_id = client.post("/api/train", json=BODY).json["run_id"]
    finish(client, run_id)
    client.post("/api/infer", json={"run_id": run_id, "batch": [[0.5] * 784] * 3})
    after = Scrape(client)
    assert after.of("lamina_runs_ended_total", state="succeeded") == [1]
    assert after.of("lamina_runs_ended_total", state="failed") == [0]
    assert after.of("lamina_epochs_total") == [2] and after.of("lamina_compile_seconds_total")[0] > 0
    assert after.of("lamina_training_samples_per_second") == [0], "nothing trains any more"
    assert after.of("lamina_inference_images_total") == [3] and after.of("lamina_inference_seconds_count") == [1]
    assert after.of("lamina_http_requests_total", route="/api/train", method="POST", status="202") == [1]
    assert after.of("lamina_http_request_seconds_count", route="/api/runs/<run_id>")[0] >= 1


def test_the_pace_is_that_of_the_newest_epoch(app: Flask, client: FlaskClient) -> None:
    parts(app).telemetry.hear("metric", {"samples_per_sec": 123.0}, {})
    assert Scrape(client).of("lamina_training_samples_per_second") == [123]


def test_clients_cannot_make_the_labels_many(client: FlaskClient) -> None:
    for number in range(50):
        client.get(f"/api/runs/r_{number}")
        client.get(f"/nothing/{number}")
        client.open("/api/models", method=f"MADEUP{number}")
    scrape = Scrape(client)
    assert scrape.of("lamina_http_requests_total", route="/api/runs/<run_id>", status="404") == [50]
    assert scrape.of("lamina_http_requests_total", route="(none)", method="GET") == [50]
    assert scrape.series("lamina_http_requests_total") < 10


def test_every_application_counts_for_itself(client: FlaskClient, tmp_path: Path) -> None:
    client.get("/api/models")
    other = offline_app(tmp_path / "other")
    assert Scrape(other.test_client()).of("lamina_http_requests_total", route="/api/models") == []
    parts(other).close()


def test_metrics_need_the_token(tmp_path: Path) -> None:
    app = offline_app(tmp_path, token="a-secret")
    assert app.test_client().get("/metrics").status_code == 401
    assert Scrape(app.test_client(), Authorization="Bearer a-secret").of("lamina_active_runs") == [0]
    parts(app).close()


@pytest.mark.parametrize(
    "accept",
    [
        'application/openmetrics-text; version="1.0.0"',
        "application/openmetrics-text; version=latest",
        "application/openmetrics-text; version=",
        "text/plain; version=x.y, */*",
        "application/openmetrics-text; version=1.0.0; escaping=nothing",
        "*/*",
        ";;;,,,=",
    ],
)
def test_any_accept_header_gets_metrics(client: FlaskClient, accept: str) -> None:
    answer = client.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200 and b"lamina_active_runs 0.0" in answer.data
    if "1.0.0;" not in accept and "version=;" not in accept and not accept.endswith("version="):
        assert answer.content_type.startswith("text/plain; version=0.0.4")
