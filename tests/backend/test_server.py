"""`lamina serve` as an operator meets it: real processes, real sockets, real signals."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from backend.client import Client, LaminaError
from backend.config import Settings, as_flags
from backend.demo.local_server import LocalServer, StartError, free_port

LAYERS = [{"type": "linear", "in": 784, "out": 16}, {"type": "relu"}, {"type": "linear", "in": 16, "out": 10}]
DEADLINE = 30.0


def body(*, epochs):
    architecture = {"input_size": 784, "input_channels": 1, "input_height": 28, "input_width": 28, "layers": LAYERS}
    hyperparams = {"epochs": epochs, "batch_size": 64, "max_samples": 512, "dataset_type": "digits"}
    return {"architecture": architecture, "hyperparams": hyperparams}


def settings_in(folder):
    return Settings(port=free_port(first=0), state_dir=folder / "state", data_dir=folder / "data")


def until(condition, *, what):
    """Waits for a condition; fails after the deadline."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"no {what} within {DEADLINE:.0f} s"
        time.sleep(0.02)


def worker_of(server):
    (worker,) = psutil.Process(server.process.pid).children()
    return worker


def healthy(server):
    try:
        return server.client.get("/api/health")
    except LaminaError:
        return None


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with LocalServer(replace(settings_in(tmp_path_factory.mktemp("server")), host="localhost")) as running:
        running.wait_until_healthy()
        yield running


