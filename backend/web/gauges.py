"""What the server measures when somebody asks, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backend.actions.health import Health


class Gauges(Collector):
    """What health says, as gauges."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def describe(self) -> Iterable[Metric]:
        """Nothing: that would measure before the application is complete."""
        return ()

    def collect(self) -> Iterable[Metric]:
        now = self._health.now()
        yield _gauge("lamina_active_runs", "Runs that train: 0 or 1", now["active_run"] is not None)
        benchmark = now["active_benchmark"] is not None
        yield _gauge("lamina_active_benchmarks", "Benchmarks that are measured: 0 or 1", benchmark)
        yield _gauge("lamina_queued_runs", "Runs and benchmarks that wait", now["queue_length"])
        yield _gauge("lamina_event_streams", "Event streams that are open", now["event_streams"])
        yield _gauge("lamina_store_writable", "Whether the state directory can be written", now["store_writable"])
        yield _gauge("lamina_disk_free_bytes", "Free space on the disk of the state directory", now["disk_free_bytes"])
        if now["state_bytes"] is not None:
            yield _gauge("lamina_state_bytes", "Size of the state directory", now["state_bytes"])
        yield _gauge("lamina_uptime_seconds", "Time since the start", now["uptime_seconds"])
        device = now["devices"][0]
        build = {"version": now["version"], "jax": now["versions"]["jax"]}
        build |= {"platform": device["platform"], "device": device["kind"]}
        info = GaugeMetricFamily("lamina_build_info", "Versions; always 1", labels=tuple(build))
        info.add_metric(tuple(build.values()), 1)
        yield info


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=float(value))
