"""What a server predicts, beside what its runs then take: seconds of epochs and of whole runs, and the peak of memory.

usage: python -m tests.benchmarks.predictions [--url URL] [--only NAME ...] [--seconds 0.6] [--epochs 6] [--json FILE]

The server has `mnist` at hand, nothing else to do, and a calibrated device (`lamina devices --calibrate --url URL`). No
network of this table is one that a calibration trains. Each is inspected, then trained, with so many samples that an
epoch is expected to take `--seconds`; of its epochs the median counts, as the record has it.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from backend.client import Client
from nets.calibration.networks import OPTIMIZERS, layers
from tests.nets.public_networks import architecture

Json = dict[str, Any]
SHAPE, SAMPLES, FEWEST = [1, 28, 28], 60_000, 1000
LINEAR = {"type": "linear", "out": 10}
# Name, the layers as `nets.calibration.networks` has words for them, batch, optimizer, precision.
WORDS = (
    ("two tanh layers", "l300 tanh l100 tanh", 50, "momentum", "float32"),
    ("bottleneck of 700", "l1500 relu drop l700 relu l1500 relu", 96, "adamw", "bfloat16"),
    ("norms between", "l96 relu l96 n relu l96 relu l96 n relu l96 relu", 700, "adam", "float32"),
    ("five of 400", "l400 relu l400 relu l400 relu l400 relu l400 relu", 16, "momentum", "bfloat16"),
    ("LeNet with tanh", "c6k5 tanh p2 c16k5v tanh p2 l120 tanh l84 tanh", 20, "sgd", "float32"),
    ("wide LeNet", "c20k5v relu p2 c50k5v relu p2 l500 relu", 300, "adam", "bfloat16"),
    ("VGG with norms", "c48 n relu c48 n relu p2 c96 n relu c96 n relu p2 l128 relu drop", 100, "adam", "float32"),
    ("wide and plain", "c64 relu c64 relu p2 c128 relu p2", 64, "sgd", "bfloat16"),
    ("strides of 5 x 5", "c32k5s2 relu c64k5s2 relu c64 relu", 200, "adam", "float32"),
    ("two of 7 x 7", "c16k7 relu p2 c16k7 relu p2 l64 relu", 150, "rmsprop", "float32"),
    ("depthwise of 5 x 5", "c16 relu c16g16k5 relu c32k1 relu p2 c32g32k5 relu c64k1 relu", 64, "adam", "float32"),
    (
        "small MobileNet",
        "c40 n relu c40g40s2 n relu c80k1 n relu c80g80s2 n relu c160k1 n relu",
        256,
        "adamw",
        "bfloat16",
    ),
    ("residual blocks", "c20 n relu r20 r20 r40s2", 48, "sgd", "float32"),
    ("deep and narrow", "c10 relu c10 relu p2 c10 relu c10 relu p2 c10 relu c10 relu", 16, "momentum", "float32"),
    ("a batch of 1,000", "c28 relu p2 drop c56 relu p2 drop l112 relu drop", 1000, "adam", "float32"),
    ("three branches", "c16 relu (c8|c8k5|c8k7) relu p2 (c16k1|c16) relu", 120, "adam", "float32"),
    ("groups", "c32 relu p2 c64g4 n relu p2 c64g2 relu", 64, "momentum", "float32"),
    ("overlapping pools", "c48v relu p3s2 c72v relu p3s2 l256 relu l128 relu", 128, "adam", "float32"),
)
PUBLIC = (
    ("keras-mnist-convnet", 128, "adam", "float32"),
    ("keras-mnist-mlp", 128, "rmsprop", "float32"),
    ("tensorflow-quickstart", 32, "adam", "float32"),
    ("pytorch-mnist", 64, "sgd", "float32"),
    ("caffe-lenet", 64, "momentum", "bfloat16"),
    ("25-million-images", 64, "adam", "float32"),
)


class Compared(NamedTuple):
    """Predicted and recorded, of one network."""

    name: str
    samples: int
    epoch: tuple[float, float]
    error: float
    compiling: tuple[float, float]
    programs: tuple[str, str]
    total: tuple[float, float]
    memory: tuple[float, float]


def bodies() -> Iterator[tuple[str, Json]]:
    """Each network with its name, as a client sends it."""
    for name, batch, optimizer, precision in PUBLIC:
        yield name, body(architecture(name)["layers"], batch, optimizer, precision)
    for name, words, batch, optimizer, precision in WORDS:
        yield name, body([*layers(words, image=True), LINEAR], batch, optimizer, precision)


def body(network: Sequence[Json], batch: int, optimizer: str, precision: str) -> Json:
    wanted = {**OPTIMIZERS.get(optimizer, {"type": optimizer}), "lr": 1e-4}
    hyperparams = {"batch_size": batch, "optimizer": wanted, "precision": precision, "dataset_type": "mnist"}
    return {"architecture": {"input_shape": SHAPE, "layers": list(network)}, "hyperparams": hyperparams}


def compared(client: Client, name: str, sent: Json, *, seconds: float, epochs: int) -> Compared:
    """One network inspected and trained."""

    def asked(samples: int) -> Json:
        return {**sent, "hyperparams": {**sent["hyperparams"], "epochs": epochs, "max_samples": samples}}

    whole = next(iter(client.inspect(asked(SAMPLES)).predicted.values()))
    share = min(1.0, seconds / whole["seconds_per_epoch"])
    wanted = asked(max(FEWEST, 2 * sent["hyperparams"]["batch_size"], int(SAMPLES * share)))
    found = client.inspect(wanted)
    told = found.predicted[str(found.device)]
    run = client.wait(client.train(wanted, queue=True))
    assert run.state == "succeeded" and run.timing and run.compilation and run.peak_memory, (name, run.error)
    assert run.started_at and run.completed_at
    started, ended = (datetime.fromisoformat(each) for each in (run.started_at, run.completed_at))
    return Compared(
        name=name,
        samples=wanted["hyperparams"]["max_samples"],
        epoch=(told["seconds_per_epoch"], run.timing["median_epoch_seconds"]),
        error=told["error"],
        compiling=(told["compile_seconds"], run.compilation["seconds"]),
        programs=(told["programs"], run.compilation["kind"]),
        total=(told["total_seconds"], (ended - started).total_seconds()),
        memory=((found.memory or {})["peak"], run.peak_memory["bytes"]),
    )


def off(pair: tuple[float, float]) -> float:
    """How far off a prediction is, as a share of what was measured."""
    return pair[0] / pair[1] - 1


def line(one: Compared) -> str:
    """A row of the table."""
    memory = one.memory[0] / one.memory[1]
    return (
        f"{one.name:24} {one.samples:6} {one.epoch[0]:8.3f} {one.epoch[1]:8.3f} {off(one.epoch):+6.0%} {one.error:5.0%} "
        f"{one.compiling[0]:6.2f} {one.compiling[1]:6.2f} {one.programs[0]:>7}/{one.programs[1]:7} "
        f"{off(one.total):+6.0%} {one.memory[0] / 1e6:6.0f} {one.memory[1] / 1e6:6.0f} {memory:5.2f}"
    )


HEAD = (
    f"{'network':24} {'images':>6} {'epoch: s':>8} {'took':>8} {'off':>6} {'error':>5} {'begin':>6} {'took':>6} "
    f"{'programs':>15} {'total':>6} {'MB':>6} {'took':>6} {'share':>5}"
)


def summary(found: Sequence[Compared]) -> str:
    """The figures that are promised."""
    epochs = sorted(abs(off(one.epoch)) for one in found)
    within = sum(abs(off(one.epoch)) <= one.error for one in found)
    compiling = [
        abs(off(one.compiling)) for one in found if one.compiling[1] > 0 and one.programs[0] == one.programs[1]
    ]
    memory = sum(0.8 <= one.memory[0] / one.memory[1] <= 1.5 for one in found)
    return (
        f"epochs: median off {statistics.median(epochs):.0%}, nine of ten within {epochs[int(0.9 * len(epochs))]:.0%}, "
        f"{sum(each <= 0.3 for each in epochs)} of {len(epochs)} within 30 %, {within} within the stated error\n"
        f"programs: median off {statistics.median(compiling or [0.0]):.0%}; "
        f"totals: median off {statistics.median(abs(off(one.total)) for one in found):.0%}\n"
        f"memory: {memory} of {len(found)} within 0.8 to 1.5 of the measured peak"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--url")
    arguments.add_argument("--only", nargs="+", help="names of networks")
    arguments.add_argument("--seconds", type=float, default=0.6, help="that an epoch is expected to take")
    arguments.add_argument("--epochs", type=int, default=6)
    arguments.add_argument("--json", type=Path, help="where to add a line for each network")
    a = arguments.parse_args()
    client, found = Client(a.url), []
    print(HEAD)
    for name, sent in bodies():
        if a.only and name not in a.only:
            continue
        found.append(compared(client, name, sent, seconds=a.seconds, epochs=a.epochs))
        print(line(found[-1]), flush=True)
        if a.json:
            with a.json.open("a") as file:
                file.write(json.dumps(found[-1]._asdict()) + "\n")
    print(summary(found))


if __name__ == "__main__":
    main()
