"""A kernel that whitens: what comes out of the training images is uncorrelated and varies alike."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from nets.architecture.architecture import Architecture
from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.kernels import plan_for
from nets.layers.whitening import second_moments, whitening
from nets.network import Network, initial_variables, numbers_of
from nets.training.check import check_fit
from nets.training.run import Run, started_from
from nets.training.sampling import draw
from tests.nets.builders import network, stripes

WHITE = {"type": "conv2d", "out_channels": 8, "kernel_size": 2, "bias": False, "init": "whitening"}
END = {"type": "linear", "out": 3}


def test_results_are_uncorrelated_and_vary_alike() -> None:
    """The first half of them; the others are the same with the other sign."""
    random = np.random.default_rng(0)
    images = np.cumsum(random.standard_normal((200, 9, 9, 3)), axis=1).astype(np.float32)
    kernel = whitening(images, window=(2, 3), outputs=36)
    patches = np.lib.stride_tricks.sliding_window_view(images, (2, 3), axis=(1, 2))
    rows = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 18)
    given = rows.astype(np.float64) @ kernel.reshape(18, 36)
    assert np.allclose(second_moments(given[:, :18]), np.eye(18), atol=0.05)
    assert np.array_equal(given[:, 18:], -given[:, :18])
    strength = 1 / np.linalg.norm(kernel.reshape(18, 36), axis=0)
    assert (np.diff(strength[:18]) <= 1e-6).all()  # the strongest direction first


def test_fewer_outputs_are_the_strongest_directions() -> None:
    images = np.random.default_rng(0).standard_normal((50, 6, 6, 2)).astype(np.float32)
    many, few = (whitening(images, window=(2, 2), outputs=outputs) for outputs in (16, 5))
    assert np.array_equal(few, np.concatenate([many[..., :3], -many[..., :2]], axis=-1))


def of_a_run(a: Architecture) -> dict[str, Any]:
    data, h = stripes(), parse_hyperparams({})
    run = Run(a, h, data, draw(h, len(data.train_labels)))
    graph = run.architecture.graph
    statistics = {"mean": np.float32([0.3]), "std": np.float32([0.2])}
    return started_from(run.typical, graph, initial_variables(graph, seed=1, statistics=statistics))


def test_a_run_starts_from_its_training_images_as_the_network_sees_them() -> None:
    a = network(WHITE, END)
    variables = of_a_run(a)
    apply = Network(a.graph, plan_for("cpu", training=False)).apply
    seen = stripes().train_inputs
    plain = initial_variables(a.graph, seed=1)
    first, last = plain["params"]
    assert np.array_equal(variables["params"][last]["kernel"], plain["params"][last]["kernel"])
    assert not np.allclose(variables["params"][first]["kernel"], plain["params"][first]["kernel"])
    logits = apply({**variables, "numbers": numbers_of(a.graph)}, seen, train=False)
    assert np.isfinite(jax.device_get(logits)).all()


def test_a_start_of_the_identity_gives_what_came_in() -> None:
    a = network(
        {"type": "conv2d", "out_channels": 2, "kernel_size": 3, "padding": 1, "bias": False, "init": "dirac"}, END
    )
    (first, *_) = initial_variables(a.graph, seed=0)["params"].values()
    identity = np.zeros((3, 3, 1), np.float32)
    identity[1, 1, 0] = 1
    assert np.array_equal(first["kernel"][..., 0], identity)
    assert len(np.unique(first["kernel"][..., 1])) == 9  # drawn


def test_how_a_kernel_starts_changes_no_program() -> None:
    started = [network({**WHITE, "init": init}, END).graph for init in ("default", "dirac", "whitening")]
    assert len(set(started)) == 3 and len({graph.structure for graph in started}) == 1


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"type": "relu"}, WHITE, END], r"layers\[1\].init: conv2d \(layers\[1\]\) starts from the training samples"),
        ([{**WHITE, "out_channels": 9}, END], r"layers\[0\].out_channels: must be at most 8 with whitening"),
        ([{**WHITE, "init": "zeros"}, END], r"layers\[0\].init: must be 'default', 'dirac'"),
    ],
)
def test_what_cannot_start_so(layers: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check_fit(network(*layers), parse_hyperparams({}), stripes().info)


def test_a_patch_of_too_many_values_is_refused() -> None:
    """Their eigenvectors would take minutes."""
    with pytest.raises(
        SpecError, match=r"layers\[0\].init: whitening takes kernels that see up to 1024 values, got 1083"
    ):
        network({**WHITE, "kernel_size": 19}, END, shape=(3, 24, 24))
