"""One step, whole and in parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.architecture import Architecture
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.kernels import plan_for
from nets.network import Network, initial_variables
from nets.training.events import Finished
from nets.training.fit import fit
from nets.training.programs import start
from nets.training.state import Data, RunNumbers
from nets.training.update import Update
from nets.training.workload import workload_of
from tests.nets.builders import TINY_CNN, network, stripes

CNN = network(*TINY_CNN)
DENSE = network({"type": "linear", "out": 16}, {"type": "relu"}, {"type": "linear", "out": 3})


@pytest.mark.parametrize(
    ("architecture", "part", "batch"), [(CNN, 64, 130), (DENSE, 512, 1030)], ids=["images", "dense"]
)
def test_a_batch_computed_in_parts_is_the_same_step(architecture: Architecture, part: int, batch: int) -> None:
    """Large batches are cut up where no norm looks across them: one step, whole and in parts."""
    data = stripes(2000)
    h = parse_hyperparams({"batch_size": batch})
    workload = workload_of(architecture, h, train=batch, samples=2100)
    program = workload.steps
    plans = (plan_for("cpu", training=False), program.network.plan)
    assert program.part(batch) < batch
    assert [plan.micro_batch(architecture.graph) for plan in plans] == [None, part]
    given = RunNumbers({}, Update.of(h, architecture.graph).numbers(), {"loss": {}}, jax.random.key(0))
    on_device = Data(jnp.asarray(data.train_inputs), jnp.asarray(data.train_labels))
    rows = jnp.arange(batch).at[-3:].set(-1)
    results = []
    for plan in plans:
        steps = replace(program, network=Network(architecture.graph.structure, plan))
        state = start(workload, initial_variables(architecture.graph, seed=0))
        results.append(jax.jit(steps.train_batch)(state, on_device, rows, given))
    for whole, parts in zip(jax.tree.leaves(results[0]), jax.tree.leaves(results[1]), strict=True):
        assert np.allclose(whole, parts, atol=1e-5)


NORMED = network(
    {"type": "conv2d", "out_channels": 2, "kernel_size": 3}, {"type": "batchnorm2d"}, {"type": "linear", "out": 3}
)


def trained(a: Architecture, **fields: Any) -> Finished:
    """One epoch of 54 samples."""
    event = list(fit(a, parse_hyperparams({"epochs": 1, **fields}), stripes()))[-1]
    assert isinstance(event, Finished)
    return event


def alike(one: Any, other: Any) -> bool:
    return all(np.allclose(a, b, atol=1e-6) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def test_batches_that_are_accumulated_are_the_step_of_one_batch() -> None:
    """Also the last step, of the 14 samples that are left."""
    adam = {"type": "adam", "lr": 0.01}
    once = trained(DENSE, batch_size=20, optimizer=adam)
    several = trained(DENSE, batch_size=5, accumulate=4, optimizer=adam)
    assert alike(once.variables, several.variables)
    assert several.test_loss == pytest.approx(once.test_loss, abs=1e-6)


def test_norms_see_each_batch_by_itself_where_they_are_accumulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any learning the running statistics are those of single batches: six of 8, and 6 samples that are left."""
    still = {"type": "sgd", "lr": 1e-30}
    alone, several = (trained(NORMED, batch_size=8, accumulate=n, optimizer=still) for n in (1, 3))
    assert alike(alone.variables["batch_stats"], several.variables["batch_stats"])
    monkeypatch.setattr("nets.training.steps.samples_at_most", lambda *_, **__: 5)
    cut = trained(NORMED, batch_size=8, accumulate=3, optimizer=still)  # a step is several dispatches
    assert cut.compilation and "update" in [each["name"] for each in cut.compilation["programs"]]
    assert several.test_loss == cut.test_loss and alike(several.variables, cut.variables)
