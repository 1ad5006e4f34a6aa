"""Lamina against PyTorch, training the same networks: two processes each, whose epochs run in turn.

usage: python -m tests.benchmarks.race [-n EPOCHS] [--precision bfloat16] [--batch N] [--torch PYTHON] NAME|BODY.json ...

NAME: one of `nets.benchmarks.networks`, or `characters`. PYTHON: an interpreter that has PyTorch, else this one.
LAMINA_DATA_DIR may hold the data sets of bodies; in place of one that is not there come random images of its shape.
Prints for each network the images (or sequences) per second of the best epoch of each side, the ratio of these, and
that of the medians. ValueError where the sides disagree about the number of parameters.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets import parse_architecture, parse_hyperparams
from nets.architecture.architecture import Architecture
from nets.benchmarks import networks
from nets.errors import DataError
from nets.hyperparams.hyperparams import Hyperparams
from tests.benchmarks.epochs import data_of

PEER = Path(__file__).with_name("peer_pytorch.py")
HEAD = "| network | parameters | PyTorch | Lamina | ratio | of medians | losses |\n|---|---|---|---|---|---|---|"
VOCABULARY, CONTEXT = 65, 64
# Karpathy's character model for a CPU, with the next character as the class of a text.
CHARACTERS = {
    "architecture": {
        "input_shape": [CONTEXT],
        "input_vocabulary": VOCABULARY,
        "layers": [
            {"type": "embedding", "embedding_dim": 64},
            {"type": "positionalembedding"},
            {
                "type": "repeat",
                "times": 4,
                "layers": [
                    {
                        "type": "transformerencoderlayer",
                        "nhead": 4,
                        "dim_feedforward": 256,
                        "dropout": 0.0,
                        "activation": "gelu",
                        "norm_first": True,
                        "causal": True,
                    }
                ],
            },
            {"type": "layernorm"},
            {"type": "slice", "index": -1},
            {"type": "linear", "out": VOCABULARY},
        ],
    },
    "hyperparams": {"batch_size": 64, "optimizer": {"type": "adamw", "lr": 0.001}, "seed": 42, "max_samples": 2048},
}


class Side(NamedTuple):
    """A process that trains an epoch for each line. parameters: as it counts them; 0 where it does not say."""

    process: subprocess.Popen[str]
    parameters: int
    epochs: list[tuple[float, float]]

    def train(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        speed, loss = self.process.stdout.readline().split()
        self.epochs.append((float(speed), float(loss)))

    @property
    def speeds(self) -> list[float]:
        return [speed for speed, _ in self.epochs]


def started(command: list[str]) -> Side:
    """A side behind its first epoch. RuntimeError where it ends before."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for line in process.stdout:
        if line.startswith("READY"):
            return Side(process, int(line.split()[1]) if line.split()[1:] else 0, [])
    raise RuntimeError(f"ended with {process.wait()} before its first epoch: {' '.join(command)}")


def written(name: str, *, batch: int | None, precision: str) -> dict[str, Any]:
    """The body of a name or of a file, every field filled in."""
    if name == "characters":
        body: dict[str, Any] = CHARACTERS
    else:
        body = json.loads(Path(name).read_text()) if name.endswith(".json") else networks.body(name)
    more = {"precision": precision, **({"batch_size": batch} if batch else {})}
    h = parse_hyperparams({**body["hyperparams"], **more})
    return {"architecture": parse_architecture(body["architecture"]).to_json(), "hyperparams": h.to_json()}


def arrays_of(a: Architecture, h: Hyperparams) -> dict[str, np.ndarray]:
    """As many samples as the body takes: those of its data set where they are, else random ones."""
    try:
        data = data_of(h)
        if data.info.value == a.graph.input:
            return {"inputs": data.train_inputs[: h.max_samples], "labels": data.train_labels[: h.max_samples]}
    except DataError:
        pass
    random, count = np.random.default_rng(0), h.max_samples or 4096
    given = a.graph.input
    most = given.vocabulary or 256
    inputs = random.integers(0, most, (count, *given.canonical), np.uint8 if given.kind == "image" else np.int32)
    return {"inputs": inputs, "labels": random.integers(0, a.graph.classes, count, np.int32)}


def race(body: dict[str, Any], *, python: str, epochs: int) -> list[Side]:
    """Both sides of a race, PyTorch's first."""
    a, h = parse_architecture(body["architecture"]), parse_hyperparams(body["hyperparams"])
    with tempfile.TemporaryDirectory() as folder:
        written_to, arrays = Path(folder, "body.json"), Path(folder, "arrays.npz")
        written_to.write_text(json.dumps(body))
        np.savez(arrays, **arrays_of(a, h))
        precision = ["--precision", h.precision]
        sides = [
            started([python, str(PEER), str(written_to), str(arrays), *precision]),
            started(
                [sys.executable, "-m", "tests.benchmarks.epochs", str(written_to), "--arrays", str(arrays), *precision]
            ),
        ]
        for _ in range(epochs):
            for side in sides:
                side.train()
        for side in sides:
            assert side.process.stdin
            side.process.stdin.close()
            side.process.wait()
    if sides[0].parameters != a.parameters:
        raise ValueError(f"{a.parameters} parameters, but PyTorch's network has {sides[0].parameters}")
    return sides


def row(name: str, parameters: int, theirs: Side, ours: Side) -> str:
    """A line of the table."""
    best = max(ours.speeds) / max(theirs.speeds)
    median = statistics.median(ours.speeds) / statistics.median(theirs.speeds)
    speeds = f"{max(theirs.speeds):,.0f} | {max(ours.speeds):,.0f}"
    losses = f"{theirs.epochs[-1][1]:.3f} {ours.epochs[-1][1]:.3f}"
    return f"| `{name}` | {parameters:,} | {speeds} | {best:.2f} | {median:.2f} | {losses} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="+", metavar="NAME|BODY.json")
    parser.add_argument("-n", type=int, default=5, dest="epochs")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--batch", type=int)
    parser.add_argument("--torch", default=sys.executable, dest="python", help="an interpreter that has PyTorch")
    asked = parser.parse_args()
    print(HEAD)
    for name in asked.names:
        body = written(name, batch=asked.batch, precision=asked.precision)
        theirs, ours = race(body, python=asked.python, epochs=asked.epochs)
        print(row(Path(name).stem, theirs.parameters, theirs, ours), flush=True)


if __name__ == "__main__":
    main()
