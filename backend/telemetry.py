"""What the server counts, for Prometheus; web/gauges.py has what is measured when somebody asks."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from backend.state.records import TERMINAL, Json

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
            "lamina_training_samples_per_second",
            "Samples per second of the newest epoch; 0 while nothing trains",
            registry=registry,
        )
        self._compiling = Counter("lamina_compile_seconds", "Time that runs spent compiling", registry=registry)
        self._inference = Histogram(
            "lamina_inference_seconds", "Time that a prediction took", registry=registry, buckets=REQUEST_SECONDS
        )
        self._images = Counter("lamina_inference_images", "Images that were predicted", registry=registry)
        for state in TERMINAL:
            self._runs.labels(state)

    def count_request(self, route: str, method: str, status: int, *, seconds: float) -> None:
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

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
