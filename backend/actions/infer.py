"""Answers from finished runs: their networks loaded once, compiled once, and the recently used ones kept."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from typing_extensions import TypedDict

from backend.errors import ApiError, not_found
from backend.inference.pixels import read_batch, read_image
from backend.parsing.requests import Fields
from backend.state.checkpoints import Checkpoints
from backend.state.errors import UnknownRecord
from backend.state.records import Json, RunRecord
from nets import datasets
from nets.architecture.read import parse_architecture
from nets.checkpoint import load_weights
from nets.errors import CheckpointError, SpecError
from nets.inference import Predictor

if TYPE_CHECKING:
    from backend.services import Services

FIELDS = ("run_id", "model_id", "pixels", "batch")
UNCHECKED = ("pixels", "batch")  # by the JSON reader: inference/pixels.py looks at every number anyway


class Answer(TypedDict):
    """What a network says about one image."""

    run_id: str
    label: int
    probabilities: list[float]
    prediction: str
    dataset_type: str


class Answers(TypedDict):
    """What a network says about a batch, image by image."""

    run_id: str
    labels: list[int]
    predictions: list[str]
    probabilities: list[list[float]]
    dataset_type: str


Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Fingerprint:
    """What changes when a file is written, replaced or cut off."""

    inode: int
    size: int
    modified: int  # nanoseconds, as the next
    changed: int

    @classmethod
    def of(cls, path: Path) -> Fingerprint | None:
        """None where there is no such file."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True)
class Loaded:
    """A run's network in memory. `shape`: (channels, height, width) of its images."""

    run_id: str
    model_id: str
    dataset: str
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    file: Fingerprint
    predictor: Predictor


class Predictors:
    """The `capacity` most recently used networks, by run. Safe from any thread."""

    def __init__(self, checkpoints: Checkpoints, *, capacity: int = 16) -> None:
        self._checkpoints = checkpoints
        self._capacity = capacity
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # one at a time: two requests for one run load it once
        self._kept: OrderedDict[str, Loaded] = OrderedDict()

    def kept(self, run_id: str) -> Loaded | None:
        """A network that is in memory, and whose file is the one that was verified when it was loaded.

        A file that was touched since is read and verified again: a record and its weights never drift apart unnoticed.
        """
        with self._lock:
            loaded = self._kept.get(run_id)
            if loaded is not None:
                self._kept.move_to_end(run_id)
        if loaded is None or loaded.file != Fingerprint.of(self._checkpoints.weights(run_id)):
            return None
        return loaded

    def load(self, run: RunRecord) -> Loaded:
        """The network of a succeeded run with its weights on the disk. Raises CheckpointError."""
        with self._loading:
            if (loaded := self.kept(run.run_id)) is not None:
                return loaded
            loaded = self._read(run)
            with self._lock:
                self._kept[run.run_id] = loaded
                while len(self._kept) > self._capacity:
                    self._kept.popitem(last=False)
            return loaded

    def forget(self, run_ids: Iterable[str]) -> None:
        with self._lock:
            for run_id in run_ids:
                self._kept.pop(run_id, None)

    def _read(self, run: RunRecord) -> Loaded:
        path = self._checkpoints.weights(run.run_id)
        before = Fingerprint.of(path)
        architecture = parse_architecture(run.architecture)
        variables = load_weights(path, architecture, sha256=run.weights_sha256)
        assert before is not None, "it has just been read"
        return Loaded(
            run_id=run.run_id,
            model_id=run.model_id,
            dataset=run.dataset,
            classes=tuple(datasets.info(run.dataset).classes),
            shape=architecture.input,
            file=before,
            predictor=Predictor(architecture, variables, precision=run.precision or "float32"),
        )


