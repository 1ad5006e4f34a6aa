"""Downloads over real sockets: no thread waits for a slow client."""

from __future__ import annotations

import hashlib
import socket
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from backend.actions.networks import Networks
from backend.actions.weights import Weights
from backend.config import Settings
from backend.demo.local_server import LocalServer, free_port
from backend.events.delivery import Delivery, Outlet
from backend.parsing.queries import WeightsQuery
from backend.web.downloads import Parcel
from tests.backend.conftest import Trained, parts
from tests.backend.samples import DEADLINE, eventually
from tests.load.clients import connect, port_of

THREADS, SLOW = 2, 8
WIDE = {"input_size": 784, "layers": [{"type": "linear", "out": 3000}, {"type": "linear", "out": 10}]}  # 9.5 MB


def test_one_thread_sends_a_file_piece_by_piece(trained: Trained) -> None:
    """And the connection can be used again."""
    services = parts(trained.app)
    networks = Networks(services.store, services.checkpoints, services.runs, services.predictors)
    found = Weights(networks).find(trained.run_id, WeightsQuery(format="safetensors", layout="torch"))
    delivery, (ours, theirs) = Delivery(), socket.socketpair()
    ends: list[bool] = []
    delivery.start()
    with ours, theirs:
        theirs.settimeout(DEADLINE)
        delivery.adopt(
            ours, Parcel(found, range(100, found.known.size)), head=b"head", chunked=False, ended=ends.append
        )
        came = b""
        while len(came) < 4 + found.known.size - 100:
            came += theirs.recv(5000)
        eventually(lambda: ends)
    delivery.close()
    assert came == b"head" + b"".join(found.pieces(range(found.known.size)))[100:] and ends == [True]
    found.close()


def test_a_download_is_over_with_its_last_byte(trained: Trained) -> None:
    """A client that has it sends its next request at once, which is none of the download's any more."""
    services = parts(trained.app)
    networks = Networks(services.store, services.checkpoints, services.runs, services.predictors)
    found = Weights(networks).find(trained.run_id, WeightsQuery(format="npz", layout="flax"))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.settimeout(DEADLINE)
        outlet = Outlet(ours, Parcel(found, range(found.known.size)), chunked=False, ended=lambda _: None)
        size, goes_on = 0, True
        while size < found.known.size:
            assert goes_on
            goes_on = outlet.pump(0.0)
            size += len(theirs.recv(1 << 20))
        assert not goes_on and outlet.reusable
    found.close()


@pytest.mark.slow
@pytest.mark.timed
def test_slow_downloads_hold_no_thread_and_come_whole(tmp_path: Path) -> None:
    settings = Settings(port=free_port(first=0), state_dir=tmp_path / "s", data_dir=tmp_path / "d", threads=THREADS)
    with LocalServer(settings) as server, ExitStack() as stack:
        server.wait_until_healthy()
        params = {"epochs": 1, "max_samples": 64, "dataset_type": "digits"}
        run_id = server.client.post("/api/train", {"architecture": WIDE, "hyperparams": params})["run_id"]
        eventually(lambda: server.client.get(f"/api/runs/{run_id}")["state"] == "succeeded", within=60)
        path = f"/api/runs/{run_id}/weights?format=safetensors&layout=torch"
        readers = [stack.enter_context(connect(port_of(server), receive_buffer=1024)) for _ in range(SLOW)]
        for reader in readers:
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        for _ in range(20):
            began = time.monotonic()
            assert server.client.get("/api/models")
            assert time.monotonic() - began < 2
        with urllib.request.urlopen(f"{server.client.url}{path}") as whole:
            expected, sha256 = whole.read(), whole.headers["X-Checksum-Sha256"]
        assert len(expected) > 9_000_000 and hashlib.sha256(expected).hexdigest() == sha256
        for reader in readers[:2]:
            assert read_all(reader).partition(b"\r\n\r\n")[2] == expected
        assert server.client.get("/api/health")["status"] == "ok"


def read_all(reader: Any) -> bytes:
    content = bytearray()
    reader.settimeout(DEADLINE)
    while piece := reader.recv(1 << 20):
        content += piece
    return bytes(content)
