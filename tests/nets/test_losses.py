"""Losses: values and gradients are PyTorch's, on every platform, and another number is no other program."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.losses import LOSSES, Loss
from nets.losses.base import Terms
from nets.training.fit import fit
from nets.training.metrics import EpochMetrics
from tests.nets.builders import network, stripes
from tests.nets.parity.loss_cases import BATCH, CASES, COUNTS, batch_of, read

NOTHING: dict[str, Any] = {}


def parsed(case: Any) -> Loss:
    return LOSSES.parse(case, ("loss",))


def mean_of(terms: Terms, real: Any = True) -> Any:
    """The mean of a batch, as training has it."""
    total = jnp.where(real, terms.each, 0).sum()
    weight = jnp.ones(len(terms.each)) if terms.weight is None else terms.weight
    return total / jnp.where(real, weight, 0).sum()


def value_of(loss: Loss, outputs: Any, labels: Any, platform: str = "cpu", real: Any = None) -> tuple[Any, Any]:
    """The mean of a batch and its gradient."""
    counted = jnp.ones(len(labels), bool) if real is None else real

    def mean(x: Any) -> Any:
        return mean_of(loss.terms(x, labels, loss.inputs(COUNTS), real=counted, platform=platform), counted)

    return jax.value_and_grad(mean)(jnp.asarray(outputs))


def test_every_loss_has_cases() -> None:
    assert {case["type"] for case in CASES.values()} == set(LOSSES)


def of_all(batches: Any) -> Any:
    """By case, of a batch with three more samples that do not count; and plain cross-entropy as a GPU computes it."""
    real = jnp.arange(BATCH + 3) < BATCH

    def of(case: Any, outputs: Any, labels: Any) -> Any:
        more = jnp.concatenate([outputs, outputs[:3]]), jnp.concatenate([labels, labels[:3]])
        return value_of(parsed(case), *more, "cpu", real)

    found = {name: of(case, *batches[name]) for name, case in CASES.items()}
    plain = batches["cross_entropy"]
    return found, value_of(parsed("cross_entropy"), *plain, "gpu")


@pytest.fixture(scope="module")
def found() -> Any:
    """All in one program: compiling many small ones takes longer."""
    return jax.jit(of_all)({name: batch_of(case) for name, case in CASES.items()})


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_pytorch(name: str, found: Any) -> None:
    """Samples that only fill a batch up change nothing."""
    (value, gradient), expected = found[0][name], read()
    np.testing.assert_allclose(value, expected[f"{name} value"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient[:BATCH], expected[f"{name} gradient"], rtol=1e-5, atol=1e-6)
    assert not np.any(gradient[BATCH:])


def test_accelerators_compute_the_same(found: Any) -> None:
    value, gradient = found[1]
    np.testing.assert_allclose(value, read()["cross_entropy value"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(gradient, read()["cross_entropy gradient"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_another_number_is_no_other_structure(name: str) -> None:
    case = CASES[name]
    halved = {
        option: [item / 2 for item in value] if isinstance(value, list) else value / 2
        for option, value in case.items()
        if isinstance(value, float | list)
    }
    loss, other = parsed(case), parsed({**case, **halved})
    assert (loss != other) == any(map(np.any, halved.values()))
    assert loss.structure() == other.structure() and hash(loss.structure()) == hash(other.structure())
    assert loss.inputs(COUNTS).keys() == loss.structure().inputs(COUNTS).keys()


def test_no_loss_scatters_on_accelerators() -> None:
    def gradients(batches: Any) -> Any:
        return {name: value_of(parsed(CASES[name]), *batch, "gpu")[1] for name, batch in batches.items()}

    batches = {name: batch_of(case) for name, case in CASES.items()}
    assert "scatter" not in str(jax.make_jaxpr(gradients)(batches))


def test_plain_cross_entropy_is_optax_s() -> None:
    outputs, labels = batch_of(CASES["cross_entropy"])
    loss = parsed({"type": "cross_entropy", "label_smoothing": 0, "weight": None, "ignore_index": -100})
    assert loss.to_json() == "cross_entropy" and not loss.inputs(COUNTS)
    each = loss.terms(outputs, jnp.asarray(labels), {}, real=jnp.ones(BATCH, bool), platform="cpu").each
    np.testing.assert_array_equal(each, optax.softmax_cross_entropy_with_integer_labels(outputs, labels))


@pytest.mark.slow
def test_of_pairs_the_contrastive_loss_is_optax_s() -> None:
    places, labels = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32), jnp.arange(8) % 4
    found, _ = value_of(parsed({"type": "contrastive", "temperature": 0.5}), places, labels)
    np.testing.assert_allclose(found, optax.losses.ntxent(places, labels, temperature=0.5), rtol=1e-5)


def test_a_focal_loss_without_gamma_is_cross_entropy_however_sure_a_sample_is() -> None:
    outputs, labels = np.array([[200, -200, 0], [0.5, 0.2, -1]], np.float32), jnp.asarray([0, 2])
    losses = ["cross_entropy", {"type": "focal", "gamma": 0}, {"type": "focal", "gamma": 0.5}]
    expected, found, sharp = jax.jit(lambda x: [value_of(parsed(each), x, labels) for each in losses])(outputs)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-7)
    assert np.isfinite(sharp[1]).all()


def test_balanced_weights_have_all_classes_count_alike() -> None:
    weights = parsed({"type": "cross_entropy", "weight": "balanced"}).inputs(np.array([90, 10, 0]))["weight"]
    np.testing.assert_allclose(weights, [100 / 3 / 90, 100 / 3 / 10, 100 / 3], rtol=1e-6)
    ratio = parsed({"type": "bce", "pos_weight": "balanced"}).inputs(np.array([90, 10]))["pos_weight"]
    np.testing.assert_allclose(ratio, [10 / 90, 9], rtol=1e-6)


def test_a_batch_of_which_nothing_counts_has_no_gradient() -> None:
    outputs, _ = batch_of(CASES["cross_entropy"])
    ignoring, alike = parsed({"type": "cross_entropy", "ignore_index": 2}), jnp.full(BATCH, 2)

    def terms(loss: Loss) -> Terms:
        return loss.terms(outputs, alike, loss.inputs(COUNTS), real=jnp.ones(BATCH, bool), platform="cpu")

    for found in jax.jit(lambda: [terms(ignoring), terms(parsed("triplet"))])():
        assert not np.any(found.each) and not np.any(found.weight)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_a_network_overfits_eight_samples_by_each_loss(name: str) -> None:
    end = {"nll": "logsoftmax", "kl_div": "logsoftmax", "poisson_nll": "identity"}.get(name, "softmax")
    layers = [{"type": "linear", "out": 32}, {"type": "tanh"}, {"type": "linear", "out": 3}]
    a = network(*layers, *([] if parsed(name).embeds else [{"type": end}]))
    optimizer = {"type": "adam", "lr": 0.02}
    h = parse_hyperparams(
        {"epochs": 80, "batch_size": 8, "loss": name, "optimizer": optimizer, "train_split": 0.8, "max_samples": 10}
    )
    metrics = [event for event in fit(a, h, stripes()) if isinstance(event, EpochMetrics)]
    assert metrics[-1].train_accuracy == 1.0
    assert metrics[-1].train_loss < 0.9 * metrics[0].train_loss


def test_json_reads_back_as_the_same() -> None:
    for case in CASES.values():
        loss = parsed(case)
        assert parsed(loss.to_json()) == loss
    assert parsed("mse").to_json() == "mse" and parsed({"type": "kl_div"}).to_json() == "kl_div"


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("mes", "loss: must be one of cross_entropy, bce,.*Did you mean 'mse'?"),
        (None, "loss: must be an object such as"),
        ({"type": "cross_entropy", "label_smoothing": 1.1}, "loss.label_smoothing: must be at most 1, got 1.1"),
        ({"type": "cross_entropy", "weight": [1, -1]}, r"loss.weight: must be numbers from 0 to 1e\+06, got -1"),
        ({"type": "cross_entropy", "weight": [0, 0]}, "loss.weight: must have a number above 0, got only 0"),
        (
            {"type": "cross_entropy", "weight": 2},
            'loss.weight: must be a list of one number for each class, or "balanced"',
        ),
        ({"type": "cross_entropy", "weight": "even"}, "loss.weight: must be a list of one number for each class"),
        ({"type": "cross_entropy", "ignore_index": -101}, "loss.ignore_index: must be at least -100"),
        ({"type": "huber", "delta": 0}, "loss.delta: must be greater than 0, got 0"),
        ({"type": "hinge", "p": 3}, "loss.p: must be at most 2, got 3"),
        ({"type": "focal", "alpha": 2, "activation": "sigmoid"}, "loss.activation: sigmoid needs an alpha from 0 to 1"),
        ({"type": "mse", "delta": 1}, "loss.delta: is not a field of mse"),
        ({"type": "triplet", "margin": "1"}, "loss.margin: must be a number"),
        ({"type": "contrastive", "temperature": 0}, "loss.temperature: must be at least 0.001"),
    ],
)
def test_a_broken_rule_is_named_with_place_value_and_cure(sent: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parsed(sent)
