"""The registry, the cache file and the bundled data set."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nets import datasets
from nets.datasets import DATASETS, cache, digits
from nets.datasets.progress import Report
from nets.errors import DataError
from tests.nets.dataset_files import arrays


def test_the_registry_refuses_a_name_twice() -> None:
    with pytest.raises(ValueError, match='"mnist" is registered already'):
        datasets.register(replace(DATASETS["mnist"], title="Another"))


@pytest.mark.parametrize(
    ("wrong", "right"), [("minst", "mnist"), ("Fashion-MNIST", "fashion_mnist"), ("cifar", "cifar10")]
)
def test_an_unknown_name_is_answered_with_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(DataError, match=f'no data set "{wrong}": did you mean "{right}"'):
        datasets.info(wrong)
    with pytest.raises(DataError, match=right):
        datasets.load(wrong, Path())


@pytest.mark.parametrize("name", ["", "../mnist", "xyz"])
def test_a_name_near_nothing_gets_the_list(name: str) -> None:
    with pytest.raises(DataError, match="Choose one of mnist, fashion_mnist, kmnist, emnist, cifar10, digits"):
        datasets.is_cached(name, Path())


@pytest.mark.parametrize("entry", DATASETS.values(), ids=lambda entry: entry.name)
def test_every_entry_is_complete(entry: datasets.DatasetInfo) -> None:
    assert DATASETS[entry.name] is entry
    assert entry.title and entry.description and entry.homepage.startswith("http")
    assert len(set(entry.classes)) == len(entry.classes) >= 10
    assert (entry.download_mb is None) == entry.bundled


def test_the_default_directory_is_that_of_tensorflow_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", "~/elsewhere")
    assert datasets.default_data_dir() == Path.home() / "elsewhere"
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert datasets.default_data_dir() == Path.home() / "tensorflow_datasets"


def test_importing_and_asking_stays_light(tmp_path: Path) -> None:
    heavy = ("tensorflow_datasets", "sklearn.datasets", "PIL", "array_record")
    code = (
        "import sys, pathlib; from nets import datasets\n"
        f"datasets.is_cached('mnist', pathlib.Path({str(tmp_path)!r})); datasets.load('digits', pathlib.Path())\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    root = Path(datasets.__file__).parents[2]
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert answer.stdout.strip() == "[]"


# The cache file


def test_a_written_cache_is_read_back(tmp_path: Path) -> None:
    original = arrays("emnist", train=30, test=7)
    cache.write(tmp_path / "new" / "emnist.npz", original)
    assert datasets.is_cached("emnist", tmp_path / "new")
    assert datasets.available("emnist", tmp_path / "new")[0]
    dataset = datasets.load("emnist", tmp_path / "new")
    assert (dataset.info.train_size, dataset.info.test_size) == (30, 7)
    assert dataset.train_labels.dtype == dataset.test_labels.dtype == np.int32
    for field, array in original._asdict().items():
        loaded = getattr(dataset, field.replace("images", "inputs"))
        np.testing.assert_array_equal(loaded, array)
        assert loaded.flags.c_contiguous
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["emnist.npz"]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.write(tmp_path / "mnist.npz", arrays("mnist"))
    assert not list(tmp_path.iterdir())


def test_what_a_killed_preparation_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    old, young, other = (tmp_path / name for name in (".mnist.npz.1.tmp", ".mnist.npz.2.tmp", ".kmnist.npz.1.tmp"))
    folder = tmp_path / ".mnist.npz.3.tmp"
    folder.mkdir()
    long_ago = time.time() - 2 * cache.ABANDONED
    for file in (old, young, other, folder / "half"):
        file.touch()
    for path in (old, other, folder / "half", folder):
        os.utime(path, (long_ago, long_ago))
    cache.write(tmp_path / "mnist.npz", arrays("mnist"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, young.name, "mnist.npz"]
    assert not datasets.is_cached("kmnist", tmp_path)


@pytest.mark.parametrize(
    ("field", "wrong", "message"),
    [
        ("train_images", np.zeros((40, 27, 28), np.uint8), r"must be uint8 \[n, 28, 28, 1\], got uint8 \[40, 27, 28\]"),
        ("train_images", np.zeros((40, 28, 28, 1), np.float32), "got float32"),
        ("test_images", np.zeros((0, 28, 28, 1), np.uint8), "test_labels must be 0 integers"),
        ("train_labels", np.zeros(39, np.uint8), "train_labels must be 40 integers, got uint8 .39"),
        ("train_labels", np.zeros(40), "must be 40 integers, got float64"),
        ("test_labels", np.full(20, 10), "test_labels must be from 0 to 9, got 10 to 10"),
        ("test_labels", np.full(20, -1), "got -1 to -1"),
        ("test_labels", np.array([None] * 20), "pickle"),
    ],
)
def test_a_cache_of_another_kind_is_refused(tmp_path: Path, field: str, wrong: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "mnist.npz", **{**arrays("mnist")._asdict(), field: wrong})
    with pytest.raises(DataError, match=message) as caught:
        datasets.load("mnist", tmp_path)
    assert "mnist.npz in the data directory is damaged" in str(caught.value) and "delete it" in str(caught.value)


def test_the_file_that_keras_keeps_is_read_as_it_is(tmp_path: Path) -> None:
    mine = arrays("mnist")
    keras = {"x_train": mine.train_images[..., 0], "y_train": mine.train_labels}
    keras |= {"x_test": mine.test_images[..., 0], "y_test": mine.test_labels[:, None]}  # as its CIFAR-10 has labels
    np.savez_compressed(tmp_path / "mnist.npz", **keras)
    assert datasets.source("mnist", tmp_path) == "cache"
    dataset = datasets.load("mnist", tmp_path)
    for field, array in mine._asdict().items():
        np.testing.assert_array_equal(getattr(dataset, field.replace("images", "inputs")), array)
    np.savez(tmp_path / "kmnist.npz", **{name: array for name, array in keras.items() if name != "y_test"})
    assert "holds no" in (datasets.problem("kmnist", tmp_path) or "")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-1000],
        lambda content: b"<!DOCTYPE html><title>Sign in</title>",
        lambda content: b"",
        lambda content: content[:5000] + bytes([content[5000] ^ 16]) + content[5001:],
    ],
    ids=["cut off", "landing page", "empty", "flipped bit"],
)
def test_what_no_run_can_read_is_on_no_disk(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "mnist.npz"
    cache.write(path, arrays("mnist"))
    assert (datasets.source("mnist", tmp_path), datasets.problem("mnist", tmp_path)) == ("cache", None)
    path.write_bytes(spoil(path.read_bytes()))
    assert datasets.source("mnist", tmp_path) is None
    with pytest.raises(DataError) as caught:
        datasets.load("mnist", tmp_path)
    assert datasets.problem("mnist", tmp_path) == str(caught.value)


def test_an_empty_part_is_refused(tmp_path: Path) -> None:
    cache.write(tmp_path / "mnist.npz", arrays("mnist", test=0))
    with pytest.raises(DataError, match="test_images is empty"):
        datasets.load("mnist", tmp_path)


def test_a_cache_without_an_array_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", train_images=np.zeros(3))
    with pytest.raises(DataError, match="holds no test_images"):
        datasets.load("mnist", tmp_path)


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_cache_is_refused(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "mnist.npz"
    cache.write(path, arrays("mnist"))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(
        DataError,
        match="mnist.npz in the data directory is damaged .*delete it, then run `lamina datasets prepare mnist`",
    ):
        datasets.load("mnist", tmp_path)
    assert datasets.available("mnist", tmp_path)[0] is False
    with pytest.raises(DataError, match="damaged"):
        datasets.prepare("mnist", tmp_path)  # a file that a person may have put there is never overwritten


@pytest.mark.parametrize("compressed", [False, True])
def test_a_flipped_bit_is_noticed(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "mnist.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays("mnist")._asdict())
    content = bytearray(path.read_bytes())
    content[5000] ^= 16
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        datasets.load("mnist", tmp_path)


def test_a_directory_in_the_place_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").mkdir()
    with pytest.raises(DataError, match="mnist is not in"):
        datasets.load("mnist", tmp_path)


# The bundled digits


def test_digits_have_the_form_of_mnist() -> None:
    dataset = datasets.load("digits", Path("nowhere"))
    info = datasets.info("digits")
    assert dataset.info == info
    assert dataset.train_inputs.shape == (info.train_size, *info.shape) == (30_177, 28, 28, 1)
    assert dataset.test_inputs.shape == (info.test_size, *info.shape) == (360, 28, 28, 1)
    assert dataset.train_inputs.dtype == np.uint8 and dataset.train_labels.dtype == np.int32
    for labels in (dataset.train_labels, dataset.test_labels):
        assert np.bincount(labels, minlength=10).min() > 0.05 * len(labels)
    assert dataset.test_inputs[:, :1].max() == dataset.test_inputs[:, :, -1:].max() == 0, "a black margin"
    assert dataset.test_inputs.max() == 255
    middle = np.tensordot(dataset.test_inputs[..., 0].sum(1, dtype=float), np.arange(28) - 13.5, 1)
    assert np.abs(middle / dataset.test_inputs.sum((1, 2, 3))).max() <= 0.51, "centred by mass, to the pixel"
    assert datasets.is_cached("digits", Path("nowhere")) and datasets.available("digits", Path("nowhere"))[0]
    assert datasets.prepare("digits", Path("nowhere")) is dataset


def test_digits_are_the_same_every_time_and_quickly_made() -> None:
    first = digits.build()
    started = time.process_time()
    again = digits.build.__wrapped__()
    assert time.process_time() - started < 5
    np.testing.assert_array_equal(first.train_inputs, again.train_inputs)
    np.testing.assert_array_equal(first.test_labels, again.test_labels)
    assert digits.build() is first


def test_no_test_scan_is_in_the_training_part() -> None:
    dataset = digits.build()
    scans, _ = digits._scans()
    order = np.random.default_rng(digits.SEED).permutation(len(scans))
    base = len(scans) - digits.TEST_SIZE
    images = digits._as_bytes(digits._enlarged(scans))
    np.testing.assert_array_equal(dataset.test_inputs, images[order[: digits.TEST_SIZE]])
    np.testing.assert_array_equal(dataset.train_inputs[:base], images[order[digits.TEST_SIZE :]])
    seen = {image.tobytes() for image in dataset.train_inputs}
    assert not any(image.tobytes() in seen for image in dataset.test_inputs)


def test_copies_resemble_their_own_scan() -> None:
    dataset = digits.build()
    base = len(dataset.train_inputs) // (digits.COPIES + 1)
    flat = dataset.train_inputs[: 2 * base].reshape(2, base, -1).astype(np.float32)
    flat -= flat.mean(-1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=-1, keepdims=True)
    alike = (flat[0] * flat[1]).sum(-1)
    strange = (flat[0] * np.roll(flat[1], 1, axis=0)).sum(-1)
    assert alike.mean() > strange.mean() + 0.1
    assert alike.max() < 1, "every copy is deformed"


def test_sampling_with_the_identity_changes_nothing() -> None:
    images = digits._enlarged(digits._scans()[0][:5])
    same = digits._sampled(images, np.tile(np.eye(2, dtype=np.float32), (5, 1, 1)), np.zeros((5, 2), np.float32))
    np.testing.assert_allclose(same, images, atol=1e-6)
    moved = digits._sampled(images, np.tile(np.eye(2, dtype=np.float32), (5, 1, 1)), np.ones((5, 2), np.float32))
    np.testing.assert_allclose(moved[:, :-1, :-1], images[:, 1:, 1:], atol=1e-6)


@pytest.mark.filterwarnings("default::DeprecationWarning")  # scikit-learn's own imports
def test_without_the_table_the_scans_come_from_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = digits._scans()
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    for mine, theirs in zip(expected, digits._scans(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


# Progress


def test_reports_are_thinned_out_except_the_important() -> None:
    heard: list[tuple[float | None, str]] = []
    report = Report(lambda fraction, message: heard.append((fraction, message)))
    for step in range(1000):
        report(step / 1000, "step")
    report(1.0, "done", always=True)
    assert heard[0] == (0.0, "step") and heard[-1] == (1.0, "done") and len(heard) < 20


def test_a_part_reports_within_the_whole() -> None:
    heard: list[float | None] = []
    Report(lambda fraction, _: heard.append(fraction)).part(0.5, 0.9)(0.5, "half of it")
    assert heard == [pytest.approx(0.7)]
    Report(None)(0.5, "nobody listens")
