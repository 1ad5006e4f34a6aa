"""The example of the API reference: a small CNN for 28 x 28 images of ten classes."""

from __future__ import annotations

from typing import Any

EXAMPLE: dict[str, Any] = {
    "architecture": {
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
    },
    "hyperparams": {
        "epochs": 5,
        "batch_size": 64,
        "optimizer": {"type": "sgd", "lr": 0.1, "momentum": 0.0},
        "loss": "cross_entropy",
        "seed": 42,
        "train_split": 0.9,
        "shuffle": True,
        "max_samples": 4096,
    },
}
