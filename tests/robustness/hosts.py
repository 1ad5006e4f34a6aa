"""Servers as real processes over one state directory, one after the other, some of which are killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from backend.client import Client, LaminaError
from backend.config import Settings, as_flags
from backend.demo.local_server import LocalServer, free_port
from backend.state.records import Json
from tests.backend.samples import eventually, untimed

DEADLINE = 60.0  # seconds: far beyond what anything here takes
RESULTS = ("state", "test_accuracy", "test_loss", "weights_sha256", "sample_predictions", "best_epoch", "epoch")

CNN = [
    {"type": "conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3, "stride": 2, "padding": 1},
    {"type": "batchnorm2d"},
    {"type": "relu"},
    {"type": "maxpool2d", "kernel_size": 2},
    {"type": "flatten"},
    {"type": "dropout", "p": 0.2},
    {"type": "linear", "in": 196, "out": 10},
]


def body(layers: list[Json], **hyperparams: Any) -> Json:
    """A request for a short run on digits; 250 samples in batches of 32 leave a smaller last batch."""
    architecture = {"input_size": 784, "input_channels": 1, "input_height": 28, "input_width": 28, "layers": layers}
    adam = {"type": "adam", "lr": 0.01}
    settled = {"epochs": 4, "batch_size": 32, "max_samples": 250, "optimizer": adam, "dataset_type": "digits"}
    return {"architecture": architecture, "hyperparams": {**settled, **hyperparams}}


def outcome(record: Json) -> Json:
    """What two runs that trained alike have in common: all that they reached, but for times and ids."""
    return {"metrics": untimed(record["metrics"]), **{name: record[name] for name in RESULTS}}


class Host:
    """A state directory, and the server that runs over it now."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        """`changes`: settings of its servers."""
        self.folder, self.changes = folder, changes
        self.state_dir = folder / "state"
        self.server: LocalServer | None = None

    @property
    def client(self) -> Client:
        assert self.server is not None, "no server was started"
        return self.server.client

    @property
    def lines(self) -> deque[str]:
        """The end of the log of the server that runs now."""
        assert self.server is not None, "no server was started"
        return self.server.lines

    def settings(self) -> Settings:
        places = {"state_dir": self.state_dir, "data_dir": self.folder / "data"}
        return Settings(port=free_port(first=0), **places, **self.changes)

    def start(self) -> None:
        self.server = LocalServer(self.settings())
        self.server.wait_until_healthy()

    def stop(self) -> None:
        """An orderly end; nothing where the server has been killed."""
        if self.server is not None:
            self.server.stop()
            self.server.reader.join(timeout=DEADLINE)

    def kill(self) -> None:
        """The whole server is gone at once, as in a power cut: the worker first, so that it hears of nothing."""
        assert self.server is not None
        master = psutil.Process(self.server.process.pid)
        master.suspend()  # it would start another worker, which begins the next run before it sees that it is alone
        pair = [*master.children(recursive=True), master]
        for process in pair:
            process.kill()
        self.server.process.wait(timeout=DEADLINE)
        psutil.wait_procs(pair, timeout=DEADLINE)
        self.server.reader.join(timeout=DEADLINE)

    def kill_worker(self) -> None:
        """Only the process that trains is gone; back when the master has replaced it."""
        assert self.server is not None
        (worker,) = psutil.Process(self.server.process.pid).children()
        worker.kill()
        eventually(lambda: not worker.is_running() and self.healthy(), what="new worker", within=DEADLINE)

    def healthy(self) -> Json | None:
        try:
            return self.client.get("/api/health")
        except LaminaError:
            return None

    def refusal(self) -> str:
        """All that a start prints which is refused; it must end by itself, with an exit code for it."""
        command = [sys.executable, "-m", "backend.cli", "serve", *as_flags(self.settings())]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert done.returncode not in (0, -9), done
        return done.stderr

    def train(self, body: Json) -> Json:
        return self.client.post("/api/train", body)

    def run(self, run_id: str) -> Json:
        return self.client.get(f"/api/runs/{run_id}")

    def ended(self, run_id: str) -> bool:
        return self.run(run_id)["state"] not in ("queued", "running")

    def finish(self, run_id: str) -> Json:
        """The record of a run once it has ended."""
        eventually(lambda: self.ended(run_id), what=f"end of run {run_id}", within=DEADLINE)
        return self.run(run_id)

    def weights(self, run_id: str) -> Path:
        return self.state_dir / run_id / "weights.msgpack"

    def refused(self, path: str, body: Json | None = None) -> tuple[int, str]:
        """Status and sentence of a request that is refused, and whose answer names no place of this machine."""
        try:
            answer = self.client.post(path, body) if body is not None else self.client.get(path)
        except LaminaError as refusal:
            sentence = str(refusal)
            assert str(self.folder) not in sentence and "Traceback" not in sentence, sentence
            return refusal.status, sentence
        raise AssertionError(f"{path} was not refused but answered {answer}")


class Follower(threading.Thread):
    """A client that reads a run's stream until it ends or breaks off."""

    def __init__(self, client: Client, run_id: str) -> None:
        super().__init__(daemon=True)
        self.client, self.run_id = client, run_id
        self.changed = threading.Condition()
        self.told: dict[int, tuple[str, Json]] = {}  # by event id
        self.phases: set[str] = set()
        self.start()

    def run(self) -> None:
        try:
            for event in self.client.events(self.run_id, patience=0):
                with self.changed:
                    if event.id:
                        self.told[int(event.id)] = event.name, event.data
                    else:
                        self.phases.add(event.data["phase"])
                    self.changed.notify_all()
        except LaminaError:
            return  # the server is gone
        finally:
            with self.changed:
                self.changed.notify_all()

    def epochs(self) -> int:
        return sum(name == "metric" for name, _ in self.told.values())

    def await_phase(self, phase: str) -> None:
        self._await(lambda: phase in self.phases)

    def await_epoch(self, epoch: int) -> None:
        self._await(lambda: self.epochs() >= epoch)

    def _await(self, condition: Callable[[], bool]) -> None:
        """Back when `condition` holds, or the stream has ended."""
        with self.changed:
            assert self.changed.wait_for(lambda: condition() or not self.is_alive() or self.over(), DEADLINE)

    def over(self) -> bool:
        return any(
            name == "state" and data["state"] in ("succeeded", "failed", "cancelled")
            for name, data in list(self.told.values())
        )
