"""What the server counts and measures, for Prometheus: the names and meanings of all metrics are here."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backend.actions.health import health
from backend.server.refusals import known
from backend.state.records import TERMINAL, Json

if TYPE_CHECKING:
    from backend.services import Services

UNKNOWN = "(none)"  # the route of a path that has none, and the method of one that HTTP does not know
REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Telemetry:
    """Counters of one application, in a registry of its own. Safe from any thread.

    Labels have few values: a route is its template, and nothing is labelled by a run or a model.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "lamina_http_requests", "Requests answered", ("route", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "lamina_http_request_seconds",
            "Time until an answer, or the first byte of an event stream, is ready",
            ("route",),
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self._runs = Counter("lamina_runs_ended", "Runs that ended, by their state", ("state",), registry=registry)
        self._epochs = Counter("lamina_epochs", "Epochs trained", registry=registry)
        self._pace = Gauge(
            "lamina_training_samples_per_second", "Pace of the newest epoch; 0 while nothing trains", registry=registry
        )
        self._compiling = Counter("lamina_compile_seconds", "Time that runs spent compiling", registry=registry)
        self._inference = Histogram(
            "lamina_inference_seconds", "Time that a network took to answer", registry=registry, buckets=REQUEST_SECONDS
        )
        self._images = Counter("lamina_inference_images", "Images that networks answered for", registry=registry)
        for state in TERMINAL:
            self._runs.labels(state)

    def serve(self, services: Services) -> None:
        """Also tell what is measured when somebody asks."""
        self.registry.register(_Now(services))

    def count_request(self, response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else UNKNOWN
        method = known(request.method, UNKNOWN)
        self._requests.labels(route, method, str(response.status_code)).inc()
        self._seconds.labels(route).observe(time.monotonic() - g.started)
        return response

    def count_inference(self, seconds: float, images: int) -> None:
        self._inference.observe(seconds)
        self._images.inc(images)

    def hear(self, name: str, data: Json, fields: Json) -> None:
        """An event of a run that is kept, and what the run's record got with it."""
        if name == "metric":
            self._epochs.inc()
            self._pace.set(data["samples_per_sec"])
        elif name == "state" and data["state"] in TERMINAL:
            self._runs.labels(data["state"]).inc()
            self._pace.set(0)
            self._compiling.inc(fields.get("compile_seconds") or 0)


class _Now(Collector):
    """What health says, as gauges."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> Iterable[Metric]:
        """Nothing: that would measure before the application is complete."""
        return ()

    def collect(self) -> Iterable[Metric]:
        now = health(self._services)
        yield _gauge("lamina_active_runs", "Runs that train: 0 or 1", now["active_run"] is not None)
        yield _gauge("lamina_queued_runs", "Runs that wait", now["queue_length"])
        yield _gauge("lamina_event_streams", "Event streams that are open", now["event_streams"])
        yield _gauge("lamina_store_writable", "Whether the state directory takes a write", now["store_writable"])
        yield _gauge("lamina_disk_free_bytes", "Room where the state directory is", now["disk_free_bytes"])
        yield _gauge("lamina_uptime_seconds", "Time since the start", now["uptime_seconds"])
        device = now["devices"][0]
        build = {"version": now["version"], "jax": now["versions"]["jax"]}
        build |= {"platform": device["platform"], "device": device["kind"]}
        info = GaugeMetricFamily("lamina_build_info", "What runs here; always 1", labels=tuple(build))
        info.add_metric(tuple(build.values()), 1)
        yield info


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=float(value))
