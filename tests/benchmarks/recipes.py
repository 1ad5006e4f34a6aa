"""Recipes trained from the first step to the test, some seeds each: what they reach, in how many seconds, and why.

usage: python -m tests.benchmarks.recipes [-s SEEDS] [--without] [--torch PYTHON] NAME|BODY.json ...

NAME: one of `lamina examples`. Each training is a process of its own, as in a new server that has nothing compiled; data
come from LAMINA_DATA_DIR. Prints a line of a table for each recipe: the test accuracy of every seed and their mean, the
seconds that the epochs took, validation with them, and those from the body to the result of the test, compilation with
them: medians. --without: also the recipe without each of its ingredients. --torch: also PyTorch's side of
it, by an interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nets import parse_architecture, parse_hyperparams
from nets.process.device import prepare_process
from nets.training.events import Finished
from nets.training.fit import fit
from nets.training.metrics import EpochMetrics
from tests.benchmarks.compile_times import body_of
from tests.benchmarks.epochs import data_of

ROOT = Path(__file__).parents[2]
PEER = Path(__file__).with_name("recipe_pytorch.py")
HEAD = "| recipe | of | seeds | mean | s of epochs | s in all |\n|---|---|---|---|---|---|"
Json = dict[str, Any]


def trained(body: Json) -> Json:
    """What a body reaches in this process, and how soon."""
    prepare_process()  # as the server does
    data, began, epochs = data_of(parse_hyperparams(body["hyperparams"])), time.perf_counter(), 0.0
    for event in fit(parse_architecture(body["architecture"]), parse_hyperparams(body["hyperparams"]), data):
        if isinstance(event, EpochMetrics):
            epochs += event.epoch_time
        if isinstance(event, Finished):
            return {
                "accuracy": event.test_accuracy,
                "epochs": epochs,
                "all": time.perf_counter() - began,
            }
    raise AssertionError("a run ends with Finished")


def written(layers: list[Json], dropped: str) -> list[Json]:
    """Layers without those whose type begins so. What stood before a norm gets its bias."""
    if dropped != "batchnorm":
        return [layer for layer in layers if not layer["type"].startswith(dropped)]
    found = []
    for layer, after in zip(layers, [*layers[1:], {"type": ""}], strict=True):
        if not layer["type"].startswith(dropped):
            normed = after["type"].startswith(dropped)
            found.append({name: value for name, value in layer.items() if not (normed and name == "bias")})
    return found


def poorer(body: Json) -> Iterator[tuple[str, Json]]:
    """The body without each of what makes it better than plain training, and what that is."""

    def changed(**hyperparams: Any) -> Json:
        return {**body, "hyperparams": {**body["hyperparams"], **hyperparams}}

    h, layers = body["hyperparams"], body["architecture"]["layers"]
    augment = h.get("augment") or []
    if augment:
        yield "without augmentation", changed(augment=[])
    if len(augment) > 1:
        for each in augment:
            yield f"without `{each['type']}`", changed(augment=[other for other in augment if other != each])
    if h.get("lr_schedule"):
        third = {**h["optimizer"], "lr": h["optimizer"]["lr"] / 3}
        yield "constant rate, a third of the largest", changed(lr_schedule={"type": "constant"}, optimizer=third)
    if isinstance(h.get("loss"), dict) and h["loss"].get("label_smoothing"):
        yield "without label smoothing", changed(loss={**h["loss"], "label_smoothing": 0.0})
    for name in ("ema", "swa", "test_time_augmentation", "weight_decay"):
        if h.get(name):
            yield f"without `{name}`", changed(**{name: None if name in ("ema", "swa") else type(h[name])()})
    for kind in ("batchnorm", "dropout"):
        if any(layer["type"].startswith(kind) for layer in layers):
            architecture = {**body["architecture"], "layers": written(layers, kind)}
            yield f"without `{kind}`", {**body, "architecture": architecture}


def processes(body: Json, seeds: int, command: list[str]) -> list[Json]:
    """What the trainings with seeds 0 to `seeds` - 1 print, one after the other. RuntimeError where one fails."""
    found = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "body.json")
            path.write_text(json.dumps({**body, "hyperparams": {**body["hyperparams"], "seed": seed}}))
            done = subprocess.run([*command, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"ended with {done.returncode}")
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def row(name: str, of: str, found: list[Json]) -> str:
    reached = [100 * each["accuracy"] for each in found]
    seconds = " | ".join(f"{statistics.median(each[name] for each in found):.1f}" for name in ("epochs", "all"))
    return f"| {name} | {of} | {', '.join(f'{each:.2f}' for each in reached)} | {statistics.mean(reached):.2f} | {seconds} |"


def filled(body: Json) -> Json:
    """Every field of it."""
    h = parse_hyperparams(body["hyperparams"])
    return {"architecture": parse_architecture(body["architecture"]).to_json(), "hyperparams": h.to_json()}


def peer(body: Json, seeds: int, python: str) -> list[Json]:
    """PyTorch's side."""
    data = data_of(parse_hyperparams(body["hyperparams"]))
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder, "arrays.npz")
        np.savez(
            arrays,
            inputs=data.train_inputs,
            labels=data.train_labels,
            test_inputs=data.test_inputs,
            test_labels=data.test_labels,
        )
        return processes(filled(body), seeds, [python, str(PEER), str(arrays)])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="+", metavar="NAME|BODY.json")
    parser.add_argument("-s", "--seeds", type=int, default=3)
    parser.add_argument("--without", action="store_true", help="also without each ingredient")
    parser.add_argument("--torch", dest="python", help="an interpreter that has PyTorch")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        print(json.dumps(trained(body_of(asked.names[0]))))
        return
    ours = [sys.executable, "-m", "tests.benchmarks.recipes", "--here"]
    print(HEAD)
    for name in asked.names:
        body, title = body_of(name), f"`{Path(name).stem}`"
        print(row(title, "Lamina", processes(body, asked.seeds, ours)), flush=True)
        if asked.python:
            print(row(title, "PyTorch", peer(body, asked.seeds, asked.python)), flush=True)
        for what, less in poorer(body) if asked.without else ():
            print(row(f"{title} {what}", "Lamina", processes(less, asked.seeds, ours)), flush=True)


if __name__ == "__main__":
    main()
