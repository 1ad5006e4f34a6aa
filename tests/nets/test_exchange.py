"""Weights for other programs: names, order of axes, and files that those programs read."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import jax
import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

import nets
from nets import packed
from nets.architecture.architecture import Architecture
from nets.checkpoint import leaves
from nets.errors import CheckpointError
from nets.exchange import named
from nets.exchange.convert import converted
from nets.exchange.stored import stored_variables
from nets.layers import LAYERS
from nets.layers.parameters import Parameter
from nets.network import initial_variables
from tests.nets.builders import network

ALL_KINDS = network(
    {"type": "conv2d", "name": "first", "out_channels": 4, "kernel_size": [3, 2], "padding": "same"},
    {"type": "batchnorm2d"},
    {"type": "residual_block", "out_channels": 6, "stride": 2},
    {"type": "conv2d", "out_channels": 6, "kernel_size": 1, "groups": 2, "bias": False},
    {"type": "repeat", "name": "stage", "times": 2, "layers": [{"type": "residual_block", "out_channels": 6}]},
    {"type": "residual", "layers": [{"type": "conv2d", "name": "f", "out_channels": 6, "kernel_size": 1}]},
    {"type": "relu"},
    {"type": "linear", "out": 5},
    {"type": "linear", "name": "twice", "out": 5},
    {"type": "linear", "shares": "twice"},
    {"type": "softmax"},
    shape=(3, 8, 8),
)
NAMES = """
input.mean input.std
first.weight first.bias
batchnorm2d_1.weight batchnorm2d_1.bias batchnorm2d_1.running_mean batchnorm2d_1.running_var
residual_block_2.conv1.weight residual_block_2.conv1.bias
residual_block_2.norm1.weight residual_block_2.norm1.bias
residual_block_2.norm1.running_mean residual_block_2.norm1.running_var
residual_block_2.skip.weight residual_block_2.skip.bias
conv2d_3.weight
stage.0.residual_block_0.conv1.weight stage.1.residual_block_0.norm2.running_var
residual_5.layers.f.weight residual_5.layers.f.bias
linear_7.weight linear_7.bias twice.weight twice.bias
"""


def variables_of(architecture: Architecture) -> Any:
    statistics = {name: np.array([0.25, 0.5, 0.125], np.float32) for name in ("mean", "std")}
    width = architecture.graph.input.channels
    few = {name: array[:width] for name, array in statistics.items()}
    return jax.device_get(initial_variables(architecture.graph, seed=3, statistics=few))


@pytest.fixture(scope="module")
def weights() -> Any:
    return variables_of(ALL_KINDS)


@pytest.fixture(scope="module")
def file(weights: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("kept") / "weights.msgpack"
    nets.save_weights(path, weights)
    with path.open("rb") as opened:
        yield opened


def content(file: Any, format: Any, layout: Any, architecture: Architecture = ALL_KINDS) -> bytes:
    details = {"dataset": "digits", "classes": ["0", "1"]}
    return b"".join(converted(file, architecture, format=format, layout=layout, details=details))


def test_names_are_those_that_pytorch_gives_modules_of_these_names(weights: Any) -> None:
    found = list(nets.named_arrays(ALL_KINDS, weights, layout="torch"))
    expected = NAMES.split()
    assert set(expected) <= set(found)
    assert found[:2] == ["input.mean", "input.std"] and len(found) == len(set(found))
    assert not [name for name in found if name.startswith("linear_9")], "lent arrays are those of who lends them"


def test_names_of_flax_are_the_places_in_the_kept_file(weights: Any) -> None:
    found = nets.named_arrays(ALL_KINDS, weights)
    kept = {".".join(place): array for place, array in leaves(weights)}
    assert found.keys() == kept.keys()
    assert all(np.array_equal(found[name], kept[name]) for name in kept)


def test_axes_are_turned_for_pytorch(weights: Any) -> None:
    ours, theirs = (nets.named_arrays(ALL_KINDS, weights, layout=layout) for layout in ("flax", "torch"))
    kernel = ours["params.first.kernel"]
    assert kernel.shape == (3, 2, 3, 4) and theirs["first.weight"].shape == (4, 3, 3, 2)
    np.testing.assert_array_equal(theirs["first.weight"], kernel.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(theirs["linear_7.weight"], ours["params.linear_7.kernel"].T)
    np.testing.assert_array_equal(theirs["batchnorm2d_1.running_var"], ours["batch_stats.batchnorm2d_1.var"])


@pytest.mark.parametrize("layout", ["flax", "torch"])
def test_arrays_in_a_file_are_those_in_memory_however_they_are_read(
    weights: Any, file: Any, monkeypatch: pytest.MonkeyPatch, layout: Any
) -> None:
    expected = nets.named_arrays(ALL_KINDS, weights, layout=layout)
    for read, block, far in ((1 << 18, 1 << 20, 1 << 12), (7, 50, 1 << 12), (1, 1, 1 << 12), (7, 50, 1), (1, 1, 0)):
        monkeypatch.setattr(named, "READ", read)
        monkeypatch.setattr(named, "BLOCK", block)
        monkeypatch.setattr(named, "FAR", far)
        found = nets.named_arrays(ALL_KINDS, stored_variables(file, ALL_KINDS), layout=layout)
        assert list(found) == list(expected)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_arrays_that_flax_has_cut_are_whole(weights: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "LARGE", 64)
    monkeypatch.setattr(packed, "MOST", 100)
    path = tmp_path / "cut.msgpack"
    nets.save_weights(path, weights)
    assert b"__msgpack_chunked_array__" in path.read_bytes()
    with path.open("rb") as opened:
        found = nets.named_arrays(ALL_KINDS, stored_variables(opened, ALL_KINDS), layout="torch")
    expected = nets.named_arrays(ALL_KINDS, weights, layout="torch")
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_files_of_earlier_versions_have_the_names_of_today(weights: Any, tmp_path: Path) -> None:
    """Then the parts of a block were arrays of one layer, such as `conv1_kernel`."""
    before: dict[str, Any] = {}
    for (collection, layer, name), array in leaves(weights):
        block, dot, part = layer.rpartition(".")
        is_part = dot and block.rpartition(".")[2].startswith("residual_block")
        place, own = (block, f"{part}_{name}") if is_part else (layer, name)
        before.setdefault(collection, {}).setdefault(place, {})[own] = array
    path = tmp_path / "weights.msgpack"
    nets.save_weights(path, before)
    assert b"conv1_kernel" in path.read_bytes()
    with path.open("rb") as opened:
        found = nets.named_arrays(ALL_KINDS, stored_variables(opened, ALL_KINDS), layout="torch")
    expected = nets.named_arrays(ALL_KINDS, weights, layout="torch")
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("layout", ["flax", "torch"])
def test_the_library_of_safetensors_reads_them(weights: Any, file: Any, tmp_path: Path, layout: Any) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content(file, "safetensors", layout))
    expected = nets.named_arrays(ALL_KINDS, weights, layout=layout)
    with safe_open(path, framework="np") as opened:
        assert set(opened.keys()) == set(expected)
        assert all(np.array_equal(opened.get_tensor(name), expected[name]) for name in expected)
        about = opened.metadata()
    assert about["layout"] == layout and about["dataset"] == "digits" and json.loads(about["classes"]) == ["0", "1"]
    assert json.loads(about["architecture"]) == ALL_KINDS.to_json()
    assert json.loads(about["input_mean"]) == json.loads(about["input_std"]) == [0.25, 0.5, 0.125]
    ours = safetensors.numpy.load(safetensors.numpy.save(expected))
    assert ours.keys() == safetensors.numpy.load(path.read_bytes()).keys()


@pytest.mark.parametrize("layout", ["flax", "torch"])
def test_numpy_reads_them_without_pickle(weights: Any, file: Any, layout: Any) -> None:
    archive = io.BytesIO(content(file, "npz", layout))
    assert ZipFile(archive).testzip() is None
    archive.seek(0)
    expected = nets.named_arrays(ALL_KINDS, weights, layout=layout)
    with np.load(archive) as found:
        assert set(found) == {"metadata", *expected}
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
        about = json.loads(found["metadata"].item())
    assert about["architecture"] == ALL_KINDS.to_json() and about["input_std"] == [0.25, 0.5, 0.125]


@pytest.mark.parametrize("format", ["npz", "safetensors"])
def test_the_same_weights_give_the_same_bytes(file: Any, format: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = content(file, format, "torch")
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert content(file, format, "torch") == first


@pytest.mark.parametrize("name", LAYERS)
def test_arrays_of_every_layer_type_have_names_of_their_own_in_pytorch(name: str) -> None:
    for example in LAYERS[name].examples:
        layer = LAYERS.parse(dict(example.json), ())
        arrays = layer.arrays(*example.takes)
        declared: dict[str, Parameter] = {**arrays.parameters, **arrays.statistics}
        names = [each.torch or own for own, each in declared.items()]
        assert len(set(names)) == len(names)
        assert all(len(each.shape) > 1 for each in declared.values() if each.turned)


def test_damage_is_refused(file: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.msgpack"
    whole = Path(file.name).read_bytes()
    for spoilt in (b"", whole[:100], b"\xc1" + whole, whole[:-1], b"\x80", b"\xff" * 50, b"\xdb\xff\xff\xff\xff"):
        path.write_bytes(spoilt)
        with path.open("rb") as opened, pytest.raises(CheckpointError):
            list(converted(opened, ALL_KINDS, format="npz", layout="flax", details={}))
    other = network({"type": "linear", "out": 2})
    with pytest.raises(CheckpointError, match="does not fit the architecture: .* is missing"):
        stored_variables(file, other)


def test_a_large_array_is_converted_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "BLOCK", 1 << 16)
    monkeypatch.setattr(named, "READ", 1 << 14)
    wide = network({"type": "linear", "out": 2000}, {"type": "linear", "out": 2}, shape=(1, 32, 32))
    path = tmp_path / "weights.msgpack"
    nets.save_weights(path, variables_of(wide))
    with path.open("rb") as opened:
        tracemalloc.start()
        size = sum(map(len, converted(opened, wide, format="safetensors", layout="torch", details={})))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert size > 8_000_000 and most < 2_500_000, most
