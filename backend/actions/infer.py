"""Answers about images: one, or a batch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import TypedDict

from backend.actions.networks import Networks
from backend.errors import ApiError
from backend.inference.pixels import read_batch, read_image
from backend.inference.predictors import Loaded
from backend.parsing.requests import InferBody, check
from backend.state.records import Json
from backend.telemetry import Telemetry


class Answer(TypedDict):
    """The prediction for one image."""

    run_id: str
    label: int
    probabilities: list[float]
    prediction: str
    dataset_type: str


class Answers(TypedDict):
    """The predictions for a batch, image by image."""

    run_id: str
    labels: list[int]
    predictions: list[str]
    probabilities: list[list[float]]
    dataset_type: str


Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Infer:
    """Asks networks, and counts how long they take."""

    networks: Networks
    telemetry: Telemetry

    def answer(self, body: Json) -> Answer | Answers:
        """To `POST /api/infer`. Raises SpecError (400), ApiError 404 / 409, Unprocessable, CheckpointError."""
        request = check(InferBody, body)
        loaded = self.networks.find(request.run_id, request.model_id)
        one = request.pixels is not None
        images = (
            read_image(request.pixels, shape=loaded.shape) if one else read_batch(request.batch, shape=loaded.shape)
        )
        began = time.monotonic()
        probabilities = loaded.predictor.probabilities(images)
        self.telemetry.count_inference(time.monotonic() - began, len(images))
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
