"""One step, whole and in parts."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.architecture import Architecture
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.kernels import plan_for
from nets.network import Network, initial_variables
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
