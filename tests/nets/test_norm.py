"""Norms of batches in which a channel has a single value: it says nothing about mean and variance."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from nets.architecture.architecture import Architecture
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.kernels import plan_for
from nets.kernels.plan import Plan
from nets.network import Network, initial_variables, numbers_of
from nets.training.events import Finished
from nets.training.fit import fit
from tests.nets.builders import network, stripes

HEAD = {"type": "linear", "out": 3}
NETWORKS = {
    "features": network(
        {"type": "linear", "out": 6}, {"type": "batchnorm1d", "momentum": 0.99}, {"type": "relu"}, HEAD
    ),
    "pixel": network(
        {"type": "conv2d", "out_channels": 6, "kernel_size": 8}, {"type": "batchnorm2d"}, {"type": "relu"}, HEAD
    ),
    "pixel-pool": network(
        {"type": "conv2d", "out_channels": 6, "kernel_size": 8},
        {"type": "relu"},
        {"type": "batchnorm2d"},
        {"type": "maxpool2d", "kernel_size": 1},
        HEAD,
    ),
    "residual": network({"type": "maxpool2d", "kernel_size": 8}, {"type": "residual_block", "out_channels": 6}, HEAD),
}
PLANS = {
    f"{name}-{precision}": plan_for("cpu", training=name == "cpu", precision=precision)
    for name, precision in (("cpu", "float32"), ("cpu", "bfloat16"), ("xla", "float32"))
}


def passed(a: Architecture, plan: Plan, variables: Any, images: Any, *, train: bool) -> tuple[Any, Any, Any]:
    """Logits, statistics afterwards, and the gradient of a loss."""

    def loss(params: Any) -> Any:
        everything = {**variables, "params": params, "numbers": numbers_of(a.graph)}
        logits, changed = Network(a.graph, plan).apply(everything, images, train=train, mutable=["batch_stats"])
        return -jax.nn.log_softmax(logits)[0, 1], (logits, changed["batch_stats"])

    step = jax.jit(jax.grad(loss, has_aux=True), compiler_options=Network(a.graph, plan).compiler_options)
    gradients, (logits, statistics) = step(variables["params"])
    return logits, statistics, gradients


@pytest.mark.parametrize(
    ("a", "plan"),
    [
        # Every day each network by one plan, and one network by each; the others by CI.
        pytest.param(
            a, plan, id=f"{name}-{how}", marks=() if "features" in name or how == "cpu-float32" else pytest.mark.slow
        )
        for name, a in NETWORKS.items()
        for how, plan in PLANS.items()
    ],
)
def test_a_single_value_moves_no_statistics_and_is_normalised_by_them(a: Architecture, plan: Plan) -> None:
    variables = initial_variables(a.graph, seed=1)
    varied = partial(jax.tree.map, lambda array: array + np.linspace(-0.5, 0.5, array.size, dtype=np.float32))
    variables["batch_stats"] = varied(variables["batch_stats"])
    one = stripes().train_inputs[:1]
    logits, after, gradients = passed(a, plan, variables, one, train=True)
    evaluated, _, _ = passed(a, plan, variables, one, train=False)
    assert jax.tree.all(jax.tree.map(np.array_equal, after, variables["batch_stats"]))
    assert np.allclose(logits, evaluated, rtol=2e-2 if "bfloat16" in plan.numerics.precision else 1e-5, atol=1e-4)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    first = gradients[next(node.id for node in a.graph.nodes if node.id in gradients)]
    assert any(np.abs(leaf).max() > 0 for leaf in first.values()), "what comes before the norm learns as well"


@pytest.mark.parametrize("a", NETWORKS.values(), ids=NETWORKS)
def test_two_values_do_move_them(a: Architecture) -> None:
    variables = initial_variables(a.graph, seed=1)
    _, after, _ = passed(a, PLANS["cpu-float32"], variables, stripes().train_inputs[:2], train=True)
    before = variables["batch_stats"]
    norm = next(name for name in after if name != "input")
    assert not any(np.array_equal(after[norm][name], before[norm][name]) for name in after[norm])


def test_a_last_batch_of_one_leaves_the_variance_whole() -> None:
    """41 samples in batches of 8: the variance that validation uses is that of batches, not of one sample."""
    a = NETWORKS["features"]
    h = parse_hyperparams({"epochs": 4, "batch_size": 8, "max_samples": 51, "train_split": 0.81})
    finished = list(fit(a, h, stripes()))[-1]
    assert isinstance(finished, Finished)
    assert (finished.variables["batch_stats"]["batchnorm1d_1"]["var"] > 0.5).all()
    assert finished.test_accuracy > 0.9
