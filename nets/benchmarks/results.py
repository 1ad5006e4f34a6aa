"""What a benchmark found: the types of `results.json`, and their JSON Schema.

Times are seconds, memory is bytes, speed is samples or floating point operations a second, energy is joules.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from nets.facts import About, DataSheet, Environment, HostFacts

SCHEMA: Literal["lamina-bench/1"] = "lamina-bench/1"
# What a cell chooses for itself, and the body does not say.
CHOSEN = ("device", "precision", "batch_size")

Preset = Literal["quick", "standard", "full"]
strict = with_config(ConfigDict(extra="forbid"))


@strict
class Protocol(TypedDict):
    """How everything was measured. Results of different protocols are not comparable."""

    preset: Annotated[Preset, About("Which one the rest was taken from, unless said otherwise.")]
    repeats: Annotated[int, About("How often each cell was measured.")]
    interleaved: Annotated[bool, About("Whether each repeat goes through all cells before the next one begins.")]
    processes: Annotated[str, About("Which processes measure.")]
    warmup_seconds: Annotated[float, About("Training before the first measured step, at least.")]
    measured_seconds: Annotated[float, About("Training that one repeat of a cell measures, at least.")]
    loss_steps: Annotated[int, About("After how many steps, from the same weights and order, losses are compared.")]
    seed: Annotated[int, About("Of weights, samples, and their order, in each cell.")]
    max_samples: Annotated[int, About("Samples that are drawn from a data set, at most.")]
    target: Annotated[float | None, About("The validation accuracy that training goes on to; null: no such training.")]
    target_epochs: Annotated[int, About("Epochs after which a target counts as missed.")]
    tolerances: Annotated[dict[str, float], About("By precision, the largest difference of losses that parity allows.")]


@strict
class Quiet(TypedDict):
    """How busy the machine was with other work."""

    load_average: Annotated[list[float] | None, About("Of 1, 5 and 15 minutes, before the start.")]
    busy: Annotated[float | None, About("Share of the cores' time that others used just before the start.")]
    steal: Annotated[
        float | None, About("Share of the time that the host of this virtual machine took, while measuring.")
    ]
    governor: Annotated[str | None, About("How the system chooses the CPU's clock.")]
    warnings: Annotated[list[str], About("Why the figures may be less exact.")]


@strict
class Clocks(TypedDict):
    """Clocks in MHz, null where they cannot be had."""

    cpu: Annotated[float | None, About("Of the CPU, the mean of its cores.")]
    cpu_most: Annotated[float | None, About("The highest that the CPU allows.")]
    gpu: Annotated[float | None, About("Of the GPU's multiprocessors.")]
    gpu_most: Annotated[float | None, About("The highest that the GPU allows.")]


@strict
class Machine(TypedDict):
    """A machine, as it was when the benchmark began."""

    name: Annotated[str, About("How reports call it.")]
    host: Annotated[HostFacts, About("Its processor and memory.")]
    environment: Annotated[Environment, About("System, libraries, flags.")]
    versions: Annotated[dict[str, str], About("Of what decides about numbers and speed.")]
    revision: Annotated[str | None, About("The git revision of Lamina, `-dirty` behind it where files had changed.")]
    power_limit_watts: Annotated[float | None, About("Of the GPU.")]
    clocks: Annotated[Clocks, About("Before the start.")]
    quiet: Annotated[Quiet, About("How busy it was.")]


@strict
class BodyFacts(TypedDict):
    """A network with its hyperparameters."""

    name: Annotated[str, About("How reports call it.")]
    sha256: Annotated[str, About("Of its canonical JSON, without `device`, `precision` and `batch_size`.")]
    body: Annotated[dict[str, Any], About("For `POST /api/train`.")]
    dataset: Annotated[str, About("What it was trained on: a data set, or `synthetic`, random numbers of its shape.")]
    train_samples: Annotated[int, About("Samples of an epoch.")]
    params: Annotated[int, About("Trained numbers.")]
    macs_forward: Annotated[int, About("Multiply-adds of one sample's way forward.")]
    flops_train: Annotated[int, About("Floating point operations of one sample of a training step.")]


@strict
class BenchedDevice(TypedDict):
    """A device that was measured."""

    machine: Annotated[str, About("The name of its machine.")]
    id: Annotated[str, About("`gpu:1`.")]
    platform: Annotated[str, About("`cpu`, `gpu` or `tpu`.")]
    kind: Annotated[str, About("The model.")]
    measured_peaks: Annotated[
        dict[str, float | None], About("By precision, floating point operations a second of a matrix product.")
    ]
    bandwidth: Annotated[float | None, About("Bytes a second between device and memory, measured.")]
    data_sheet: Annotated[DataSheet, About("What its data sheet says.")]


@strict
class ColdWarm(TypedDict):
    """Seconds until every program of a run is there."""

    cold: Annotated[float | None, About("With nothing kept of earlier runs.")]
    warm: Annotated[float | None, About("With compiled programs kept on the disk.")]


@strict
class Quantiles(TypedDict):
    """Times of steps."""

    p5: float
    p50: float
    p95: float
    steps: Annotated[int, About("How many steps were measured, in all repeats.")]


@strict
class Interval(TypedDict):
    """A median of repeats, and how far it can be trusted."""

    median: float
    low: Annotated[float, About("Begin of the 95 % interval of the median, by bootstrap.")]
    high: Annotated[float, About("End of that interval.")]
    values: Annotated[list[float], About("Every measurement, in the order of the repeats.")]


@strict
class Utilization(TypedDict):
    """Model FLOP/s as a share of a peak: `mfu`."""

    measured: Annotated[float | None, About("Of the measured peak.")]
    data_sheet: Annotated[float | None, About("Of the data sheet's.")]


@strict
class Memory(TypedDict):
    """The most memory in use."""

    bytes: Annotated[int | None, About("The peak.")]
    of: Annotated[Literal["device", "process"], About("The accelerator's own, or that of the whole process.")]
    reason: Annotated[str | None, About("Why there is none.")]


@strict
class Energy(TypedDict):
    """What training used."""

    joules_per_1000_samples: float | None
    of: Annotated[str | None, About("What was metered, such as `package` (RAPL) or `gpu` (NVML).")]
    reason: Annotated[str | None, About("Why there is none.")]


@strict
class Target(TypedDict):
    """Training to an accuracy."""

    accuracy: Annotated[float, About("The validation accuracy asked for.")]
    seconds: Annotated[
        float | None, About("Until the end of the epoch that reached it, without compiling; null: missed.")
    ]
    epoch: Annotated[int | None, About("Which epoch that was.")]
    best: Annotated[float | None, About("The highest validation accuracy of all epochs.")]


@strict
class Inference(TypedDict):
    """Answers of the trained network."""

    latency_p50: Annotated[float, About("Seconds for one sample.")]
    latency_p99: Annotated[float, About("Seconds for one sample, 99 of 100.")]
    throughput: Annotated[float, About("Samples a second, many at once.")]
    batch: Annotated[int, About("How many at once.")]


@strict
class Losses(TypedDict):
    """Training losses of the first steps of the seed."""

    curve: Annotated[list[float], About("Mean loss of each of the first steps.")]
    final: Annotated[float, About("The last of them.")]
    identical: Annotated[bool, About("Whether all repeats gave the same to the last bit.")]


@strict
class Cell(TypedDict):
    """A body on a device, in a precision, with a batch size. What a repeat did not come to is null."""

    machine: str
    device: Annotated[str, About("The id of a device of that machine.")]
    body: Annotated[str, About("The name of a body.")]
    precision: str
    effective_precision: Annotated[str | None, About("What operands were rounded to.")]
    batch_size: int
    repeats: Annotated[int, About("How many repeats were measured.")]
    compile_seconds: ColdWarm
    first_step_seconds: Annotated[
        float | None,
        About("From the start of a run to the end of its first dispatch, warm unless there was one repeat."),
    ]
    step_seconds: Quantiles | None
    samples_per_second: Interval | None
    model_flops_per_second: Annotated[float | None, About("Samples a second times `flops_train`.")]
    utilization: Utilization
    arithmetic_intensity: Annotated[
        float | None,
        About("FLOPs per byte of a step that has to move: weights, gradients, optimizer state, activations once each."),
    ]
    peak_memory: Memory
    energy: Energy
    target: Target | None
    inference: Inference | None
    losses: Losses | None
    error: Annotated[str | None, About("Why the cell could not be measured, or not to the end.")]


@strict
class Parity(TypedDict):
    """Losses of one seed on several devices, or in several precisions."""

    body: str
    batch_size: int
    reference: Annotated[str, About("`machine, device, precision` of the curve that others are compared with.")]
    compared: Annotated[str, About("The same of the other curve.")]
    steps: int
    largest_difference: Annotated[float, About("Of losses of the same step, relative to the reference.")]
    tolerance: float
    within: bool


@strict
class Results(TypedDict):
    """All of a benchmark."""

    schema: Literal["lamina-bench/1"]
    id: Annotated[str, About("Of this measurement; a merged one has another.")]
    created_at: Annotated[str, About("When it began: UTC, ISO 8601.")]
    seconds: Annotated[float, About("How long it took.")]
    complete: Annotated[bool, About("Whether every cell was measured in every repeat.")]
    command: Annotated[str, About("A command that measures the same.")]
    merged_from: Annotated[list[str], About("Ids of the results that were put together.")]
    protocol: Protocol
    machines: list[Machine]
    devices: list[BenchedDevice]
    bodies: list[BodyFacts]
    cells: list[Cell]
    parity: list[Parity]
    warnings: Annotated[list[str], About("What a reader has to know.")]


RESULTS: TypeAdapter[Results] = TypeAdapter(Results)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `results.json`."""
    found = RESULTS.json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Results of lamina bench", **found}


def body_sha256(body: Mapping[str, Any]) -> str:
    """Tells bodies apart. `body`: canonical architecture and hyperparameters; what a cell chooses is left out."""
    hyperparams = {name: value for name, value in body["hyperparams"].items() if name not in CHOSEN}
    text = json.dumps({"architecture": body["architecture"], "hyperparams": hyperparams}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
