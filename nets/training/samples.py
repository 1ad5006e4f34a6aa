"""The first test samples as a finished network reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nets.datasets import Dataset

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
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    probabilities = shifted / shifted.sum(-1, keepdims=True)
    shown, is_image = dataset.test_inputs[: len(logits)], dataset.info.value.kind == "image"
    grids = [grey(sample).tolist() if is_image else None for sample in shown]
    return [
        SamplePrediction(grid, int(label), int(row.argmax()), float(row.max()))
        for grid, label, row in zip(grids, dataset.test_labels, probabilities, strict=False)
    ]


def grey(image: np.ndarray) -> np.ndarray:
    """`[height, width, channels]` as `[height, width]` of 0..255. Colours by ITU-R BT.601."""
    if image.shape[-1] == 1:
        return image[..., 0]
    return np.rint(image[..., :3] @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