def held_up(process):
    """Seconds in which a process could have gone on, but other work had the processors; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


@pytest.mark.timed
def test_healthy_soon(tmp_path):
    """On processors that are free: beside other work by as much later as that held it up."""
    with LocalServer(settings_in(tmp_path)) as server:
        took = server.wait_until_healthy()
        assert took - held_up(server.process) - held_up(worker_of(server)) < 5


def test_idle_memory(server):
    pair = [psutil.Process(server.process.pid), worker_of(server)]
    assert sum(process.memory_info().rss for process in pair) < 600e6


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_only_the_worker_has_jax(server):
    worker = worker_of(server)
    assert "jaxlib" not in Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "jaxlib" in Path(f"/proc/{worker.pid}/maps").read_text()


def test_the_log_is_one_line_per_record(server):
    begin = server.lines[0]
    assert f"listens at {server.client.url}" in begin
    server.client.get("/api/models")
    until(lambda: "GET /api/models" in server.lines[-1], what="log line of the request")
    assert all(line[:4].isdigit() and line[4] == "-" for line in server.lines), "every line begins with its time"


@pytest.mark.slow
def test_side_files_stay_in_the_state_directory(tmp_path):
    command = [sys.executable, "-m", "backend.cli", "serve", "--port", "0", "--stop-with-parent"]
    place = {"--state-dir": str(tmp_path / "state"), "--data-dir": str(tmp_path / "data")}
    arguments = [part for pair in place.items() for part in pair]
    with subprocess.Popen([*command, *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert any("ready" in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    assert process.returncode == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]


@pytest.mark.slow
def test_others_may_write_to_nothing_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        with LocalServer(settings_in(tmp_path)) as server:
            server.wait_until_healthy()
            run_id = server.client.post("/api/train", body(epochs=1))["run_id"]
            until(lambda: server.client.get(f"/api/runs/{run_id}")["state"] == "succeeded", what="end of the run")
            assert server.client.get("/api/health")["warnings"] == []
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in [tmp_path / "state", *(tmp_path / "state").rglob("*")]}
    assert {path.name for path in modes} >= {"lamina.sqlite3", "lamina.lock", "weights.msgpack", "run.json", "compiled"}
    assert {path: mode for path, mode in modes.items() if mode & 0o022} == {}
    assert modes[tmp_path / "state" / "compiled"] == 0o700


def test_what_is_not_http_gets_a_json_error(server):
    with socket.create_connection(("127.0.0.1", int(server.client.url.rpartition(":")[2])), timeout=DEADLINE) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nno colon in this header\r\n\r\n")
        head, _, text = raw.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert json.loads(text)["error"].startswith("The request is not valid HTTP: ")


def test_a_stream_over_a_real_socket(server):
    started = server.client.post("/api/train", body(epochs=2))
    connection = http.client.HTTPConnection(server.client.url.removeprefix("http://"), timeout=DEADLINE)
    with contextlib.closing(connection):
        connection.request("GET", started["events_url"])
        answer = connection.getresponse()
        lines = answer.read().decode().splitlines()
    assert answer.status == 200
    assert answer.getheader("Content-Type", "").startswith("text/event-stream")
    for name, value in (
        ("Cache-Control", "no-cache, no-transform"),
        ("X-Accel-Buffering", "no"),
        ("Connection", "keep-alive"),
    ):
        assert [got for header, got in answer.getheaders() if header == name] == [value]
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert [name for name in names if name in ("state", "metric")] == ["state", "state", "metric", "metric", "state"]


def test_a_second_server_on_the_same_state_is_refused(server, tmp_path):
    settings = settings_in(tmp_path)
    state_dir = next(Path(line.split("state in ")[1].split(",")[0]) for line in server.lines if "state in " in line)
    with pytest.raises(StartError, match=r"--state-dir: another Lamina server uses the state directory"):
        LocalServer(replace(settings, state_dir=state_dir)).wait_until_healthy()


def follow(server, url, heard):
    with contextlib.suppress(LaminaError):
        for event in server.client.events(url, patience=0):
            heard.append(event)


@pytest.mark.slow
@pytest.mark.timed
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stop_while_a_run_trains_and_clients_hang_on(tmp_path, how):
    settings = settings_in(tmp_path)
    with LocalServer(settings) as server:
        server.wait_until_healthy()
        started = server.client.post("/api/train", body(epochs=100_000))
        heard = [[] for _ in range(3)]
        clients = [threading.Thread(target=follow, args=(server, started["events_url"], each)) for each in heard]
        for client in clients:
            client.start()
        until(lambda: all(any(event.name == "metric" for event in each) for each in heard), what="metric events")
        pair = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
        begin = time.monotonic()
        server.process.send_signal(how)
        assert server.process.wait(timeout=DEADLINE) == 0
        took = time.monotonic() - begin
    for client in clients:
        client.join(timeout=DEADLINE)
    assert took < 10
    assert not any(process.is_running() for process in pair)
    assert [each[-1].data["state"] for each in heard] == ["failed"] * 3
    assert "Traceback" not in "\n".join(server.lines)
    with LocalServer(settings) as again:
        again.wait_until_healthy()
        run = again.client.get(f"/api/runs/{started['run_id']}")
        assert run["state"] == "failed"
        assert "interrupted" in run["error"]
        assert [metric["epoch"] for metric in run["metrics"]] == list(range(1, len(run["metrics"]) + 1))


@pytest.mark.slow
def test_a_dead_worker_is_replaced_and_none_outlives_its_master(tmp_path):
    with LocalServer(settings_in(tmp_path)) as server:
        server.wait_until_healthy()
        first = worker_of(server)
        first.kill()
        until(lambda: not first.is_running() and healthy(server), what="new worker")
        second = worker_of(server)
        assert second.pid != first.pid
        second.send_signal(signal.SIGSEGV)
        until(lambda: not second.is_running() and healthy(server), what="third worker")
        assert server.client.get("/api/health")["warnings"][0].endswith(
            "UTC: crashed (SIGSEGV), 2 times in a row within a minute of its start; the next one started in 1 s"
        )
        assert "the next one starts in 1 s" in next(line for line in server.lines if "SIGSEGV" in line)
        second = worker_of(server)
        server.process.kill()
        until(lambda: not second.is_running(), what="end of the worker")


def test_the_server_ends_with_the_process_that_started_it(tmp_path):
    code = (
        "import sys, time; from backend.config import *; from backend.demo.local_server import *; from pathlib import Path;"
        "s = LocalServer(Settings(port=free_port(first=0), state_dir=Path(sys.argv[1]), data_dir=Path(sys.argv[1])));"
        "s.wait_until_healthy(); print(s.process.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        server = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    until(lambda: not server.is_running(), what="end of the orphan")


@pytest.mark.parametrize("platform", ["cuda", pytest.param("nonsense", marks=pytest.mark.slow)])
def test_no_device_is_one_sentence_and_code_2(tmp_path, monkeypatch, platform):
    monkeypatch.setenv("JAX_PLATFORMS", platform)
    command = [sys.executable, "-m", "backend.cli", "serve", *as_flags(settings_in(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    if "listens at" in done.stderr:
        pytest.skip("there is such a device")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith(f"lamina: no device: JAX_PLATFORMS={platform} cannot be used here (")
    assert done.stderr.endswith("; install what it needs, name another, or unset it\n")


def test_localhost_answers_on_every_loopback_address(server):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")
    port = server.client.url.rpartition(":")[2]
    for host in ("127.0.0.1", "[::1]", "localhost"):
        assert Client(f"http://{host}:{port}").get("/api/health")["status"] == "ok"
