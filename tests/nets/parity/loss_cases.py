"""Losses with options that are held against PyTorch, and the batches that they are given. Recorded by `record_losses`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("losses.npz")
BATCH, CLASSES = 12, 5
COUNTS = np.array([40, 10, 20, 5, 25])  # training samples of each class
WEIGHT = [0.5, 2.0, 1.0, 0.0, 3.0]

CASES: dict[str, dict[str, Any]] = {
    "cross_entropy": {"type": "cross_entropy"},
    "cross_entropy smoothed": {"type": "cross_entropy", "label_smoothing": 0.1},
    "cross_entropy weighted": {"type": "cross_entropy", "weight": WEIGHT},
    "cross_entropy balanced": {"type": "cross_entropy", "weight": "balanced"},
    "cross_entropy ignoring": {"type": "cross_entropy", "ignore_index": 2},
    "cross_entropy all": {"type": "cross_entropy", "label_smoothing": 0.2, "weight": WEIGHT, "ignore_index": 1},
    "cross_entropy spread": {"type": "cross_entropy", "label_smoothing": 0.3, "ignore_index": 4},
    "focal": {"type": "focal"},
    "focal alpha": {"type": "focal", "gamma": 0.5, "alpha": 0.25},
    "focal classes": {"type": "focal", "gamma": 3.0, "alpha": WEIGHT},
    "focal sigmoid": {"type": "focal", "gamma": 2.0, "alpha": 0.25, "activation": "sigmoid"},
    "bce": {"type": "bce"},
    "bce positive": {"type": "bce", "pos_weight": 9.0},
    "bce classes": {"type": "bce", "pos_weight": [1.0, 2.0, 3.0, 4.0, 5.0], "weight": WEIGHT},
    "mse": {"type": "mse"},
    "mae": {"type": "mae"},
    "huber": {"type": "huber"},
    "huber delta": {"type": "huber", "delta": 0.3},
    "smooth_l1": {"type": "smooth_l1"},
    "smooth_l1 beta": {"type": "smooth_l1", "beta": 0.25},
    "smooth_l1 sharp": {"type": "smooth_l1", "beta": 0.0},
    "log_cosh": {"type": "log_cosh"},
    "hinge": {"type": "hinge"},
    "hinge squared": {"type": "hinge", "p": 2, "margin": 0.5},
    "hinge weighted": {"type": "hinge", "weight": WEIGHT, "margin": 2.0},
    "nll": {"type": "nll"},
    "nll weighted": {"type": "nll", "weight": WEIGHT, "ignore_index": 0},
    "kl_div": {"type": "kl_div"},
    "kl_div batchmean": {"type": "kl_div", "reduction": "batchmean"},
    "poisson_nll": {"type": "poisson_nll"},
    "poisson_nll rates": {"type": "poisson_nll", "log_input": False, "eps": 1e-3, "full": True},
    "cosine": {"type": "cosine"},
    "contrastive": {"type": "contrastive"},
    "contrastive warm": {"type": "contrastive", "temperature": 0.5},
    "triplet": {"type": "triplet"},
    "triplet margin": {"type": "triplet", "margin": 0.2, "eps": 0.01},
    "triplet anywhere": {"type": "triplet", "normalize": False},
    "triplet hard": {"type": "triplet", "mining": "hard"},
    "triplet hard anywhere": {"type": "triplet", "mining": "hard", "normalize": False, "margin": 0.2, "eps": 0.01},
}


def batch_of(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Outputs `[batch, classes]` that the loss can be computed of, and labels."""
    random = np.random.default_rng(7)
    outputs = random.normal(scale=1.5, size=(BATCH, CLASSES))
    labels = random.permutation(np.arange(BATCH) % CLASSES)
    if case["type"] in ("nll", "kl_div"):
        outputs = outputs - np.log(np.exp(outputs).sum(-1, keepdims=True))
    if case.get("log_input") is False:
        outputs = np.exp(outputs)
    return outputs.astype(np.float32), labels


def read() -> dict[str, np.ndarray]:
    """What was recorded."""
    with np.load(FILE) as found:
        return dict(found)
