"""What everyday work costs: kernels against XLA's own, an epoch, a compilation, an answer. No test asserts a time.

Run with `pytest tests/benchmarks -m slow -n 0 --benchmark-enable`; CI runs each once, so that they do not rot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from nets import fit, parse_architecture, parse_hyperparams
from nets.datasets import load
from nets.inference import Predictor
from nets.kernels import plan_for
from nets.network import Network, initial_variables, numbers_of
from nets.training.cache import ProgramCache
from nets.training.events import Finished
from nets.training.programs import compiling
from nets.training.workload import workload_on
from tests.benchmarks.epochs import epochs, result, trainer
from tests.nets.builders import REFERENCE, network

pytestmark = pytest.mark.slow

BODY = {
    "architecture": REFERENCE,
    "hyperparams": {"dataset_type": "digits", "max_samples": 1024, "epochs": 1},
}
CONVOLUTIONS = {
    "3x3": {"out_channels": 32, "kernel_size": 3, "padding": "same"},
    "3x3-stride-2": {"out_channels": 32, "kernel_size": 3, "padding": 1, "stride": 2},
    "5x5": {"out_channels": 16, "kernel_size": 5},
    "1x1": {"out_channels": 64, "kernel_size": 1},
    "depthwise": {"out_channels": 32, "kernel_size": 3, "padding": 1, "groups": 32},
    "dilated": {"out_channels": 32, "kernel_size": 3, "padding": 2, "dilation": 2},
}


@pytest.mark.parametrize("plan", [True, False], ids=["ours", "lax"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("fields", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_convolution_forward_and_back(
    benchmark: BenchmarkFixture, fields: dict[str, Any], precision: str, plan: bool
) -> None:
    """32 channels of 14 x 14, batch 64: the sum's gradient to image and kernel, outside any loop."""
    way = plan_for("cpu", training=plan, precision=precision)
    a = network({"type": "conv2d", **fields}, {"type": "linear", "out": 3}, shape=(32, 14, 14))
    variables = {**initial_variables(a.graph, seed=0), "numbers": numbers_of(a.graph)}
    images = jnp.asarray(np.random.default_rng(0).random((64, 14, 14, 32), np.float32))

    def total(params: Any, images: jax.Array) -> jax.Array:
        return Network(a.graph, way).apply({**variables, "params": params}, images, train=False).sum()

    step = jax.jit(jax.grad(total, argnums=(0, 1)), compiler_options=Network(a.graph, way).compiler_options)
    jax.block_until_ready(step(variables["params"], images))
    gradients = benchmark(lambda: jax.block_until_ready(step(variables["params"], images)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_epoch(benchmark: BenchmarkFixture, precision: str) -> None:
    """921 images of the bundled digits through the reference network, exactly as the server trains."""
    race = epochs(trainer(BODY, precision=precision, batch=None))
    next(race)
    speed, loss = benchmark.pedantic(lambda: next(race), rounds=5)
    assert speed > 0 and np.isfinite(loss)


def test_a_cold_compilation(benchmark: BenchmarkFixture) -> None:
    """The programs of the reference network: training and evaluation."""
    a, h = parse_architecture(BODY["architecture"]), parse_hyperparams(BODY["hyperparams"])
    wanted = workload_on(a, h, load("digits", Path(".")).info)
    programs = benchmark.pedantic(lambda: result(compiling(wanted, ProgramCache(), None)), rounds=3)
    assert programs.train is programs.tail


@pytest.mark.parametrize("count", [1, 1000])
def test_an_answer(benchmark: BenchmarkFixture, count: int) -> None:
    """`count` images through the reference network."""
    a = parse_architecture(BODY["architecture"])
    predictor = Predictor(a, initial_variables(a.graph, seed=0))
    images = np.random.default_rng(0).random((count, 28, 28, 1), np.float32)
    predictor.probabilities(images)
    assert benchmark(lambda: predictor.probabilities(images)).shape == (count, 10)


def test_a_whole_run(benchmark: BenchmarkFixture) -> None:
    """One epoch, from the request's dictionaries to weights on the host, programs compiled before."""
    a, h = parse_architecture(BODY["architecture"]), parse_hyperparams(BODY["hyperparams"])
    data, programs = load("digits", Path(".")), ProgramCache()
    list(fit(a, h, data, programs=programs))
    events = benchmark.pedantic(lambda: list(fit(a, h, data, programs=programs)), rounds=3)
    assert isinstance(events[-1], Finished)
