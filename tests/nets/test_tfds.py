"""Fetching through tensorflow-datasets' real download manager, from a loopback server with small files."""

from __future__ import annotations

import importlib
import io
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nets import datasets
from nets.datasets import DATASETS, formats, reach, sources
from nets.errors import DataError
from tests.nets.dataset_files import TEST, TRAIN, Host, arrays, idx, inside, published, registered, serving

NAMES = sorted(sources.SOURCES)


@pytest.fixture(autouse=True)
def _small_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every data set has 40 + 20 images, and no proxy of this machine comes between."""
    for name in NAMES:
        monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], train_size=TRAIN, test_size=TEST))
    for variable in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as host:
        yield host


def publish(monkeypatch: pytest.MonkeyPatch, name: str, files: dict[str, bytes], url: str) -> None:
    """Points tensorflow-datasets' record of the data set's files to these."""
    record = registered(files, url)
    monkeypatch.setattr(sources, "remote_files", lambda asked: record if asked == name else ())
    monkeypatch.setattr("nets.datasets.tfds.remote_files", lambda asked: record if asked == name else ())


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def assert_equal(dataset: datasets.Dataset, expected: tuple[np.ndarray, ...]) -> None:
    mine = (dataset.train_inputs, dataset.train_labels, dataset.test_inputs, dataset.test_labels)
    for array, original in zip(mine, expected, strict=True):
        np.testing.assert_array_equal(array, original)


# What tensorflow-datasets says


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_agrees_with_the_official_builders(name: str, tmp_path: Path) -> None:
    tfds = importlib.import_module("nets.datasets.tfds").tfds
    catalog = importlib.import_module("nets.datasets.catalog")
    assert catalog
    official = tfds.builder_cls(name)
    config = sources.SOURCES[name].config or None
    features = official(data_dir=tmp_path, config=config).info.features
    entry = datasets.info(name)
    assert features["image"].shape == entry.shape
    if name == "emnist":
        assert official.builder_configs[config].train_examples == 88_800
    elif name == "cifar10":  # its names are in the archive
        assert features["label"].num_classes == len(entry.classes)
    else:
        assert tuple(features["label"].names) == entry.classes
    files = sources.remote_files(name)
    theirs = {url: (int(one.size), one.checksum, one.filename) for url, one in official.url_infos.items()}
    assert {file.url: (file.size, file.sha256, file.name) for file in files} == theirs
    assert entry.download_mb == pytest.approx(sum(file.size for file in files) / 1e6, abs=0.06)


# Downloading


@pytest.mark.parametrize("name", NAMES)
def test_download_parse_cache_and_load(
    name: str, tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = arrays(name)
    host.files = published(name, expected)
    publish(monkeypatch, name, host.files, host.url)
    heard: list[tuple[float | None, str]] = []
    assert not datasets.is_cached(name, tmp_path)
    assert (
        datasets.available(name, tmp_path) == (True, "can be downloaded from 127.0.0.1 (0.0 MB)") or name == "cifar10"
    )
    dataset = datasets.prepare(name, tmp_path, progress=lambda fraction, message: heard.append((fraction, message)))
    assert_equal(dataset, expected)
    assert datasets.is_cached(name, tmp_path)
    assert_equal(datasets.load(name, tmp_path), expected)
    assert len(host.asked) == len(host.files)
    fractions = [fraction for fraction, _ in heard if fraction is not None]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert capfd.readouterr() == ("", ""), "no bars, no warnings on the terminal"


def test_progress_counts_bytes(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nets.datasets.progress.INTERVAL", 0.0)
    host.files = published("cifar10", arrays("cifar10"))
    publish(monkeypatch, "cifar10", host.files, host.url)
    heard: list[str] = []
    datasets.prepare("cifar10", tmp_path, progress=lambda _, message: heard.append(message))
    downloading = [message for message in heard if message.startswith("downloading cifar10: 0.1 of 0.2 MB")]
    reading = [message for message in heard if message.startswith("reading cifar-10-batches-bin/")]
    assert downloading and len(reading) == 6
    assert heard[-2:] == ["writing cifar10.npz", "cifar10 is ready"]


def test_a_second_preparation_takes_the_downloads_of_the_first(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.files = published("mnist", arrays("mnist"))
    publish(monkeypatch, "mnist", host.files, host.url)
    datasets.prepare("mnist", tmp_path)
    (tmp_path / "mnist.npz").unlink()
    monkeypatch.setattr(sources, "unreachable", lambda _: "not even asked for")
    assert datasets.available("mnist", tmp_path) == (True, "its files are there")
    assert_equal(datasets.prepare("mnist", tmp_path), arrays("mnist"))
    assert len(host.asked) == 4


def test_a_wrong_checksum_is_refused(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.files = published("kmnist", arrays("kmnist"))
    publish(monkeypatch, "kmnist", host.files, host.url)
    host.files = published("kmnist", arrays("fashion_mnist"))
    with pytest.raises(DataError, match=r"kmnist could not be prepared: .*wrong checksum.*manual.kmnist"):
        datasets.prepare("kmnist", tmp_path)
    assert not datasets.is_cached("kmnist", tmp_path)


def test_a_missing_file_on_the_host(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, "mnist", published("mnist", arrays("mnist")), host.url)
    with pytest.raises(DataError, match=r"mnist could not be prepared: .*HTTP code: 404"):
        datasets.prepare("mnist", tmp_path)


def test_too_few_images_are_refused(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.files = published("mnist", arrays("mnist", train=TRAIN - 1))
    publish(monkeypatch, "mnist", host.files, host.url)
    with pytest.raises(DataError, match="must have 40 training and 20 test images, its files hold 39 and 20"):
        datasets.prepare("mnist", tmp_path)
    assert not datasets.is_cached("mnist", tmp_path)


def test_letters_beyond_the_official_number_are_left_out(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer = arrays("emnist", train=TRAIN + 12, test=TEST + 3)
    host.files = published("emnist", longer)
    publish(monkeypatch, "emnist", host.files, host.url)
    dataset = datasets.prepare("emnist", tmp_path)
    assert_equal(dataset, (longer[0][:TRAIN], longer[1][:TRAIN], longer[2][:TEST], longer[3][:TEST]))
    assert dataset.info.classes[dataset.train_labels[25]] == "Z"


def test_a_caller_that_stops_stops_the_download(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.files = published("mnist", arrays("mnist"))
    publish(monkeypatch, "mnist", host.files, host.url)
    monkeypatch.setattr("nets.datasets.progress.INTERVAL", 0.0)

    def stop(_: float | None, message: str) -> None:
        if message.startswith("downloading"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        datasets.prepare("mnist", tmp_path, progress=stop)
    assert len(host.asked) == 1 and not datasets.is_cached("mnist", tmp_path)
    assert_equal(datasets.prepare("mnist", tmp_path), arrays("mnist"))


def test_a_directory_that_cannot_be_written(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    host.files = published("mnist", arrays("mnist"))
    publish(monkeypatch, "mnist", host.files, host.url)
    with pytest.raises(DataError, match="could not be prepared: .*Not a directory"):
        datasets.prepare("mnist", tmp_path / "file")


# By hand, and by TensorFlow


@pytest.mark.parametrize("name", NAMES)
def test_files_put_there_by_hand_need_no_network(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = published(name, arrays(name))
    publish(monkeypatch, name, files, closed_port())
    folder = tmp_path / "manual" / name
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    assert datasets.available(name, tmp_path) == (True, "its files are there")
    assert_equal(datasets.prepare(name, tmp_path), arrays(name))
    assert sorted(path.name for path in folder.iterdir()) == sorted(files), "left as they were"


@pytest.mark.parametrize("folder", ["manual/{}", "downloads/manual/{}", "manual/{}/MNIST/raw"])
@pytest.mark.parametrize("name", NAMES)
def test_files_that_a_person_has_unpacked_are_read(
    name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, name, published(name, arrays(name)), closed_port())
    place = tmp_path / folder.format(name)
    for number, (part, content) in enumerate(inside(name, arrays(name)).items()):
        path = place / (part.replace("-idx", ".idx") if number % 2 else part)  # as some programs unpack
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert datasets.source(name, tmp_path) == "files"
    assert datasets.available(name, tmp_path) == (True, "its files are there")
    assert_equal(datasets.prepare(name, tmp_path), arrays(name))
    assert (datasets.source(name, tmp_path), datasets.problem(name, tmp_path)) == ("cache", None)


def test_a_damaged_unpacked_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, "mnist", published("mnist", arrays("mnist")), closed_port())
    folder = tmp_path / "manual" / "mnist"
    folder.mkdir(parents=True)
    for part, content in inside("mnist", arrays("mnist")).items():
        (folder / part).write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte is damaged \(its header promises"):
        datasets.prepare("mnist", tmp_path)


def test_in_the_folder_that_data_sets_share_a_file_is_known_by_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "downloads" / "manual"
    folder.mkdir(parents=True)
    for file, content in published("mnist", arrays("mnist")).items():
        (folder / file).write_bytes(content)
    publish(monkeypatch, "kmnist", published("kmnist", arrays("kmnist", train=39)), closed_port())
    assert datasets.source("kmnist", tmp_path) is None
    publish(monkeypatch, "mnist", published("mnist", arrays("mnist")), closed_port())
    assert datasets.source("mnist", tmp_path) == "files"
    assert_equal(datasets.prepare("mnist", tmp_path), arrays("mnist"))


def test_a_wrong_file_put_there_by_hand_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, "emnist", published("emnist", arrays("emnist")), closed_port())
    (tmp_path / "manual" / "emnist").mkdir(parents=True)
    (tmp_path / "manual" / "emnist" / "gzip.zip").write_bytes(b"an error page")
    with pytest.raises(DataError, match=r"manual/emnist/gzip.zip, has wrong checksum"):
        datasets.prepare("emnist", tmp_path)


def prepared(name: str, data_dir: Path, data: tuple[np.ndarray, ...], *, form: str = "tfrecord") -> Path:
    """A directory as tensorflow-datasets leaves it: two shards a split, and its own metadata."""
    tfds = importlib.import_module("nets.datasets.tfds").tfds
    proto = importlib.import_module("tensorflow_datasets.proto").tf_example_pb2
    config = sources.SOURCES[name].config or None
    builder = tfds.builder_cls(name)(data_dir=data_dir, config=config, file_format=form)
    folder = Path(builder.data_dir)
    folder.mkdir(parents=True)
    splits = []
    for split, images, labels in (("train", *data[:2]), ("test", *data[2:])):
        template = tfds.core.ShardedFileTemplate(data_dir=folder, dataset_name=name, split=split, filetype_suffix=form)
        half = len(images) // 2
        splits.append(
            tfds.core.SplitInfo(
                name=split, shard_lengths=[half, len(images) - half], num_bytes=0, filename_template=template
            )
        )
        for shard, rows in enumerate((range(half), range(half, len(images)))):
            examples = [_example(proto, images[row], int(labels[row]), with_id=name == "cifar10") for row in rows]
            write_records[form](folder / f"{name}-{split}.{form}-{shard:05d}-of-00002", examples)
    builder.info.set_splits(tfds.core.SplitDict(splits))
    builder.info.write_to_directory(folder)
    return folder


def _tfrecords(path: Path, examples: list[bytes]) -> None:
    path.write_bytes(b"".join(struct.pack("<QI", len(one), 0) + one + bytes(4) for one in examples))


def _array_records(path: Path, examples: list[bytes]) -> None:
    writer = importlib.import_module("array_record.python.array_record_module").ArrayRecordWriter(str(path), "")
    for one in examples:
        writer.write(one)
    writer.close()


write_records = {"tfrecord": _tfrecords, "array_record": _array_records}


def _example(proto: object, image: np.ndarray, label: int, *, with_id: bool) -> bytes:
    png = io.BytesIO()
    Image.fromarray(image.squeeze()).save(png, "PNG")
    example = proto.Example()  # type: ignore[attr-defined]
    example.features.feature["image"].bytes_list.value.append(png.getvalue())
    example.features.feature["label"].int64_list.value.append(label)
    if with_id:
        example.features.feature["id"].bytes_list.value.append(b"train_00000")
    return bytes(example.SerializeToString())


@pytest.mark.parametrize("form", ["tfrecord", "array_record"])
@pytest.mark.parametrize("name", NAMES)
def test_what_tensorflow_datasets_has_prepared_is_used_first(
    name: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(monkeypatch, name, {}, closed_port())
    expected = stored = arrays(name)
    if name == "emnist":
        stored = stored._replace(
            train_images=stored.train_images.swapaxes(1, 2),
            train_labels=stored.train_labels + 1,
            test_images=stored.test_images.swapaxes(1, 2),
            test_labels=stored.test_labels + 1,
        )
    if form == "array_record":
        pytest.importorskip("array_record", reason="this platform has no array_record")
    prepared(name, tmp_path, stored, form=form)
    assert datasets.source(name, tmp_path) == "prepared"
    assert datasets.available(name, tmp_path) == (True, "prepared by tensorflow-datasets")
    assert_equal(datasets.prepare(name, tmp_path), expected)
    assert capfd.readouterr() == ("", "")


def test_a_cut_off_tfrecord_is_refused(tmp_path: Path) -> None:
    folder = prepared("mnist", tmp_path, arrays("mnist"))
    shard = folder / "mnist-train.tfrecord-00001-of-00002"
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(
        DataError, match=rf"{folder.relative_to(tmp_path)} cannot be read \({shard.name} is cut off\), move it away"
    ):
        datasets.prepare("mnist", tmp_path)
    (folder / "features.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        datasets.prepare("mnist", tmp_path)
    assert not datasets.is_cached("mnist", tmp_path)


def test_a_lost_record_is_noticed(tmp_path: Path) -> None:
    folder = prepared("mnist", tmp_path, arrays("mnist"))
    (folder / "mnist-test.tfrecord-00000-of-00002").write_bytes(b"")
    with pytest.raises(DataError, match="test has 10 examples, 20 are declared"):
        datasets.prepare("mnist", tmp_path)


def test_a_cut_off_array_record_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("array_record", reason="this platform has no array_record")
    folder = prepared("mnist", tmp_path, arrays("mnist"), form="array_record")
    shard = folder / "mnist-train.array_record-00001-of-00002"
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(DataError, match=rf"{folder.relative_to(tmp_path)} cannot be read \(.*\), move it away"):
        datasets.prepare("mnist", tmp_path)


def test_a_directory_in_a_format_that_is_not_read_is_no_source(tmp_path: Path) -> None:
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps({"fileFormat": "parquet"}))
    assert sources.prepared_dir("mnist", tmp_path) is None


# Out of reach


@pytest.mark.timed
def test_offline_is_a_quick_and_helpful_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, "mnist", published("mnist", arrays("mnist")), closed_port())
    started = time.perf_counter()
    possible, reason = datasets.available("mnist", tmp_path)
    with pytest.raises(DataError) as caught:
        datasets.prepare("mnist", tmp_path)
    assert time.perf_counter() - started < 2
    assert not possible and str(caught.value).startswith(f"{reason}. Run `lamina datasets prepare mnist` where")
    for word in ("127.0.0.1 cannot be reached (Connection refused)", "`lamina datasets prepare mnist`", "mnist.npz"):
        assert word in str(caught.value)
    assert f"train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, {formats.IDX_FILES[2]}" in str(caught.value)
    assert "into manual/mnist of the data directory" in str(caught.value)
    assert str(caught.value).endswith('use the bundled "digits"')
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(DataError, match="mnist is not in the data directory. Run `lamina datasets prepare mnist`"):
        datasets.load("mnist", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_host_without_a_name() -> None:
    assert reach.unreachable("https://nowhere.invalid/file")


@pytest.mark.timed
def test_a_host_that_never_answers_costs_no_more_than_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "PATIENCE", 0.2)
    monkeypatch.setattr(reach, "_CONNECT", "import threading; threading.Event().wait()")
    started = time.perf_counter()
    assert reach.unreachable("https://example.invalid") == "no answer within 0 s"
    assert time.perf_counter() - started < 2


def test_behind_a_proxy_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert reach.unreachable("http://nowhere.invalid/file") is None
    monkeypatch.setenv("no_proxy", "nowhere.invalid")
    assert reach.unreachable("http://nowhere.invalid/file")


# Damaged files


@pytest.mark.parametrize("name", ["mnist", "emnist", "cifar10"])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"<html>", lambda data: b""])
def test_a_damaged_archive_is_named(name: str, damage: object, tmp_path: Path) -> None:
    files = {}
    for file, content in published(name, arrays(name)).items():
        (tmp_path / file).write_bytes(damage(content))  # type: ignore[operator]
        files[file] = tmp_path / file
    with pytest.raises(DataError, match=r"^\S+ is damaged .*delete it and try again"):
        sources.SOURCES[name].parse(files, lambda *_: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\0\0\x0d\1\0\0\0\1a", b"\0\0\x08\3\0\0\0\1", idx(np.zeros(4))[:-1]])
def test_bytes_that_are_no_idx_file(data: bytes) -> None:
    with pytest.raises(ValueError, match="IDX|promises"):
        formats.idx(data)


def test_a_killed_preparation_leaves_no_cache(tmp_path: Path) -> None:
    """The child is killed in the middle of writing the cache file: what is left is not taken for data."""
    code = (
        "import os, pathlib, signal, sys\n"
        "from nets.datasets import cache\n"
        "from tests.nets.dataset_files import arrays\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "cache.write(pathlib.Path(sys.argv[1]) / 'mnist.npz', arrays('mnist'))\n"
    )
    root = Path(datasets.__file__).parents[2]
    child = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, check=False)
    assert child.returncode == -9
    assert [path.name[:11] for path in tmp_path.iterdir()] == [".mnist.npz."]
    assert not datasets.is_cached("mnist", tmp_path)
