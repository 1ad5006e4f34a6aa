"""What a state directory holds and nobody needs: found, and removed; beside a running server, too."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from backend.state.claims import claim_of, claims_of, give_up_training, give_up_weights
from backend.state.errors import UnreadableRecord
from backend.state.files import DESCRIPTION, PROGRAMS_FOLDER, RUN_FOLDER, TRAINING, WEIGHTS, files_of
from backend.state.records import ACTIVE, Claim
from backend.state.store import STORE_FILE, Store
from backend.state.working import FOLDER, folder_for, in_use, working

Kind = Literal[
    "unrecorded_run",
    "unrecorded_weights",
    "spent_training_state",
    "unfinished_file",
    "unfinished_import",
    "unfinished_work",
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
        "unfinished_work": ("working folder of an export, import, gc or benchmark that was killed", "removed"),
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
RECENT_SECONDS = 600.0  # what has changed since may belong to a request that a running server is serving
YOUNG = f"it was changed in the last {RECENT_SECONDS / 60:g} minutes"
ACTIVE_RUN = "its run is active"
NEEDED = "its record needs it by now"
COMMAND = "a command is using it"


@dataclass(frozen=True)
class Found:
    """One thing. `path`: of the file or folder; of a record, the file that it misses. `size`: bytes on the disk."""

    kind: Kind
    path: Path
    size: int = 0
    run_id: str | None = None


@dataclass(frozen=True)
class Left:
    """Something that would be garbage if nobody were at work here, and why it is none."""

    found: Found
    reason: str


def garbage(state_dir: Path, store: Store) -> list[Found]:
    """All of it, in the order of `KINDS`. Where the record of a run is damaged, a folder without one may be its."""
    folders = _run_folders(state_dir)  # before the records: a run that is made meanwhile has a record by then
    claims = claims_of(store)
    found = [
        *_folders(folders, claims),
        *_unfinished(state_dir, None),
        *(Found("unfinished_import", path, _size(path)) for path in unfinished_imports(state_dir)),
        *(Found("unfinished_work", path, _size(path)) for path in _entries(state_dir) if FOLDER.fullmatch(path.name)),
        *_programs(state_dir / PROGRAMS_FOLDER, now=min(time.time(), (state_dir / STORE_FILE).stat().st_mtime)),
        *_lost(state_dir, claims),
    ]
    if store.unreadable.any("runs"):
        found = [each for each in found if each.kind != "unrecorded_run"]
    order = list(KINDS)
    return sorted(found, key=lambda each: (order.index(each.kind), each.path))


def sifted(found: list[Found], store: Store, *, beside: bool) -> tuple[list[Found], list[Left]]:
    """What is garbage whoever works here now, and what is left alone. `beside`: a server runs on the directory."""
    claims = claims_of(store) if beside else {}
    good, left = [], []
    for each in found:
        reason = _reason(each, claims.get(each.run_id or ""), beside=beside)
        if reason is None:
            good.append(each)
        else:
            left.append(Left(each, reason))
    return good, left


def _reason(each: Found, claim: Claim | None, *, beside: bool) -> str | None:
    if each.kind in ("unfinished_import", "unfinished_work"):
        return COMMAND if in_use(each.path) else None
    if not beside or each.kind == "old_program":
        return None
    if claim is not None and claim.state in ACTIVE:
        return ACTIVE_RUN
    if each.kind not in RECORDS and time.time() - _changed(each.path) < RECENT_SECONDS:
        return YOUNG
    return None


def remove(
    found: list[Found], store: Store, state_dir: Path, *, beside: bool = False
) -> tuple[list[tuple[Found, OSError]], list[Left]]:
    """Remove files and mend records; what could not be removed, with the reason, and what is needed after all.

    Each is looked at again while nobody else writes to the store. `beside`: a server runs on the directory, whose
    writes wait for no more than a renaming.
    """
    failed: list[tuple[Found, OSError]] = []
    left = []
    with ExitStack() as stack:
        aside = _aside(stack, state_dir) if beside else None
        for number, each in enumerate(found):
            try:
                if not _remove(each, store, aside / str(number) if aside else None):
                    left.append(Left(each, NEEDED))
            except OSError as error:
                failed.append((each, error))
    return failed, left


def _aside(stack: ExitStack, state_dir: Path) -> Path | None:
    """A folder to move things to, whose removal takes longer; none on a full disk."""
    with suppress(OSError):
        return stack.enter_context(working(folder_for(state_dir, "gc")))
    return None


def _remove(each: Found, store: Store, aside: Path | None) -> bool:
    """Remove one thing, or mend its record; False where that would be wrong now. `aside`: its name meanwhile."""
    if each.run_id is None:
        _unlink(each.path)
        return True
    with store.writing() as connection:
        if not _still(each, store, connection):
            return False
        if each.kind == "weights_gone":
            give_up_weights(connection, each.run_id)
        elif each.kind == "training_state_gone":
            give_up_training(connection, each.run_id)
        elif aside is not None:
            with suppress(FileNotFoundError):
                each.path.rename(aside)
            _remove_if_empty(each)
        else:
            _unlink(each.path)
            _remove_if_empty(each)
    return True


def _still(each: Found, store: Store, connection: sqlite3.Connection) -> bool:
    """Whether something is garbage by the record of its run as it is now."""
    assert each.run_id is not None
    try:
        claim = claim_of(connection, each.run_id)
    except UnreadableRecord:
        return False
    if claim is None:
        return each.kind in ("unrecorded_run", "unfinished_file") and not store.unreadable.any("runs")
    if claim.state in ACTIVE or each.kind == "unrecorded_run":
        return False
    if each.kind in RECORDS:
        return any(lost.kind == each.kind for lost in _lost(each.path.parent.parent, {claim.run_id: claim}))
    kept = files_of(claim)
    return not kept if each.path.name == each.run_id else each.path.name not in kept


def _unlink(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unfinished_imports(state_dir: Path) -> Iterator[Path]:
    """Folders beside the state directory into which an import wrote that was killed."""
    yield from (path for path in state_dir.parent.iterdir() if path.name.startswith(import_prefix(state_dir)))


def import_prefix(state_dir: Path) -> str:
    """How the folder begins that an import gives the name of the state directory at its end."""
    return f".{state_dir.name}.import-"


def _entries(folder: Path) -> list[Path]:
    """What is in a folder that others may be removing."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _run_folders(state_dir: Path) -> list[Path]:
    return [
        folder
        for folder in _entries(state_dir)
        if RUN_FOLDER.fullmatch(folder.name) and not folder.is_symlink() and folder.is_dir()
    ]


