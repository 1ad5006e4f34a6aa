from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import serialization

from nets.checkpoint import load_weights, save_weights
from nets.errors import CheckpointError
from nets.inference import LARGEST_BATCH, Predictor
from nets.kernels import plan_for
from nets.network import Network, Variables, initial_variables, numbers_of
from tests.nets.builders import TINY_CNN, network

A = network(*TINY_CNN[:1], {"type": "batchnorm2d"}, *TINY_CNN[1:4], {"type": "dropout", "p": 0.3}, *TINY_CNN[4:])


@pytest.fixture
def variables() -> Variables:
    return jax.device_get(initial_variables(A.graph, seed=1))


def write(path: Path, tree: Any) -> None:
    path.write_bytes(serialization.msgpack_serialize(tree))


def test_weights_come_back_as_they_went(tmp_path: Path, variables: Variables) -> None:
    path = tmp_path / "weights.msgpack"
    sha256 = save_weights(path, variables)
    back = load_weights(path, A, sha256=sha256)
    assert jax.tree.structure(back) == jax.tree.structure(variables)
    assert all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(back), jax.tree.leaves(variables), strict=True))
    assert [file.name for file in tmp_path.iterdir()] == ["weights.msgpack"]


def test_equal_weights_are_equal_files(tmp_path: Path, variables: Variables) -> None:
    one, two = save_weights(tmp_path / "a", variables), save_weights(tmp_path / "b", variables)
    assert one == two and len(one) == 64


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="weights.msgpack cannot be read: No such file"):
        load_weights(tmp_path / "weights.msgpack", A)


@pytest.mark.parametrize("damage", ["truncate", "flip"])
def test_a_damaged_file_is_noticed(tmp_path: Path, variables: Variables, damage: str) -> None:
    path = tmp_path / "weights.msgpack"
    sha256 = save_weights(path, variables)
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        del content[-10:]
    else:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged: its SHA-256"):
        load_weights(path, A, sha256=sha256)


def test_what_is_no_msgpack_is_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.msgpack"
    path.write_bytes(b"\xc1 not msgpack")
    with pytest.raises(CheckpointError, match="not readable as msgpack"):
        load_weights(path, A)
    write(path, [1, 2])
    with pytest.raises(CheckpointError, match="does not fit the architecture"):
        load_weights(path, A)


def misfit(change: Any, variables: Variables) -> Variables:
    tree = jax.tree.map(lambda leaf: leaf, variables)
    change(tree)
    return tree


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["params"]["conv2d_0"].pop("bias"), "params/conv2d_0/bias is missing"),
        (lambda t: t["params"].update(extra={"w": np.zeros(1)}), "params/extra/w is unknown"),
        (
            lambda t: t["params"]["conv2d_0"].update(bias=np.zeros(5, np.float32)),
            r"must be float32\[4\], got float32\[5\]",
        ),
        (lambda t: t["params"]["conv2d_0"].update(bias=np.zeros(4)), r"must be float32\[4\], got float64\[4\]"),
        (lambda t: t["params"]["conv2d_0"].update(bias=3), "got int"),
        (lambda t: t.pop("batch_stats"), "batch_stats/batchnorm2d_1/mean is missing"),
    ],
)
def test_weights_of_another_network_are_refused(
    tmp_path: Path, variables: Variables, change: Any, message: str
) -> None:
    path = tmp_path / "weights.msgpack"
    write(path, misfit(change, variables))
    with pytest.raises(CheckpointError, match=message):
        load_weights(path, A)


@pytest.mark.parametrize("count", [1, 3, 8, 64, LARGEST_BATCH + 5])
def test_a_predictor_answers_like_the_network(variables: Variables, count: int) -> None:
    images = np.random.default_rng(0).random((count, 8, 8, 1), np.float32)
    answers = Predictor(A, variables).probabilities(images)
    everything = {**variables, "numbers": numbers_of(A.graph)}
    logits = Network(A.graph, plan_for("cpu", training=False)).apply(everything, images, train=False)
    assert answers.shape == (count, 3) and answers.dtype == np.float32
    assert np.allclose(answers, jax.nn.softmax(logits), atol=1e-5)
    assert np.allclose(answers.sum(-1), 1, atol=1e-5)