def infer(services: Services, body: Json) -> Answer | Answers:
    """The answer to `POST /api/infer`. Raises SpecError (400), ApiError 404 / 409, Unprocessable, CheckpointError."""
    fields = Fields(body, FIELDS)
    run_id, model_id = fields.run_id(), fields.model_id()
    if not fields.has("run_id") and not fields.has("model_id"):
        fields.add("run_id", "is required: the run to ask, or model_id instead")
    one = fields.has("pixels")
    if one and fields.has("batch"):
        fields.add("batch", "came beside pixels; send pixels for one image or batch for many")
    if not one and not fields.has("batch"):
        fields.add("pixels", "is required for one image, or batch for many")
    fields.done()

    loaded = _find(services, run_id, model_id)
    images = read_image(body["pixels"], shape=loaded.shape) if one else read_batch(body["batch"], shape=loaded.shape)
    began = time.monotonic()
    probabilities = loaded.predictor.probabilities(images)
    services.telemetry.count_inference(time.monotonic() - began, len(images))
    if not np.isfinite(probabilities).all():
        raise ApiError(500, f"The weights of run {loaded.run_id} give no finite probabilities; train it again")
    return _one(loaded, probabilities) if one else _many(loaded, probabilities)


def _one(loaded: Loaded, probabilities: Probabilities) -> Answer:
    label = int(probabilities[0].argmax())
    return {
        "run_id": loaded.run_id,
        "label": label,
        "probabilities": probabilities[0].tolist(),
        "prediction": loaded.classes[label],
        "dataset_type": loaded.dataset,
    }


def _many(loaded: Loaded, probabilities: Probabilities) -> Answers:
    labels: list[int] = probabilities.argmax(axis=1).tolist()
    listed: list[Any] = probabilities.tolist()
    return {
        "run_id": loaded.run_id,
        "labels": labels,
        "predictions": [loaded.classes[label] for label in labels],
        "probabilities": listed,
        "dataset_type": loaded.dataset,
    }


def _find(services: Services, run_id: str | None, model_id: str | None) -> Loaded:
    """The network that a request names; the quick way asks nothing but whether the weights are there."""
    if run_id is None:
        assert model_id is not None
        run_id = _run_of_model(services, model_id)
    if (loaded := services.predictors.kept(run_id)) is None:
        run = services.store.get_run(run_id, metrics=False)
        if run is None:
            raise not_found("run", run_id, listing="/api/runs")
        loaded = load_network(services, run)
    if model_id is not None and loaded.model_id != model_id:
        raise ApiError(400, f"Run {run_id} belongs to model {loaded.model_id}, not to {model_id}; send one of the two")
    return loaded


def _run_of_model(services: Services, model_id: str) -> str:
    """The promoted run of a model, else its latest succeeded one."""
    model = services.store.get_model(model_id)
    if model is None:
        raise not_found("model", model_id, listing="/api/models")
    if model.saved_run_id is not None:
        return model.saved_run_id
    if model.latest_run is None:
        raise ApiError(409, f"Model {model_id} has no succeeded run to ask; train it with POST /api/train first")
    run = services.store.get_run(model.latest_run["run_id"], metrics=False)
    if run is None:
        raise UnknownRecord(model.latest_run["run_id"])
    if not _same_network(run.architecture, model.architecture):
        cure = "train it with POST /api/train, or name the run to ask with run_id"
        raise ApiError(409, f"The definition of model {model_id} is not what its latest run was trained by; {cure}")
    return run.run_id


def _same_network(trained: Json, stored: Json | None) -> bool:
    """Whether two definitions mean the same, whatever names their fields were sent by."""
    if trained == stored:
        return True
    try:
        return stored is not None and parse_architecture(trained) == parse_architecture(stored)
    except SpecError:  # written by another version of Lamina, which knew other rules
        return False


def load_network(services: Services, run: RunRecord) -> Loaded:
    """The network of a run. ApiError 409 without weights, CheckpointError where they are damaged, and `UnknownRecord`
    where the run is deleted meanwhile: its record is taken before its files.
    """
    try:
        require_weights(services, run)
        return services.predictors.load(run)
    except (ApiError, CheckpointError):
        if services.store.get_run(run.run_id, metrics=False) is None:
            raise UnknownRecord(run.run_id) from None
        require_weights(services, run)
        raise


def require_weights(services: Services, run: RunRecord) -> None:
    """409 unless the run succeeded and its weights are on the disk."""
    if run.state != "succeeded":
        raise ApiError(
            409, f"Run {run.run_id} is {services.runs.in_words(run)}; only a succeeded run has weights to use"
        )
    if not services.checkpoints.weights(run.run_id).is_file():
        raise ApiError(409, f"The weights of run {run.run_id} are gone from the disk; train the model again")