def _folders(folders: list[Path], claims: Mapping[str, Claim]) -> Iterator[Found]:
    for folder in folders:
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
    for path in _entries(folder):
        if UNFINISHED.fullmatch(path.name) and path.is_file():
            yield Found("unfinished_file", path, _size(path), run_id)


def _programs(folder: Path, *, now: float) -> Iterator[Found]:
    """Compiled programs that nobody has read for long. On a disk that keeps no times of reading: made long ago.

    `now`: by the clock of those who used them, which the store was last written by; it may have been set since.
    """
    if not folder.is_dir():
        return
    oldest = now - OLD_PROGRAM_SECONDS
    for path in _entries(folder):
        with suppress(FileNotFoundError):
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


def _remove_if_empty(each: Found) -> None:
    if each.path.name != each.run_id:
        with suppress(OSError):  # there is more in it, or it is gone
            each.path.parent.rmdir()


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; links count as themselves. What is being removed counts as none."""
    try:
        if path.is_symlink() or not path.is_dir():
            return path.lstat().st_size
        return sum(_size(Path(entry.path)) for entry in os.scandir(path))
    except FileNotFoundError:
        return 0


def _changed(path: Path) -> float:
    """When a file, or anything in a folder, was made, written or renamed last."""
    try:
        status = path.lstat()
        inside = [] if path.is_symlink() or not path.is_dir() else [Path(entry.path) for entry in os.scandir(path)]
    except FileNotFoundError:
        return 0.0
    return max(status.st_mtime, status.st_ctime, *map(_changed, inside))
