"""Results of a benchmark that nobody measured, for tests of what is made of them."""

from __future__ import annotations

from typing import Any

from nets import parse_architecture, parse_hyperparams
from nets.architecture.cost import flops_train_step, macs_forward
from nets.benchmarks.results import RESULTS, SCHEMA, Cell, Results, body_sha256
from nets.process.data_sheets import data_sheet
from nets.process.device import versions
from nets.process.devices import host
from nets.process.environment import environment

NETWORKS: dict[str, list[dict[str, Any]]] = {
    "mlp": [{"type": "linear", "out": 32}, {"type": "relu"}, {"type": "linear", "out": 10}],
    "cnn": [{"type": "conv2d", "out_channels": 8, "kernel_size": 3}, {"type": "relu"}, {"type": "linear", "out": 10}],
}
PEAKS = {"cpu": {"float32": 4e11, "bfloat16": 8e11}, "gpu": {"float32": 5e13, "bfloat16": 7e14}}
KINDS = {"cpu": "AMD EPYC 9B14, AVX-512 BF16, 2 cores", "gpu": "NVIDIA H200"}
BANDWIDTH = {"cpu": 2e10, "gpu": 3e12}


def body_facts(name: str) -> dict[str, Any]:
    architecture = parse_architecture({"input_size": 784, "layers": NETWORKS[name]})
    hyperparams = parse_hyperparams({"dataset_type": "digits"})
    body = {"architecture": architecture.to_json(), "hyperparams": hyperparams.to_json()}
    return {
        "name": name,
        "sha256": body_sha256(body),
        "body": body,
        "dataset": "digits",
        "train_samples": 1437,
        "params": architecture.parameters,
        "macs_forward": macs_forward(architecture.graph),
        "flops_train": flops_train_step(architecture.graph, 1),
    }


def cell(machine: str, platform: str, body: dict[str, Any], precision: str, batch: int, repeats: int) -> Cell:
    """A larger batch and a faster device are faster, within the peak."""
    peak = PEAKS[platform][precision]
    median = peak * (0.1 + 0.4 * batch / (batch + 100)) / body["flops_train"]
    values = [median * (1 + 0.02 * (repeat - repeats // 2)) for repeat in range(repeats)]
    step = batch / median
    gpu = platform == "gpu"
    found: Cell = {
        "machine": machine,
        "device": f"{platform}:0",
        "body": body["name"],
        "precision": precision,
        "effective_precision": precision,
        "batch_size": batch,
        "repeats": repeats,
        "compile_seconds": {"cold": 2.5 if gpu else 1.1, "warm": 0.3},
        "first_step_seconds": 0.5,
        "step_seconds": {"p5": 0.95 * step, "p50": step, "p95": 1.2 * step, "steps": 400},
        "samples_per_second": {"median": median, "low": min(values), "high": max(values), "values": values},
        "model_flops_per_second": median * body["flops_train"],
        "utilization": {
            "measured": median * body["flops_train"] / peak,
            "data_sheet": median * body["flops_train"] / 6.7e13 if gpu else None,
        },
        "arithmetic_intensity": 0.5 * batch,
        "peak_memory": {"bytes": 300_000_000 + 100_000 * batch, "of": "device" if gpu else "process", "reason": None},
        "energy": {"joules_per_1000_samples": 0.4, "of": "gpu", "reason": None}
        if gpu
        else {"joules_per_1000_samples": None, "of": None, "reason": "this machine has no energy counters"},
        "target": {"accuracy": 0.97, "seconds": 1.5, "epoch": 3, "best": 0.974},
        "inference": {"latency_p50": 0.001, "latency_p99": 0.002, "throughput": 5 * median, "batch": 1024},
        "losses": {"curve": [2.3, 2.1, 1.9], "final": 1.9, "identical": True},
        "error": None,
    }
    return found


def example(
    machine: str = "one",
    *,
    platforms: tuple[str, ...] = ("cpu",),
    precisions: tuple[str, ...] = ("float32", "bfloat16"),
    batches: tuple[int, ...] = (16, 64, 256, 1024),
    repeats: int = 5,
    networks: tuple[str, ...] = ("mlp", "cnn"),
) -> Results:
    """Of one machine. Every reader of results has to take it."""
    bodies = [body_facts(name) for name in networks]
    found = {
        "schema": SCHEMA,
        "id": f"b_{machine}",
        "created_at": "2026-11-29T07:00:00+00:00",
        "seconds": 100.0,
        "complete": True,
        "command": "lamina bench mlp.json cnn.json --preset quick",
        "merged_from": [],
        "protocol": {
            "preset": "quick",
            "repeats": repeats,
            "interleaved": True,
            "processes": "one for each cell and repeat",
            "warmup_seconds": 0.2,
            "measured_seconds": 0.5,
            "loss_steps": 3,
            "seed": 42,
            "max_samples": 4096,
            "target": 0.97,
            "target_epochs": 20,
            "tolerances": {"float32": 1e-3, "bfloat16": 0.05},
        },
        "machines": [
            {
                "name": machine,
                "host": host(),
                "environment": environment(),
                "versions": versions(),
                "revision": None,
                "power_limit_watts": None,
                "clocks": {"cpu": 2400.0, "cpu_most": None, "gpu": None, "gpu_most": None},
                "quiet": {
                    "load_average": [0.1, 0.2, 0.3],
                    "busy": 0.01,
                    "steal": 0.0,
                    "governor": None,
                    "warnings": [],
                },
            }
        ],
        "devices": [
            {
                "machine": machine,
                "id": f"{platform}:0",
                "platform": platform,
                "kind": KINDS[platform],
                "measured_peaks": {**PEAKS[platform]},
                "bandwidth": BANDWIDTH[platform],
                "data_sheet": data_sheet(platform, KINDS[platform]),
            }
            for platform in platforms
        ],
        "bodies": bodies,
        "cells": [
            cell(machine, platform, body, precision, batch, repeats)
            for body in bodies
            for platform in platforms
            for precision in precisions
            for batch in batches
        ],
        "parity": [
            {
                "body": body["name"],
                "batch_size": batch,
                "reference": f"{machine}, {platforms[0]}:0, float32",
                "compared": f"{machine}, {platform}:0, {precision}",
                "steps": 3,
                "largest_difference": 2e-3 if precision == "bfloat16" else 1e-6,
                "tolerance": 0.05 if precision == "bfloat16" else 1e-3,
                "within": True,
            }
            for body in bodies
            for batch in batches
            for platform in platforms
            for precision in precisions
            if (platform, precision) != (platforms[0], "float32")
        ],
        "warnings": [],
    }
    return RESULTS.validate_python(found, strict=True)
