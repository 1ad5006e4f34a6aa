"""Make a small state directory with the server of some commit, and record all that it said: `old_state.tar.xz`.

usage: python -m tests.robustness.old_state LAMINA ARCHIVE

LAMINA is the command of the commit whose state is to be kept. The archive holds

- `state/`: the directory as it lay on the disk after SIGKILL in the middle of a run, but for what belongs to one
  machine and means nothing (compiled programs, the reserve);
- `export.tar`: the same state as that commit's own `lamina export-state` writes it;
- `said.json`: models, runs and their events as the server told them last, and its answers about images.

Only HTTP and the command line are used, so that it runs with any commit. What it made is not made again: an old
state is worth something because nobody touches it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Json = Any
DEADLINE = 120.0  # seconds
MANY = 32  # times the images that are asked about: batches so large go other ways
LEFT_OUT = ("compiled", "reserve")

CONV: list[Json] = [
    {"type": "conv2d", "in_channels": 1, "out_channels": 3, "kernel_size": 3, "padding": "same"},
    {"type": "batchnorm2d", "num_features": 3},
    {"type": "relu"},
    {"type": "maxpool2d", "kernel_size": 2},
    {"type": "conv2d", "filters": 6, "kernel": [3, 5], "stride": 2, "padding": 1},
    {"type": "tanh"},
    {"type": "maxpool2d", "pool_size": 2, "padding": 1},
    {"type": "dropout", "rate": 0.2},
    {"type": "linear", "units": 10},
    {"type": "softmax"},
]
MLP: list[Json] = [
    {"type": "linear", "in": 784, "out": 3},
    {"type": "sigmoid"},
    {"type": "linear", "in": 3, "out": 16},
    {"type": "batchnorm1d"},
    {"type": "relu"},
    {"type": "conv2d", "out_channels": 3, "kernel_size": 2},  # 16 numbers in a row are an image of 4 x 4
    {"type": "flatten"},
    {"type": "dropout", "p": 0.1},
    {"type": "linear", "out": 10},
]
RESIDUAL: list[Json] = [
    {"type": "conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3, "stride": 2, "padding": 1},
    {"type": "maxpool2d", "kernel_size": 2},
    {"type": "residual_block", "in_channels": 4, "out_channels": 4, "kernel_size": 3},
    {"type": "maxpool2d", "kernel_size": 3, "stride": 2},
    {"type": "residual_block", "out_channels": 5, "kernel_size": 3, "momentum": 0.2},
    {"type": "flatten"},
    {"type": "linear", "out": 10},
    {"type": "softmax"},
]
ADAM, SGD = {"type": "adam", "lr": 0.01}, {"type": "sgd", "lr": 0.05, "momentum": 0.9}


def body(name: str, layers: list[Json], **hyperparams: Json) -> Json:
    architecture = {"input_size": 784, "input_channels": 1, "input_height": 28, "input_width": 28, "layers": layers}
    settled = {"epochs": 2, "batch_size": 32, "max_samples": 400, "dataset_type": "digits", "optimizer": SGD}
    return {"name": name, "architecture": architecture, "hyperparams": {**settled, **hyperparams}}


class Server:
    """`lamina serve` over a state directory, with what its clients heard."""

    def __init__(self, lamina: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        folders = ["--state-dir", str(folder / "state"), "--data-dir", str(folder / "data")]
        self.process = subprocess.Popen(
            [lamina, "serve", "--port", str(port), *folders, "--log-level", "warning"], start_new_session=True
        )
        self.heard: dict[str, list[Json]] = {}
        self.changed = threading.Condition()
        self.eventually(self.healthy)

    def ask(self, path: str, sent: Json = None, method: str | None = None) -> Json:
        data = None if sent is None else json.dumps(sent).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return json.load(answer)

    def healthy(self) -> bool:
        try:
            return bool(self.ask("/api/health"))
        except OSError:
            return False

    def eventually(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def train(self, sent: Json) -> str:
        """The id of a new run, whose events are heard from now on."""
        run_id: str = self.ask("/api/train", sent)["run_id"]
        self.follow(run_id)
        return run_id

    def follow(self, run_id: str) -> None:
        self.heard.setdefault(run_id, [])
        threading.Thread(target=self._hear, args=(run_id,), daemon=True).start()

    def finish(self, run_id: str) -> str:
        self.until(run_id, lambda name, data: name == "state" and data["state"] in ("succeeded", "failed", "cancelled"))
        return run_id

    def until(self, run_id: str, condition: Callable[[str, Json], bool]) -> None:
        """Back when such an event of the run was heard."""
        with self.changed:
            told = self.heard[run_id]
            assert self.changed.wait_for(lambda: any(condition(name, data) for _, name, data in told), DEADLINE), told

    def _hear(self, run_id: str) -> None:
        try:
            with urllib.request.urlopen(f"{self.url}/api/runs/{run_id}/events", timeout=DEADLINE) as stream:
                for event in events(stream):
                    with self.changed:
                        self.heard[run_id].append(event)
                        self.changed.notify_all()
        except OSError:
            return  # the server was killed

    def kill(self) -> None:
        """Master and worker at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def events(lines: Iterator[bytes]) -> Iterator[tuple[int, str, Json]]:
    """Id, name and data of the kept events of a stream."""
    fields: dict[str, str] = {}
    for raw in lines:
        line = raw.decode().rstrip("\n")
        if not line and "id" in fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
        if not line:
            fields = {}
        else:
            name, _, value = line.partition(": ")
            fields[name] = value


