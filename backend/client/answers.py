"""Answers of the server as types. Fields that a client does not know are left out; `.json` of an answer has all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from backend.client.errors import Faulty

Json = dict[str, Any]
TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
SHORT = 10  # characters of an id that people read: few servers have runs that begin alike


class Part(msgspec.Struct, kw_only=True):
    """Something in an answer."""


class Answer(Part, kw_only=True):
    """An answer, or one of a list of them. `json`: as it came."""

    json: Json = {}

    def __repr__(self) -> str:
        values = ((name, getattr(self, name)) for name in self.__struct_fields__ if name != "json")
        shown = (f"{name}={value!r}" for name, value in values if isinstance(value, (str, int, float)) and value != "")
        return f"{type(self).__name__}({', '.join(shown)})"


class Metric(Part, kw_only=True):
    """One epoch. Losses in nats, accuracies and progress as fractions, times in seconds.

    metrics: of the validation, those that were asked for.
    """

    epoch: int
    train_loss: float
    val_loss: float
    train_accuracy: float
    val_accuracy: float
    learning_rate: float = 0.0
    epoch_time: float = 0.0
    samples_per_sec: float = 0.0
    progress: float = 0.0
    eta_seconds: float = 0.0
    metrics: Json | None = None


class Best(Part, kw_only=True):
    """The epoch with the lowest loss of validation."""

    epoch: int
    val_loss: float
    val_accuracy: float


class Run(Answer, kw_only=True):
    """A run. Lists of runs have no `metrics`, unless they were asked for; `metrics` has at most 200 epochs.

    From `compilation` to `request_sha256`: how it was computed, which lists leave out as well.
    """

    run_id: str
    model_id: str
    state: str
    created_at: str
    epochs_total: int
    name: str = ""
    tags: list[str] = []
    notes: str | None = None
    epoch: int = 0
    dataset_type: str = ""
    hyperparams: Json = {}
    architecture: Json | None = None
    started_at: str | None = None
    completed_at: str | None = None
    best: Best | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    test_metrics: Json | None = None
    baseline_accuracy: dict[str, float] | None = None
    error: str | None = None
    stopped_by: Json | None = None
    target_reached: Json | None = None
    warnings: list[str] = []
    device: str | None = None
    device_id: str | None = None
    device_kind: str | None = None
    precision: str | None = None
    effective_precision: str | None = None
    compile_seconds: float | None = None
    compilation: Json | None = None
    timing: Json | None = None
    peak_memory: Json | None = None
    environment: Json | None = None
    dataset_sha256: str | None = None
    request_sha256: str | None = None
    resumable: bool = False
    resumed_from: str | None = None
    cancelling: bool = False
    queue_position: int | None = None
    saved_model_path: str | None = None
    size_bytes: int = 0
    weights_sha256: str | None = None
    metrics_total: int = 0
    metrics: list[Metric] = []
    sample_predictions: list[Json] | None = None
    worst: list[Json] | None = None
    events_url: str = ""

    @property
    def short(self) -> str:
        """The beginning of its id, as commands show it."""
        return self.run_id[:SHORT]

    @property
    def ended(self) -> bool:
        """Whether it has succeeded, failed or was cancelled."""
        return self.state in TERMINAL

    @property
    def succeeded(self) -> bool:
        """Whether its weights are there."""
        return self.state == "succeeded"


class Inspected(Answer, kw_only=True):
    """What a network costs before it trains. `layers`: a row each; `problems`: why it cannot be trained as it is."""

    valid: bool
    problems: list[Json] = []
    warnings: list[Json] = []
    layers: list[Json] = []
    totals: Json = {}
    memory: Json | None = None
    predicted: dict[str, Json] = {}
    kernels: Json | None = None
    dataset: str | None = None
    device: str | None = None


class Started(Answer, kw_only=True):
    """A run that was accepted. `hyperparams`: all that it uses; `warnings`: what the server remarks on the body.

    doubts: of these remarks those that experience gives, each with `rule`, `pointer`, `reason`, `cure`. learning_rate:
    `first`, `largest` and `last` of the run.
    """

    run_id: str
    model_id: str
    epochs_total: int
    created_at: str = ""
    name: str = ""
    tags: list[str] = []
    hyperparams: Json = {}
    dataset: str | None = None
    events_url: str = ""
    epoch: int = 0
    resumed_from: str | None = None
    queue_position: int | None = None
    warnings: list[str] = []
    doubts: list[Json] = []
    learning_rate: dict[str, float] = {}

    @property
    def short(self) -> str:
        """The beginning of its id, as commands show it."""
        return self.run_id[:SHORT]


class Model(Answer, kw_only=True):
    """A model. `runs`: where one model was asked for, its newest."""

    model_id: str
    name: str
    created_at: str = ""
    updated_at: str = ""
    description: str | None = None
    architecture: Json | None = None
    hyperparams: Json | None = None
    trained: bool = False
    saved_model_path: str | None = None
    saved_model_exists: bool = False
    saved_run_id: str | None = None
    last_trained_at: str | None = None
    runs_total: int = 0
    size_bytes: int = 0
    highest_accuracy: float | None = None
    latest_run: Json | None = None
    runs: list[Run] = []
    warnings: list[str] = []

    @property
    def short(self) -> str:
        """The beginning of its id, as commands show it."""
        return self.model_id[:SHORT] if self.model_id.startswith("m_") else self.model_id


class Promoted(Answer, kw_only=True):
    """A model with the run that gave it its weights."""

    model_id: str
    run_id: str
    name: str = ""
    trained: bool = False
    saved_model_path: str | None = None
    test_accuracy: float | None = None


class Prediction(Answer, kw_only=True):
    """What a network says of one image. `label`: the index, `prediction`: the name of the class.

    `notes`: what was done to a picture, such as "ink is dark on light: inverted".
    """

    run_id: str
    label: int
    prediction: str
    probabilities: list[float]
    dataset_type: str = ""
    notes: list[str] = []

    @property
    def confidence(self) -> float:
        """The probability of the label, 0 to 1."""
        return self.probabilities[self.label]


class Dataset(Answer, kw_only=True):
    """A data set. `shape`: (height, width, channels) of an image; `cached`: whether it is on the server's disk."""

    name: str
    title: str = ""
    description: str = ""
    shape: list[int] = []
    classes: list[str] = []
    train_size: int = 0
    test_size: int = 0
    download_mb: float | None = None
    bundled: bool = False
    cached: bool = False


