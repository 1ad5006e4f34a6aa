"""What a state directory holds and nobody needs: found, and removed. Only while no server runs on it."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from backend.state.files import DESCRIPTION, PROGRAMS_FOLDER, RUN_FOLDER, TRAINING, WEIGHTS, files_of
from backend.state.records import ACTIVE, Claim
from backend.state.store import STORE_FILE, Store

Kind = Literal[
    "unrecorded_run",
    "unrecorded_weights",
    "spent_training_state",
    "unfinished_file",
    "unfinished_import",
    "old_program",
    "weights_gone",
    "training_state_gone",
]

# What each kind is, and what becomes of it.
KINDS: Mapping[Kind, tuple[str, str]] = MappingProxyType(
    {
        "unrecorded_run": ("folder of a run that has no record", "removed"),
        "unrecorded_weights": ("weights or description that no record names", "removed"),
        "spent_training_state": ("training state of a run that cannot go on", "removed"),
        "unfinished_file": ("file that was never finished", "removed"),
        "unfinished_import": ("import that was never finished", "removed"),
        "old_program": ("compiled program, not used for 30 days", "removed; compiled again when needed"),
        "weights_gone": (
            "record of a run whose weights are gone",
            "kept with its metrics, without saved_model_path; a model promoted from it becomes untrained",
        ),
        "training_state_gone": ("record of a run whose training state is gone", "kept, no longer resumable"),
    }
)
RECORDS = ("weights_gone", "training_state_gone")
UNFINISHED = re.compile(r"\..+\.tmp|.+\.new")
OLD_PROGRAM_SECONDS = 30 * 86_400


@dataclass(frozen=True)
class Found:
    """One thing. `path`: of the file or folder; of a record, the file that it misses. `size`: bytes on the disk."""

    kind: Kind
    path: Path
    size: int = 0
    run_id: str | None = None


def garbage(state_dir: Path, store: Store) -> list[Found]:
    """All of it, in the order of `KINDS`. Where the record of a run is damaged, a folder without one may be its."""
    claims = store.claims()
    found = [
        *_folders(state_dir, claims),
        *_unfinished(state_dir, None),
        *(Found("unfinished_import", path, _size(path)) for path in unfinished_imports(state_dir)),
        *_programs(state_dir / PROGRAMS_FOLDER, now=min(time.time(), (state_dir / STORE_FILE).stat().st_mtime)),
        *_lost(state_dir, claims),
    ]
    if store.unreadable.any("runs"):
        found = [each for each in found if each.kind != "unrecorded_run"]
    order = list(KINDS)
    return sorted(found, key=lambda each: (order.index(each.kind), each.path))


def remove(found: list[Found], store: Store) -> list[tuple[Found, OSError]]:
    """Remove files and mend records; what could not be removed, with the reason."""
    store.give_up(weights=_runs("weights_gone", found), training=_runs("training_state_gone", found))
    failed = []
    for each in found:
        if each.kind in RECORDS:
            continue
        try:
            if each.path.is_dir() and not each.path.is_symlink():
                shutil.rmtree(each.path)
            else:
                each.path.unlink(missing_ok=True)
                _remove_if_empty(each)
        except OSError as error:
            failed.append((each, error))
    return failed


def unfinished_imports(state_dir: Path) -> Iterator[Path]:
    """Folders beside the state directory into which an import wrote that was killed."""
    yield from (path for path in state_dir.parent.iterdir() if path.name.startswith(import_prefix(state_dir)))


def import_prefix(state_dir: Path) -> str:
    """How the folder begins that an import gives the name of the state directory at its end."""
    return f".{state_dir.name}.import-"


def _folders(state_dir: Path, claims: Mapping[str, Claim]) -> Iterator[Found]:
    for folder in sorted(state_dir.iterdir()):
        if not RUN_FOLDER.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        claim = claims.get(folder.name)
        if claim is None or not files_of(claim):
            yield Found("unrecorded_run" if claim is None else "unrecorded_weights", folder, _size(folder), folder.name)
            continue
        kept = files_of(claim)
        for name in (WEIGHTS, DESCRIPTION, TRAINING):
            if name not in kept and (folder / name).is_file():
                kind: Kind = "spent_training_state" if name == TRAINING else "unrecorded_weights"
                yield Found(kind, folder / name, _size(folder / name), folder.name)
        yield from _unfinished(folder, folder.name)


def _unfinished(folder: Path, run_id: str | None) -> Iterator[Found]:
    for path in folder.iterdir():
        if UNFINISHED.fullmatch(path.name) and path.is_file():
            yield Found("unfinished_file", path, _size(path), run_id)


def _programs(folder: Path, *, now: float) -> Iterator[Found]:
    """Compiled programs that nobody has read for long. On a disk that keeps no times of reading: made long ago.

    `now`: by the clock of those who used them, which the store was last written by; it may have been set since.
    """
    if not folder.is_dir():
        return
    oldest = now - OLD_PROGRAM_SECONDS
    for path in folder.iterdir():
        status = path.lstat()
        if path.is_file() and max(status.st_atime, status.st_mtime) < oldest:
            yield Found("old_program", path, status.st_size)


def _lost(state_dir: Path, claims: Mapping[str, Claim]) -> Iterator[Found]:
    for claim in claims.values():
        if claim.state in ACTIVE:
            continue
        folder = state_dir / claim.run_id
        if claim.saved_model_path is not None and not (folder / WEIGHTS).is_file():
            yield Found("weights_gone", folder / WEIGHTS, run_id=claim.run_id)
        # Before its first epoch a run has no state, and goes on from its beginning.
        if claim.resumable and claim.epoch > 0 and not (folder / TRAINING).is_file():
            yield Found("training_state_gone", folder / TRAINING, run_id=claim.run_id)


def _runs(kind: Kind, found: list[Found]) -> list[str]:
    return [each.run_id for each in found if each.kind == kind and each.run_id is not None]


def _remove_if_empty(each: Found) -> None:
    if each.run_id is not None and not any(each.path.parent.iterdir()):
        each.path.parent.rmdir()


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; links count as themselves."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(_size(Path(entry.path)) for entry in os.scandir(path))
