"""Networks that end in embeddings are read by the nearest mean of a class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.checkpoint import load_weights, save_weights
from nets.errors import CheckpointError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inference import Predictor
from nets.losses import LOSSES
from nets.losses.embedding import hits, nearness
from nets.training.evaluation import evaluate
from nets.training.events import Finished
from nets.training.fit import fit
from nets.training.means import added, nothing, read_by
from nets.training.metrics import EpochMetrics
from tests.nets.builders import network, stripes

NET = network({"type": "linear", "out": 16}, {"type": "relu"}, {"type": "linear", "out": 5})


def run_to_end(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_means_are_those_of_the_samples_that_count() -> None:
    places = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    labels, real = jnp.asarray([0, 1, 1, 0, 3, 1]), jnp.asarray([True] * 5 + [False])
    held = read_by(
        jax.jit(added)(nothing(4, 2), places, labels, real),
        LOSSES.parse({"type": "triplet", "normalize": False}, ("loss",)),
    )
    np.testing.assert_allclose(held["means"][0], places[[0, 3]].mean(0), rtol=1e-6)
    np.testing.assert_allclose(held["means"][1], places[[1, 2]].mean(0), rtol=1e-6)
    logits = np.asarray(jax.jit(nearness)(places, held))
    assert logits.shape == (6, 4) and np.isfinite(logits).all()
    assert logits.argmax(-1)[4] == 3 and (logits.argmax(-1) != 2).all(), "nothing is near to a class without a sample"
    np.testing.assert_allclose(logits[0, 1], -((places[0] - held["means"][1]) ** 2).sum(), rtol=1e-5)


def test_a_hit_is_nearest_to_the_others_of_its_class() -> None:
    places = jnp.asarray([[0.0, 0], [0.2, 0], [5, 5], [5.2, 5], [4.9, 5], [9, 9]])
    labels = jnp.asarray([0, 0, 1, 1, 0, 2])
    told = jax.jit(hits)
    found = told(places, labels, np.ones(6, bool))
    assert found.tolist() == [True, True, True, True, False, False], "one among others, and one by itself"
    assert told(places, labels, np.arange(6) != 3).tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize("loss", ["contrastive"])
def test_an_embedding_is_trained_tested_kept_and_asked(loss: str, tmp_path: Path) -> None:
    h = parse_hyperparams({"epochs": 12, "batch_size": 18, "loss": loss, "optimizer": {"type": "adam", "lr": 0.01}})
    data = stripes()
    *events, finished = fit(NET, h, data)
    metrics = [event for event in events if isinstance(event, EpochMetrics)]
    assert isinstance(finished, Finished) and metrics[-1].train_loss < metrics[0].train_loss
    assert metrics[-1].train_accuracy > 0.9 and finished.test_accuracy > 0.9
    path = tmp_path / "weights.msgpack"
    save_weights(path, finished.variables)
    kept = load_weights(path, NET)
    found = Predictor(NET, kept).probabilities(data.test_inputs.astype(np.float32) / 255)
    assert found.shape == (len(data.test_labels), 3)
    assert (found.argmax(-1) == data.test_labels).mean() == pytest.approx(finished.test_accuracy)
    apart = run_to_end(evaluate(NET, h, kept, data, metrics=parse_hyperparams({"metrics": ["f1"]}).metrics))
    assert apart.accuracy == pytest.approx(finished.test_accuracy)
    assert apart.loss == pytest.approx(finished.test_loss, rel=1e-5) and apart.measured.values["f1"] > 0.8
    shown = finished.sample_predictions[0]
    assert (shown.prediction, shown.confidence) == (found[0].argmax(), pytest.approx(found[0].max(), abs=1e-5))
    save_weights(path, {**kept, "classes": {**kept["classes"], "means": np.zeros((3, 4), np.float32)}})
    with pytest.raises(CheckpointError, match=r"classes/means must be float32\[3, 5\], got float32\[3, 4\]"):
        load_weights(path, NET)