class LayerType(Answer, kw_only=True):
    """A type of layers, or a combinator of them. `also`: its other names; `fields`: JSON Schema by name."""

    type: str
    also: list[str] = []
    description: str = ""
    fields: Json = {}
    required: list[str] = []
    aliases: Json = {}
    example: Json = {}


class Device(Answer, kw_only=True):
    """What the server can train on. `id`: for `hyperparams.device`, such as "gpu:1"."""

    id: str
    platform: str
    kind: str
    default: bool = False
    memory: Json = {}
    driver: str | None = None
    cuda: str | None = None
    data_sheet: Json = {}
    measured_peak: Json = {}


class Health(Answer, kw_only=True):
    """How the server is: `status` is "ok" or "degraded"."""

    status: str
    version: str = ""
    uptime_seconds: float = 0.0
    devices: list[Json] = []
    active_run: str | None = None
    queue_length: int = 0
    event_streams: int = 0
    disk_free_bytes: int = 0
    store_writable: bool = True
    warnings: list[str] = []


T = TypeVar("T", bound=Answer)


def read(kind: type[T], value: object) -> T:
    """An answer as its type. Raises Faulty where it is something else."""
    try:
        value = msgspec.convert(value, dict)
        found = msgspec.convert({**value, "json": {}}, kind, str_keys=True)
    except msgspec.ValidationError as reason:
        raise Faulty(f"the answer of the server is no {kind.__name__}: {reason}") from None
    found.json = value
    if isinstance(found, Model):
        for run, told in zip(found.runs, value.get("runs") or (), strict=True):
            run.json = told
    return found


def read_all(kind: type[T], values: object) -> list[T]:
    """A list of answers as their types."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise Faulty(f"the answer of the server is no list of {kind.__name__}")
    return [read(kind, value) for value in values]
