"""tensorflow-datasets at work, without TensorFlow: its download manager, and the directories it has prepared.

Imported only when a data set is neither cached nor bundled. The files are parsed here instead of by the official
builders, whose parsers, and whose storage, need TensorFlow.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nets.datasets.base import Arrays, Images, Labels
from nets.datasets.cache import sweep
from nets.datasets.formats import tfrecords
from nets.datasets.progress import Report
from nets.datasets.sources import RemoteFile, by_hand, downloads_dir, remote_files, usable

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its dependencies are behind the newest Python
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import checksums, download_manager, downloader, util

ATTEMPTS = 2  # after the first; tensorflow-datasets' own 10 take 204 s
AT_ONCE = 1000  # records of an array_record file
SILENCE = 10.0  # seconds without a byte after which a connection is given up


def download(name: str, data_dir: Path, *, missing: Sequence[RemoteFile], report: Report) -> dict[str, Path]:
    """Every published file of the data set by its name: put there by hand, downloaded before, or from the network.

    Checked against tensorflow-datasets' checksums. `report` is called from its download thread. DataError.
    """
    sweep(downloads_dir(data_dir) / name, "*.tmp.*")
    tfds.disable_progress_bar()  # Lamina shows its own
    try:
        with _watched(name, sum(file.size for file in missing), report):
            return {file.name: _had(file, name, data_dir) for file in remote_files(name)}
    except (OSError, util.DownloadError, download_manager.NonMatchingChecksumError) as error:
        raise usable(error, name) from error


def read_prepared(folder: Path, *, name: str, data_dir: Path, report: Report) -> Arrays:
    """The train and test split of a directory that tensorflow-datasets prepared. DataError."""
    try:
        metadata = tfds.builder_from_directory(folder).info
        total = sum(metadata.splits[split].num_examples for split in ("train", "test"))
        train = _split(metadata, "train", done=0, total=total, report=report)
        test = _split(metadata, "test", done=len(train[1]), total=total, report=report)
    except Exception as error:  # whatever a damaged protobuf, JSON or PNG makes tensorflow-datasets raise
        raise usable(
            ValueError(f"{folder.relative_to(data_dir)} cannot be read ({error}), move it away"), name
        ) from error
    return Arrays(*train, *test)


def _had(file: RemoteFile, name: str, data_dir: Path) -> Path:
    """Where a published file is, once it is had."""
    found = by_hand(file, name, data_dir)
    manager = tfds.download.DownloadManager(
        download_dir=downloads_dir(data_dir),
        manual_dir=found.parent if found else None,
        url_infos={file.url: checksums.UrlInfo(file.size, file.sha256, file.name)},
        dataset_name=name,
        force_checksums_validation=True,
        max_simultaneous_downloads=1,  # so that reports come one after the other
    )
    return Path(manager.download(file.url))


@contextmanager
def _watched(name: str, total: int, report: Report) -> Iterator[None]:
    """Makes tensorflow-datasets' downloader count its bytes, give up in time, and stop when the caller has stopped."""
    original, retries = downloader._open_url, downloader.MAX_RETRIES
    done, stopped = 0, False
    refusals: list[BaseException] = []

    def counted(blocks: Iterable[bytes]) -> Iterator[bytes]:
        nonlocal done
        for block in blocks:
            if stopped:
                raise OSError("the download was stopped")
            done += len(block)
            try:
                report(min(done / total, 1.0), f"downloading {name}: {done / 1e6:.1f} of {total / 1e6:.1f} MB")
            except BaseException as error:  # carried over: tfds waits for ever for a thread that ends with SystemExit
                refusals.append(error)
                raise OSError("the download was refused") from error
            yield block

    @contextmanager
    def open_url(url: str, **options: Any) -> Iterator[tuple[Any, Iterable[bytes]]]:
        with original(url, timeout=SILENCE, **options) as (response, blocks):
            yield response, counted(blocks)

    downloader._open_url, downloader.MAX_RETRIES = open_url, ATTEMPTS
    try:
        yield
    except OSError:
        if refusals:
            raise refusals[0] from None
        raise
    finally:
        stopped = True
        downloader._open_url, downloader.MAX_RETRIES = original, retries


def _array_records(path: Path) -> Iterator[bytes]:
    from array_record.python.array_record_module import ArrayRecordReader  # not on every platform

    reader = ArrayRecordReader(str(path))
    try:
        for at in range(0, reader.num_records(), AT_ONCE):
            yield from reader.read(range(at, min(at + AT_ONCE, reader.num_records())))
    finally:
        reader.close()


RECORDS: dict[Any, Callable[[Path], Iterator[bytes]]] = {
    tfds.core.FileFormat.TFRECORD: tfrecords,
    tfds.core.FileFormat.ARRAY_RECORD: _array_records,
}


def _split(metadata: Any, split: str, *, done: int, total: int, report: Report) -> tuple[Images, Labels]:
    """The images [n, h, w, c] and labels [n] of a split. ValueError unless there are as many as declared."""
    declared = metadata.splits[split]
    images, labels = [], []
    raw = {"image": tfds.decode.SkipDecoding()}  # tfds would recommend OpenCV on the terminal
    for path in declared.filepaths:
        for record in RECORDS[metadata.file_format](Path(path)):
            example = metadata.features.deserialize_example_np(record, decoders=raw)
            images.append(np.asarray(Image.open(io.BytesIO(example["image"]))))
            labels.append(int(example["label"]))
            report((done + len(labels)) / total, f"reading {Path(path).name}")
    if len(labels) != declared.num_examples:
        raise ValueError(f"{split} has {len(labels)} examples, {declared.num_examples} are declared")
    stacked = np.stack(images)
    return stacked if stacked.ndim == 4 else stacked[..., None], np.array(labels, dtype=np.int32)