def lived_through(server: Server) -> Json:
    """Everything that is to be in the state; what the server said of it."""
    conv = server.finish(server.train(body("Convolutions", CONV, keep_best=True, epochs=3)))
    mlp = server.finish(server.train(body("MLP", MLP, seed=7)))
    residual = server.finish(server.train(body("Résidus & 残差", RESIDUAL, optimizer={"type": "rmsprop", "lr": 0.002})))
    coarse = server.finish(server.train(body("Bfloat16", CONV, precision="bfloat16", optimizer=ADAM)))
    blocks = server.finish(server.train(body("Residual in bfloat16", RESIDUAL, precision="bfloat16")))
    more = server.finish(server.train({"resume_from": mlp, "hyperparams": {"epochs": 3}}))
    ids = {run["run_id"]: run["model_id"] for run in server.ask("/api/runs")["runs"]}
    server.ask("/api/models/save", {"run_id": conv, "name": "Promoted"})
    server.ask(f"/api/models/{ids[residual]}/save", {"run_id": residual})
    definition = {"model_id": "m_plain", "name": "Plain", "description": "Never trained", **body("Plain", MLP[:1])}
    server.ask("/api/models", definition)

    diverges = body("Diverges", [{"type": "linear", "out": 4}] * 3 + MLP[-1:], optimizer={"type": "sgd", "lr": 1000})
    failed = server.finish(server.train(diverges))
    slow = {"epochs": 1000, "max_samples": 4000, "batch_size": 8}
    cancelled = server.train(body("Cancelled", CONV, optimizer={"type": "sgd", "lr": 0.005}, **slow))
    server.until(cancelled, lambda name, data: name == "metric" and data["epoch"] >= 2)
    server.ask(f"/api/train/{cancelled}/cancel", method="POST")
    server.finish(cancelled)
    pixels = [[round(pixel / 255, 4) for row in shown["grid"] for pixel in row] for shown in samples(server, conv)]
    asked = (conv, mlp, residual, coarse, blocks, more)
    batches = {run_id: server.ask("/api/infer", {"run_id": run_id, "batch": pixels}) for run_id in asked}
    single = {run_id: server.ask("/api/infer", {"run_id": run_id, "pixels": pixels[0]}) for run_id in (mlp, blocks)}
    many = {run_id: server.ask("/api/infer", {"run_id": run_id, "batch": pixels * MANY}) for run_id in (conv, residual)}

    interrupted = server.train(body("Interrupted", RESIDUAL, optimizer=ADAM, keep_best=True, **slow))
    waiting = server.train({**body("Waiting", MLP[-1:], epochs=1), "queue": True})
    server.until(interrupted, lambda name, data: name == "metric" and data["epoch"] >= 2)
    models = server.ask("/api/models")
    ended = [*asked, failed, cancelled]
    return {
        "pixels": pixels,
        "batches": batches,
        "single": single,
        "many": {run_id: answer["probabilities"][: len(pixels)] for run_id, answer in many.items()},
        "models": {model["model_id"]: server.ask(f"/api/models/{model['model_id']}") for model in models},
        "runs": {run_id: server.ask(f"/api/runs/{run_id}") for run_id in [*ended, interrupted, waiting]},
        "metrics": {run_id: server.ask(f"/api/runs/{run_id}/metrics")["metrics"] for run_id in ended},
        "ended": ended,
        "cancelled": cancelled,
        "interrupted": interrupted,
        "waiting": waiting,
    }


def samples(server: Server, run_id: str) -> Json:
    return server.ask(f"/api/runs/{run_id}")["sample_predictions"]


def main(lamina: str, archive: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(lamina, folder)
        try:
            said = lived_through(server)
        finally:
            server.kill()
        said["events"] = server.heard
        (folder / "said.json").write_text(json.dumps(said))
        for left_out in LEFT_OUT:
            path = folder / "state" / left_out
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.copytree(folder / "state", folder / "copy" / "state")  # an export may change the files of a store
        export = [lamina, "export-state", str(folder / "export.tar"), "--state-dir", str(folder / "copy" / "state")]
        subprocess.run(export, check=True)
        with tarfile.open(archive, "w:xz", preset=9) as tar:
            for member in ("said.json", "state", "export.tar"):
                tar.add(folder / member, member, filter=nobody)
    print(f"{archive}: {archive.stat().st_size:,} bytes")


def nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member without the names of its owner."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
