"""Regularizers: of the layers that they name, and of no others."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from nets.errors import SpecError
from nets.regularizers import REGULARIZERS, OfActivity, OfWeights
from nets.regularizers.listed import parse_regularizers
from nets.training.regularized import Regularized
from tests.nets.builders import network

NET = network(
    {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"},
    {"type": "batchnorm2d"},
    {"type": "relu"},
    {"type": "dropout", "p": 0.5},
    {"type": "linear", "out": 3, "name": "head"},
    {"type": "softmax"},
)


def parsed(*sent: Any) -> Any:
    return parse_regularizers(list(sent), ("regularizers",))


def placed(kind: str, **options: Any) -> Regularized:
    return Regularized.of(parsed({"type": kind, **options})[0], NET.graph)


def test_weights_are_those_of_products_and_values_those_that_layers_make() -> None:
    assert placed("l1").nodes == ("conv2d_0", "head") and placed("l1").arrays == (("kernel",), ("kernel",))
    assert placed("orthogonal", layers=["conv*", "nothing"]).nodes == ("conv2d_0",)
    assert placed("activity_l2").nodes == ("conv2d_0", "batchnorm2d_1", "relu_2", "head")
    assert placed("l1", layers="dropout*").nodes == ()


def test_l1_is_the_sum_and_an_orthogonal_matrix_of_either_shape_costs_nothing() -> None:
    l1, orthogonal = parsed({"type": "l1"}, {"type": "orthogonal"})
    assert isinstance(l1, OfWeights) and isinstance(orthogonal, OfWeights)
    np.testing.assert_allclose(l1.penalty(jnp.asarray([[1.0, -2.0], [0.5, 0.0]])), 3.5)
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 4)))[0].astype(np.float32)
    for kernel in (q, q.T, q.reshape(3, 4, 4)):
        np.testing.assert_allclose(orthogonal.penalty(jnp.asarray(kernel)), 0, atol=1e-6)
    np.testing.assert_allclose(orthogonal.penalty(jnp.asarray(2 * q)), 4 * 9, rtol=1e-5)


def test_the_activity_of_a_sample_is_the_sum_of_its_squares() -> None:
    (activity,) = parsed({"type": "activity_l2"})
    assert isinstance(activity, OfActivity)
    np.testing.assert_allclose(activity.each(jnp.arange(12.0).reshape(2, 2, 3)), [55, 451])


def test_every_example_reads_back() -> None:
    for cls in REGULARIZERS.values():
        (found,) = parsed(cls.examples[0])
        assert parsed(found.model_dump(mode="json")) == (found,)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"type": "l1"}, r"regularizers: must be a list of regularizers, got .*; put it into a list"),
        ("l1", r'regularizers: must be a list of regularizers, got "l1"; write \[{"type": "l1"}\]'),
        ("l9", r'regularizers: must be a list of regularizers, got "l9", such as \[{"type": "l1", "weight"'),
        ([{"type": "l3"}], r"regularizers\[0\].type: must be one of l1, orthogonal, activity_l2"),
        ([{"type": "l1", "weight": 0}], r"regularizers\[0\].weight: must be greater than 0"),
        ([{"type": "l1", "layers": 3}], r"regularizers\[0\].layers: must be a pattern"),
        ([{"type": "l1"}] * 17, r"regularizers: must have at most 16 items, got 17"),
    ],
)
def test_a_broken_rule_is_named_with_place_value_and_cure(sent: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_regularizers(sent, ("regularizers",))
