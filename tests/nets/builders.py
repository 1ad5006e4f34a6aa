"""Small networks and data sets for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.datasets import Dataset, DatasetInfo
from nets.spec.values import Value

# The example of the API reference.
REFERENCE: dict[str, Any] = {
    "input_size": 784,
    "input_channels": 1,
    "input_height": 28,
    "input_width": 28,
    "layers": [
        {"type": "conv2d", "in_channels": 1, "out_channels": 32, "kernel_size": 3, "stride": 1, "padding": "same"},
        {"type": "relu"},
        {"type": "maxpool2d", "kernel_size": 2, "stride": 2, "padding": 0},
        {"type": "conv2d", "in_channels": 32, "out_channels": 64, "kernel_size": 3, "stride": 1, "padding": "same"},
        {"type": "relu"},
        {"type": "maxpool2d", "kernel_size": 2, "stride": 2, "padding": 0},
        {"type": "flatten"},
        {"type": "linear", "in": 3136, "out": 128},
        {"type": "relu"},
        {"type": "dropout", "p": 0.5},
        {"type": "linear", "in": 128, "out": 10},
        {"type": "softmax"},
    ],
}

TINY_CNN: list[dict[str, Any]] = [
    {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"},
    {"type": "relu"},
    {"type": "maxpool2d", "kernel_size": 2},
    {"type": "linear", "out": 3},
    {"type": "softmax"},
]


def input_of(value: Value) -> dict[str, Any]:
    """The fields of an architecture that say what goes in."""
    shape = {"input_shape": list(value.shape)}
    return shape if value.vocabulary is None else {**shape, "input_vocabulary": value.vocabulary}


def network(*layers: dict[str, Any], shape: Sequence[int] = (1, 8, 8)) -> Architecture:
    """An architecture from its layers alone."""
    return parse_architecture({"input_shape": list(shape), "layers": list(layers)})


def stripes(count: int = 60, *, size: int = 8, channels: int = 1, seed: int = 0) -> Dataset:
    """Three classes of noisy images that a small network can tell apart: a bright third of the rows."""
    random = np.random.default_rng(seed)

    def part(many: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(many, dtype=np.int32) % 3
        images = random.integers(0, 80, (many, size, size, channels))
        for image, label in zip(images, labels, strict=True):
            image[label * size // 3 : (label + 1) * size // 3] += 150
        return images.astype(np.uint8), labels

    info = DatasetInfo(
        name="stripes",
        title="Stripes",
        description="Bright thirds.",
        value=Value("image", (channels, size, size)),
        classes=("top", "middle", "bottom"),
        train_size=count,
        test_size=count // 2,
        download_mb=None,
        bundled=True,
        homepage="",
    )
    return Dataset(info, *part(count), *part(count // 2))
