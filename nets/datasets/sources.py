"""Where a data set can come from, found out without importing tensorflow-datasets (0.3 s and 54 MB)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nets.datasets.base import Arrays
from nets.datasets.formats import Files, cifar_tar, idx_files, letters_zip, upright_letters
from nets.datasets.progress import Report
from nets.datasets.reach import unreachable
from nets.errors import DataError


@dataclass(frozen=True)
class Source:
    """How the published files of a data set become arrays.

    config: tensorflow-datasets' name for the variant. finish: applied to whatever was read, from files or tfrecords.
    """

    parse: Callable[[Files, Report], Arrays]
    config: str = ""
    finish: Callable[[Arrays], Arrays] = lambda arrays: arrays


SOURCES: dict[str, Source] = {
    "mnist": Source(idx_files),
    "fashion_mnist": Source(idx_files),
    "kmnist": Source(idx_files),
    "emnist": Source(letters_zip, config="letters", finish=upright_letters),
    "cifar10": Source(cifar_tar),
}


@dataclass(frozen=True)
class RemoteFile:
    """One published file, as tensorflow-datasets has registered it. size: bytes."""

    url: str
    size: int
    sha256: str
    name: str


def remote_files(name: str) -> tuple[RemoteFile, ...]:
    """The files of a data set, from the checksums that tensorflow-datasets brings along."""
    package = find_spec("tensorflow_datasets")
    assert package is not None and package.submodule_search_locations, "tensorflow-datasets is a dependency of Lamina"
    table = Path(package.submodule_search_locations[0], "url_checksums", f"{name}.txt")
    rows = (line.split("\t") for line in table.read_text(encoding="utf-8").splitlines())
    return tuple(RemoteFile(url, int(size), sha256, file) for url, size, sha256, file in rows)


def manual_dir(name: str, data_dir: Path) -> Path:
    """Where a person puts files by hand. One folder per data set: mnist, fashion_mnist and kmnist share file names."""
    return data_dir / "manual" / name


def downloads_dir(data_dir: Path) -> Path:
    """tensorflow-datasets' own download cache: what it has fetched before is not fetched again."""
    return data_dir / "downloads"


def missing_files(name: str, data_dir: Path) -> list[RemoteFile]:
    """The files that are neither in the manual folder nor in the download cache."""
    here = _downloaded_urls(downloads_dir(data_dir) / name) | _downloaded_urls(downloads_dir(data_dir))
    by_hand = manual_dir(name, data_dir)
    return [file for file in remote_files(name) if file.url not in here and not (by_hand / file.name).is_file()]


def prepared_dir(name: str, data_dir: Path) -> Path | None:
    """The newest version of the data set that TensorFlow has prepared here as tfrecords, if any."""
    versions = (data_dir / name / SOURCES[name].config).glob("*/dataset_info.json")
    found = [table.parent for table in versions if _json(table).get("fileFormat", "tfrecord") == "tfrecord"]
    return max(found, key=lambda folder: folder.stat().st_mtime, default=None)


def obstacle(name: str, missing: Sequence[RemoteFile]) -> str | None:
    """Why the missing files cannot be downloaded; None if their host answers."""
    for address in dict.fromkeys(urlsplit(file.url)._replace(path="", query="").geturl() for file in missing):
        if reason := unreachable(address):
            host = urlsplit(address).hostname
            return f"{name} is not in the data directory and {host} cannot be reached ({reason})"
    return None


def cure(name: str) -> str:
    """What a person can do who has no data set yet."""
    files = ", ".join(file.name for file in remote_files(name))
    return (
        f"Run `lamina datasets prepare {name}` where there is a network, or put {files} into manual/{name} of the data "
        f'directory, or a finished {name}.npz into the directory itself, or use the bundled "digits"'
    )


def usable(error: Exception, name: str) -> DataError:
    """A failed download or conversion as an error for people."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"{name} could not be prepared: {reason}. {cure(name)}")


def _downloaded_urls(folder: Path) -> set[str]:
    """The URLs whose content lies in a folder of tensorflow-datasets' cache: a file, and beside it its .INFO."""
    notes = (note for note in folder.glob("*.INFO") if note.with_suffix("").is_file())
    return {url for note in notes for url in _json(note).get("urls", ())}


def _json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty if it is not one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
