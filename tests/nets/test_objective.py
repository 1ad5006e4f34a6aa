"""What is made small: exact over the parts of a batch, with weights, other outputs and regularizers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.read import parse_architecture
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.kernels import plan_for
from nets.losses import LOSSES
from nets.network import Network, initial_variables
from nets.training.objective import Mixed, Objective
from nets.training.programs import start
from nets.training.state import Data, RunNumbers
from nets.training.update import Update
from nets.training.workload import workload_of
from tests.nets.parity.loss_cases import BATCH, CASES, COUNTS, batch_of

WEIGHTS = [0.5, 2.0, 0.25]
TWO = parse_architecture(
    {
        "input_shape": [6],
        "outputs": ["main", "aux"],
        "layers": [
            {"type": "linear", "out": 5, "name": "stem"},
            {"type": "tanh", "name": "bent"},
            {"type": "linear", "out": 3},
            {"type": "softmax", "name": "aux"},
            {"type": "linear", "out": 3, "inputs": ["bent"], "name": "main"},
        ],
    }
)
BODY: dict[str, Any] = {
    "batch_size": 40,
    "optimizer": {"type": "sgd", "lr": 1.0},
    "loss": {"type": "cross_entropy", "weight": WEIGHTS, "label_smoothing": 0.1, "ignore_index": 2},
    "output_weights": {"aux": 0.3, "main": 0.8},
    "regularizers": [
        {"type": "l1", "weight": 0.01},
        {"type": "orthogonal", "weight": 0.02, "layers": "stem"},
        {"type": "activity_l2", "weight": 0.03, "layers": ["stem", "linear_2"]},
    ],
}


def gradient_and_loss(body: dict[str, Any], x: Any, y: Any, rows: Any, *, part: int | None) -> Any:
    """What one step of sgd with a learning rate of 1 takes away, and its mean loss."""
    h = parse_hyperparams(body)
    workload = workload_of(TWO, h, train=len(rows), samples=len(x))
    steps = replace(workload.steps, network=Network(TWO.graph.structure, plan_for("cpu", training=False)))
    if part:  # a plan would cut larger batches alone
        object.__setattr__(steps, "part", lambda batch: part)
    given = RunNumbers(
        {}, Update.of(h, TWO.graph).numbers(), Objective.of(h, TWO).numbers(np.bincount(y)), jax.random.key(0)
    )
    state = start(workload, initial_variables(TWO.graph, seed=0))
    after, passed = jax.jit(lambda *each: steps.train_batch(*each))(
        state, Data(jnp.asarray(x), jnp.asarray(y)), rows, given
    )
    return jax.tree.map(lambda a, b: np.asarray(a - b), state.params, after.params), passed


def by_hand(params: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """What is made small, and the loss, written out for the samples that count."""
    stem = x @ params["stem"]["kernel"] + params["stem"]["bias"]
    bent = jnp.tanh(stem)
    aux = bent @ params["linear_2"]["kernel"] + params["linear_2"]["bias"]
    main = bent @ params["main"]["kernel"] + params["main"]["bias"]
    weights = jnp.asarray(WEIGHTS)
    own = jnp.where(y == 2, 0, weights[y])

    def loss(logits: Any) -> Any:
        logarithms = jax.nn.log_softmax(logits)
        spread = jnp.where(y == 2, 0, -(logarithms * weights).mean(-1))
        picked = -own * jnp.take_along_axis(logarithms, y[:, None], 1)[:, 0]
        return (0.9 * picked + 0.1 * spread).sum() / own.sum()

    w = params["stem"]["kernel"]
    values = ((stem**2).sum(-1) + (aux**2).sum(-1)) * own
    kernels = sum(jnp.abs(each["kernel"]).sum() for each in params.values())
    penalties = 0.01 * kernels + 0.02 * ((w.T @ w - jnp.eye(5)) ** 2).sum() + 0.03 * values.sum() / own.sum()
    return 0.8 * loss(main) + 0.3 * loss(aux) + penalties, loss(main)


@pytest.mark.parametrize("part", [pytest.param(None, marks=pytest.mark.slow), 16])
def test_a_step_goes_down_what_is_made_small_however_a_batch_is_cut(part: int | None) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(50, 6)).astype(np.float32), random.integers(0, 3, 50).astype(np.int32)
    rows = jnp.asarray([*range(5, 42), -1, -1, -1])
    params = initial_variables(TWO.graph, seed=0)["params"]
    counted = x[5:42], jnp.asarray(y[5:42])
    expected, loss = jax.jit(jax.grad(lambda p: by_hand(p, *counted), has_aux=True))(params)
    found, passed = gradient_and_loss(BODY, x, y, rows, part=part)
    np.testing.assert_allclose(passed.loss, loss, rtol=1e-5)
    np.testing.assert_allclose(passed.weight, jnp.asarray([*WEIGHTS[:2], 0])[counted[1]].sum(), rtol=1e-6)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_other_numbers_are_no_other_structure() -> None:
    first = Objective.of(parse_hyperparams(BODY), TWO)
    body = {
        **BODY,
        "loss": {**BODY["loss"], "label_smoothing": 0.2, "weight": "balanced"},
        "output_weights": {"aux": 1},
    }
    body["regularizers"] = [{**each, "weight": 0.5} for each in BODY["regularizers"]]
    body["regularizers"][1]["layers"] = ["st*"]
    second = Objective.of(parse_hyperparams(body), TWO)
    assert first != second and first.structure() == second.structure()
    assert hash(first.structure()) == hash(second.structure())
    shapes = [jax.tree.map(jnp.shape, each.numbers(np.ones(3))) for each in (first, second, first.structure())]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy all", "mse", "hinge"])
def test_the_loss_of_a_mixed_sample_is_that_of_both_labels_by_their_shares(name: str) -> None:
    outputs, labels = batch_of(CASES[name])
    objective = Objective(LOSSES.parse(CASES[name], ("loss",)))
    numbers, real = objective.numbers(COUNTS), jnp.ones(BATCH, bool)
    share, others = jnp.linspace(0, 1, BATCH), jnp.asarray(np.roll(labels, 1))

    def of(labels: Any, mixed: Mixed | None = None) -> Any:
        return objective.terms(outputs, jnp.asarray(labels), numbers, real=real, platform="cpu", mixed=mixed)

    found, first, second = of(labels, Mixed(others, share)), of(labels), of(others)
    np.testing.assert_allclose(found.each, share * first.each + (1 - share) * second.each, rtol=1e-6)
    if first.weight is not None:
        np.testing.assert_allclose(found.weight, share * first.weight + (1 - share) * second.weight, rtol=1e-6)


def test_runs_with_other_numbers_share_their_programs_and_runs_with_other_options_do_not() -> None:
    def workload(loss: Any, **more: Any) -> Any:
        return workload_of(TWO, parse_hyperparams({"loss": loss, **more}), train=64, samples=96)

    smoothed = {"type": "cross_entropy", "label_smoothing": 0.1}
    assert workload(smoothed) == workload({**smoothed, "label_smoothing": 0.2})
    assert workload({**smoothed, "weight": [1, 2, 3]}) == workload({**smoothed, "weight": "balanced"})
    assert workload("cross_entropy") == workload({**smoothed, "label_smoothing": 0})
    assert workload("cross_entropy", output_weights={"aux": 0.3}) == workload("cross_entropy")
    different = [workload(each) for each in ("cross_entropy", smoothed, {**smoothed, "weight": "balanced"}, "mse")]
    assert len({hash(each) for each in different}) == 4
