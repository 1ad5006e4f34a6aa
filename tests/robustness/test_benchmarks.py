"""Benchmarks of a real server that is killed, or told to stop: no process is left, and what was measured is kept."""

from __future__ import annotations

import time

import psutil
import pytest

from backend.client import Client
from tests.backend.samples import eventually
from tests.robustness.hosts import DEADLINE, Host, body

LINEAR = [{"type": "linear", "in": 784, "out": 10}]
pytestmark = pytest.mark.slow


def measuring(host: Host) -> list[psutil.Process]:
    """The processes that measure cells."""
    assert host.server is not None
    found = psutil.Process(host.server.process.pid).children(recursive=True)
    return [each for each in found if "nets.benchmarks.cell" in each.cmdline()]


def begun(client: Client, **fields: object) -> str:
    """A benchmark of which a cell has been measured."""
    started = client.bench([body(LINEAR)], precisions=["float32"], devices=["cpu"], repeats=3, **fields)
    eventually(lambda: client.benchmark(started).cells_measured >= 1, what="a measured cell", within=3 * DEADLINE)
    return started.benchmark_id


@pytest.mark.timed
def test_what_was_measured_outlives_the_server_and_its_processes_do_not(host: Host) -> None:
    host.start()
    benchmark_id = begun(host.client, batch_sizes=[16, 32, 64])
    eventually(lambda: measuring(host), within=DEADLINE)
    left = measuring(host)
    host.kill()
    _, alive = psutil.wait_procs(left, timeout=2.0)
    assert not alive
    host.start()
    record = host.client.benchmark(benchmark_id)
    assert record.state == "interrupted" and record.error is not None and "interrupted" in record.error
    assert record.results is not None and record.results["cells"] and not record.results["complete"]


@pytest.mark.timed
def test_a_cancel_ends_its_processes_within_two_seconds(host: Host) -> None:
    host.start()
    client = host.client
    benchmark_id = begun(client, batch_sizes=[16, 32])
    eventually(lambda: measuring(host), within=DEADLINE)
    asked, left = time.monotonic(), measuring(host)
    client.cancel_benchmark(benchmark_id)
    eventually(lambda: client.benchmark(benchmark_id).ended, within=DEADLINE)
    assert time.monotonic() - asked < 2.0 and not any(each.is_running() for each in left)
    record = client.benchmark(benchmark_id)
    assert record.state == "cancelled" and record.results is not None and record.results["cells"]
    assert client.benchmark_report(benchmark_id, "csv").startswith(b"machine,device,body")
    assert not list(host.state_dir.glob(".bench-*"))
