"""Mean and deviation of samples, by which networks standardise what comes in."""

from __future__ import annotations

import numpy as np


def input_statistics(inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Of each channel or feature, the last axis of `inputs`, both float32.

    Grey values 0..255 (uint8) count on the scale 0..1, from exact counts of each; other numbers as they are.
    """
    if inputs.dtype == np.uint8:
        return _of_grey_values(inputs)
    others = tuple(range(inputs.ndim - 1))
    mean, deviation = inputs.mean(others, dtype=np.float64), inputs.std(others, dtype=np.float64)
    # A feature of one value has no deviation: it stays as far from its mean as it is.
    return {"mean": mean.astype(np.float32), "std": np.where(deviation > 0, deviation, 1).astype(np.float32)}


def _of_grey_values(images: np.ndarray) -> dict[str, np.ndarray]:
    counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[-1])])
    share, values = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = share @ values
    deviation = np.sqrt((share * (values - mean[:, None]) ** 2).sum(1))
    # A channel of one value has no deviation: one grey step then counts as one.
    return {"mean": mean.astype(np.float32), "std": np.maximum(deviation, 1 / 255).astype(np.float32)}
