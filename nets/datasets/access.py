"""Having a data set: from the cache, bundled, or fetched."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from nets.datasets import cache, digits, sources
from nets.datasets.base import Arrays, Dataset, DatasetInfo, info
from nets.datasets.progress import Callback, Report
from nets.errors import DataError

BUNDLED: dict[str, Callable[[], Dataset]] = {"digits": digits.build}

Source = Literal["bundled", "cache", "prepared", "files"]

DOWNLOAD_SHARE = 0.9  # of the whole preparation, when something must be downloaded


def default_data_dir() -> Path:
    """Beside tensorflow-datasets' own: $TFDS_DATA_DIR, or ~/tensorflow_datasets."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def is_cached(name: str, data_dir: Path) -> bool:
    """Whether `load` has something to read. Looks for the file, does not open it: `problem` does."""
    return info(name).bundled or cache.cache_path(name, data_dir).is_file()


def problem(name: str, data_dir: Path) -> str | None:
    """Why the cache file cannot be read, with the cure; None if it can or is not there. Reads it once in each state."""
    if info(name).bundled or not is_cached(name, data_dir):
        return None
    return cache.unreadable(cache.cache_path(name, data_dir), info(name))


def source(name: str, data_dir: Path) -> Source | None:
    """What a run gets the data set from without a network; None where nothing is here, or only a damaged cache."""
    if info(name).bundled:
        return "bundled"
    if is_cached(name, data_dir):
        return None if problem(name, data_dir) else "cache"
    if sources.prepared_dir(name, data_dir):
        return "prepared"
    return None if sources.missing_files(name, data_dir) else "files"


def available(name: str, data_dir: Path) -> tuple[bool, str]:
    """Whether the data set can be had, and a sentence that says from where, or why not. At most 3.5 s."""
    about = info(name)
    if about.bundled:
        return True, "bundled"
    if is_cached(name, data_dir):
        reason = cache.damage(cache.cache_path(name, data_dir))
        return reason is None, reason or "cached"
    if sources.prepared_dir(name, data_dir):
        return True, "prepared by tensorflow-datasets"
    missing = sources.missing_files(name, data_dir)
    if not missing:
        return True, "its files are there"
    if reason := sources.obstacle(name, missing):
        return False, reason
    size = sum(file.size for file in missing) / 1e6
    return True, f"can be downloaded from {urlsplit(missing[0].url).hostname} ({size:.1f} MB)"


def load(name: str, data_dir: Path) -> Dataset:
    """The data set from its cache file, or the bundled one. DataError if it is absent or damaged.

    The last one read is kept (MNIST is 55 MB), and read again only when its file has changed.
    """
    about = info(name)
    if about.bundled:
        return BUNDLED[name]()
    path = cache.cache_path(name, data_dir)
    if not path.is_file():
        raise DataError(f"{name} is not in the data directory. {sources.cure(name)}")
    return _read(path, name, state(name, data_dir))


def state(name: str, data_dir: Path) -> tuple[int, ...]:
    """Another one whenever the cache file has changed; `()` without one, as for a bundled data set."""
    if not cache.cache_path(name, data_dir).is_file():
        return ()
    status = cache.cache_path(name, data_dir).stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=1)
def _read(path: Path, name: str, _state: tuple[int, ...]) -> Dataset:
    dataset = cache.read(path, info(name))
    for array in (dataset.train_inputs, dataset.train_labels, dataset.test_inputs, dataset.test_labels):
        array.flags.writeable = False  # shared between runs
    return dataset


def prepare(name: str, data_dir: Path, *, progress: Callback | None = None) -> Dataset:
    """Gets the data set from wherever it can be had, writes the cache file and loads it. DataError.

    progress: called with the fraction done (None when unknown) and a sentence, at most ten times a second, one call
    after the other, during a download from another thread. Killed at any moment, it leaves no half cache file behind.
    """
    about = info(name)
    report = Report(progress)
    if not is_cached(name, data_dir):
        report(0.0, f"looking for {name}")
        arrays = _whole(sources.SOURCES[name].finish(_obtain(name, data_dir, report)), about)
        report(None, f"writing {name}.npz", always=True)
        try:
            cache.write(cache.cache_path(name, data_dir), arrays)
        except OSError as error:
            raise DataError(
                f"cannot write into the data directory ({error.strerror}): free some space or choose another --data-dir"
            ) from error
    dataset = load(name, data_dir)
    report(1.0, f"{name} is ready", always=True)
    return dataset


def _obtain(name: str, data_dir: Path, report: Report) -> Arrays:
    """The arrays from a directory that tensorflow-datasets prepared, from files here, or from the network."""
    folder = sources.prepared_dir(name, data_dir)
    missing = [] if folder else sources.missing_files(name, data_dir)
    if reason := sources.obstacle(name, missing):
        raise DataError(f"{reason}. {sources.cure(name)}")
    if not folder and (files := sources.unpacked(name, data_dir)):
        return sources.SOURCES[name].parse(files, report)
    from nets.datasets import tfds  # here, because it costs 0.3 s and 54 MB

    if folder:
        return tfds.read_prepared(folder, name=name, data_dir=data_dir, report=report)
    share = DOWNLOAD_SHARE if missing else 0.0
    files = tfds.download(name, data_dir, missing=missing, report=report.part(0.0, share))
    return sources.SOURCES[name].parse(files, report.part(share, 1.0))


def _whole(arrays: Arrays, about: DatasetInfo) -> Arrays:
    """The arrays cut to the official sizes; DataError if there are fewer images, or images of another kind.

    Only EMNIST's letters are cut: tensorflow-datasets defines the data set as the first 88,800 of the file's 124,800.
    """
    train, test = len(arrays.train_images), len(arrays.test_images)
    if train < about.train_size or test < about.test_size:
        want = f"{about.train_size} training and {about.test_size} test images"
        raise DataError(f"{about.name} must have {want}, its files hold {train} and {test}: delete them and try again")
    cut = Arrays(
        arrays.train_images[: about.train_size],
        arrays.train_labels[: about.train_size],
        arrays.test_images[: about.test_size],
        arrays.test_labels[: about.test_size],
    )
    if reason := cache.misfit(cut, about):
        raise DataError(f"the files of {about.name} are damaged ({reason}): delete them and try again")
    return cut
