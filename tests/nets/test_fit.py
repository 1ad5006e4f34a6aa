"""Networks of the literature in training, on arrays of every kind: they learn, are kept, and answer as they were tested."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.checkpoint import load_weights, save_weights
from nets.datasets import Dataset, from_arrays
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inference import Predictor
from nets.network import Network, Variables, initial_variables, numbers_of
from nets.training.events import Finished
from nets.training.fit import fit
from nets.training.metrics import EpochMetrics
from tests.nets.kernels.common import XLA, random
from tests.nets.networks import DENSENET, ENCODER, RESNET_20, SIAMESE, TWO_BRANCHES

LEARNT = 10  # samples drawn, of which eight are trained on
ADAM = {"type": "adam", "lr": 0.01}
SMALL: dict[str, tuple[dict[str, Any], str]] = {
    "DenseNet-BC": (DENSENET, "float32"),
    "two branches": (TWO_BRANCHES, "bfloat16"),
    "siamese": (SIAMESE, "float32"),
    "encoder": (ENCODER, "float32"),
}


def noise(a: Architecture, count: int = LEARNT) -> Dataset:
    """Samples of no meaning, to be learnt by heart."""
    generator, value = np.random.default_rng(3), a.graph.input

    def part() -> tuple[np.ndarray, np.ndarray]:
        shape = (count, *value.canonical)
        grey = generator.integers(0, 256, shape, np.uint8)
        inputs = grey if value.kind == "image" else generator.normal(size=shape)
        return inputs, np.arange(count) % a.graph.classes

    return from_arrays(*part(), *part(), classes=list(map(str, range(a.graph.classes))))


@cache
def trained(name: str, epochs: int = 40) -> tuple[Architecture, Dataset, list[EpochMetrics], Finished]:
    body, precision = SMALL[name]
    a = parse_architecture(body)
    fields = {"epochs": epochs, "batch_size": 4, "train_split": 0.8, "optimizer": ADAM, "precision": precision}
    data = noise(a)
    *events, finished = fit(a, parse_hyperparams(fields), data)
    assert isinstance(finished, Finished)
    return a, data, [event for event in events if isinstance(event, EpochMetrics)], finished


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_network_learns_eight_samples_by_heart(name: str) -> None:
    _, _, epochs, _ = trained(name)
    assert epochs[-1].train_loss < 0.3 * epochs[0].train_loss
    assert epochs[-1].train_accuracy == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_network_that_was_kept_answers_as_it_was_tested(name: str, tmp_path: Path) -> None:
    a, data, _, finished = trained(name)
    path = tmp_path / "weights.msgpack"
    kept = load_weights(path, a, sha256=save_weights(path, finished.variables))
    assert jax.tree.structure(kept) == jax.tree.structure(finished.variables)
    assert all(map(np.array_equal, jax.tree.leaves(kept), jax.tree.leaves(finished.variables)))
    scale = np.float32(255 if data.info.value.kind == "image" else 1)
    answers = Predictor(a, kept, precision=SMALL[name][1]).probabilities(data.test_inputs / scale)
    assert (answers.argmax(-1) == data.test_labels).mean() == pytest.approx(finished.test_accuracy)
    shown = finished.sample_predictions
    assert answers.argmax(-1)[: len(shown)].tolist() == [sample.prediction for sample in shown]
    confidence = [sample.confidence for sample in shown]
    # A sum that ends close to where bfloat16 rounds otherwise is seldom, and depends on its order.
    assert np.median(np.abs(answers.max(-1)[: len(shown)] - confidence)) < 1e-5


@pytest.mark.slow
def test_resnet_20_trains() -> None:
    a = parse_architecture(RESNET_20)
    fields = {"epochs": 6, "batch_size": 8, "train_split": 0.8, "optimizer": {"type": "adam", "lr": 0.002}}
    epochs = [event for event in fit(a, parse_hyperparams(fields), noise(a, 20)) if isinstance(event, EpochMetrics)]
    assert all(np.isfinite([epoch.train_loss, epoch.val_loss]).all() for epoch in epochs)
    assert epochs[-1].train_loss < 0.5 * epochs[0].train_loss


def test_weights_that_are_shared_stay_so() -> None:
    """One set of arrays, after training too, and the gradients of both towers in it."""
    a, _, _, finished = trained("siamese")
    own = [{key: part for key, part in layer.items() if key != "shares"} for layer in SIAMESE["layers"]]
    own[7] |= {"out": 16}
    own[9] |= {"out": 8}
    apart = parse_architecture({**SIAMESE, "layers": own})
    lent = {node.id: node.shares for node in a.graph.nodes if node.shares}
    assert sorted(lent.values()) == ["first", "one"]
    params = finished.variables["params"]
    assert params.keys() == {"linear_0", "first", "one", "linear_5", a.graph.last.id}
    copied = {**params, **{borrower: params[lender] for borrower, lender in lent.items()}}

    def gradients(a: Architecture, params: Any) -> Any:
        start = initial_variables(a.graph, seed=0)

        def loss(params: Any) -> jax.Array:
            state: Variables = {**start, "params": params, "numbers": numbers_of(a.graph)}
            y: jax.Array = Network(a.graph, XLA["float32"]).apply(state, random(8, 64), train=False)
            return jnp.square(y).sum()

        return jax.jit(jax.grad(loss))(params)

    ours, theirs = gradients(a, params), gradients(apart, copied)
    for borrower, lender in lent.items():
        for name, found in ours[lender].items():
            towers = theirs[lender][name], theirs[borrower][name]
            assert all(jnp.abs(tower).max() > 0 for tower in towers)
            np.testing.assert_allclose(found, sum(towers), rtol=1e-4, atol=1e-5)
