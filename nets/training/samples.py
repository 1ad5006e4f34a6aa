"""Test samples as a finished network reads them: the first ones, and its worst mistakes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nets.datasets import Dataset
from nets.metrics import Reading

SAMPLES_SHOWN = 8


@dataclass(frozen=True)
class SamplePrediction:
    """One test sample as the finished network reads it. `grid`: of an image, rows of grey values 0 to 255."""

    grid: list[list[int]] | None
    label: int
    prediction: int
    confidence: float


def sample_predictions(dataset: Dataset, logits: np.ndarray) -> list[SamplePrediction]:
    """The first test samples as the network reads them. logits: `[samples, classes]`."""
    inputs, labels = dataset.test_inputs[: len(logits)], dataset.test_labels[: len(logits)]
    return shown(dataset, inputs, Reading(logits[: len(labels)], labels))


def worst(
    dataset: Dataset,
    inputs: np.ndarray,
    reading: Reading,
    most: int,
    *,
    rows: np.ndarray | None = None,
) -> list[SamplePrediction]:
    """The mistakes of a reading that the network is surest of, the surest first; of equally sure ones the first.

    rows: which of the inputs were read, where these are not all.
    """
    wrong = np.flatnonzero(~reading.hits)
    order = np.argsort(-reading.probabilities[wrong].max(-1), kind="stable")
    chosen = wrong[order[:most]]
    return shown(
        dataset,
        inputs[chosen if rows is None else rows[chosen]],
        Reading(reading.outputs[chosen], reading.labels[chosen]),
    )


def shown(dataset: Dataset, inputs: np.ndarray, reading: Reading) -> list[SamplePrediction]:
    """Samples of a data set with what was said of them."""
    is_image = dataset.info.value.kind == "image"
    grids = [grey(sample).tolist() if is_image else None for sample in inputs]
    return [
        SamplePrediction(grid, int(label), int(row.argmax()), float(row.max()))
        for grid, label, row in zip(grids, reading.labels, reading.probabilities, strict=True)
    ]


def grey(image: np.ndarray) -> np.ndarray:
    """`[height, width, channels]` as `[height, width]` of 0..255. Colours by ITU-R BT.601."""
    if image.shape[-1] == 1:
        return image[..., 0]
    return np.rint(image[..., :3] @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
