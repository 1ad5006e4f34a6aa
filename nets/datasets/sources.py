"""Where a data set can come from, found out without importing tensorflow-datasets (0.3 s and 54 MB)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nets.datasets.base import Arrays
from nets.datasets.formats import (
    CIFAR_FILES,
    IDX_FILES,
    LETTER_FILES,
    Files,
    cifar_files,
    idx_files,
    letter_files,
    upright_letters,
)
from nets.datasets.progress import Report
from nets.datasets.reach import unreachable
from nets.errors import DataError

MOST_FILES = 10_000  # looked at in a folder of files put there by hand


@dataclass(frozen=True)
class Source:
    """How the published files of a data set become arrays.

    parts: the files inside the published ones. parse: reads either. config: tensorflow-datasets' name for the variant.
    finish: applied to whatever was read, from files or from a directory that tensorflow-datasets prepared.
    """

    parts: tuple[str, ...]
    parse: Callable[[Files, Report], Arrays]
    config: str = ""
    finish: Callable[[Arrays], Arrays] = lambda arrays: arrays


SOURCES: dict[str, Source] = {
    "mnist": Source(IDX_FILES, idx_files),
    "fashion_mnist": Source(IDX_FILES, idx_files),
    "kmnist": Source(IDX_FILES, idx_files),
    "emnist": Source(LETTER_FILES, letter_files, config="letters", finish=upright_letters),
    "cifar10": Source(CIFAR_FILES, cifar_files),
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


def manual_dirs(name: str, data_dir: Path) -> tuple[Path, ...]:
    """Where a person puts files by hand: ours, and below tensorflow-datasets' own, a folder per data set.

    mnist, fashion_mnist and kmnist share file names.
    """
    return data_dir / "manual" / name, shared_manual_dir(data_dir) / name


def shared_manual_dir(data_dir: Path) -> Path:
    """tensorflow-datasets' own place for files by hand, one for all data sets: whose a file is, its size tells."""
    return downloads_dir(data_dir) / "manual"


def by_hand(file: RemoteFile, name: str, data_dir: Path) -> Path | None:
    """A published file that a person has put there."""
    places = [folder / file.name for folder in manual_dirs(name, data_dir)]
    shared = shared_manual_dir(data_dir) / file.name
    if shared.is_file() and shared.stat().st_size == file.size:
        places.append(shared)
    return next((place for place in places if place.is_file()), None)


def unpacked(name: str, data_dir: Path) -> Files | None:
    """What the published files hold, where they are not here but a person has unpacked all of it, at any depth."""
    return _unpacked(name, data_dir) if _absent(name, data_dir) else None


def _unpacked(name: str, data_dir: Path) -> Files | None:
    for folder in manual_dirs(name, data_dir):
        here = {_bare(path): path for path in islice(folder.rglob("*"), MOST_FILES) if path.is_file()}
        found = {part: here.get(_bare(Path(part))) for part in SOURCES[name].parts}
        files = {part: path for part, path in found.items() if path is not None}
        if len(files) == len(found):
            return files
    return None


def _bare(path: Path) -> str:
    """A file's name without what programs that unpack change in it: `train-images.idx3-ubyte` is the same file."""
    return path.name.lower().removesuffix(".gz").replace(".idx", "-idx")


def downloads_dir(data_dir: Path) -> Path:
    """tensorflow-datasets' own download cache: what it has fetched before is not fetched again."""
    return data_dir / "downloads"


def missing_files(name: str, data_dir: Path) -> list[RemoteFile]:
    """The files that are neither put there by hand, packed or unpacked, nor in the download cache."""
    absent = _absent(name, data_dir)
    return [] if absent and _unpacked(name, data_dir) else absent


def _absent(name: str, data_dir: Path) -> list[RemoteFile]:
    here = _downloaded_urls(downloads_dir(data_dir) / name) | _downloaded_urls(downloads_dir(data_dir))
    return [file for file in remote_files(name) if file.url not in here and by_hand(file, name, data_dir) is None]


def prepared_dir(name: str, data_dir: Path) -> Path | None:
    """The newest version of the data set that tensorflow-datasets has prepared here, in a format that is read."""
    versions = (data_dir / name / SOURCES[name].config).glob("*/dataset_info.json")
    readable = {"tfrecord"} | ({"array_record"} if find_spec("array_record") else set())
    found = [table.parent for table in versions if _json(table).get("fileFormat", "tfrecord") in readable]
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
