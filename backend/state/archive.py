"""A whole state as one tar: records, weights and training states, each with its SHA-256 in a manifest at the end.

Compiled programs stay behind: they fit the machine that made them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import IO
from uuid import uuid4

import msgspec

from backend.state import backup
from backend.state.claims import claims_of
from backend.state.files import DESCRIPTION, RUN_FOLDER, TRAINING, WEIGHTS, exported, sync_folder
from backend.state.garbage import import_prefix
from backend.state.integrity import Damaged
from backend.state.records import Claim, utc_now
from backend.state.schema import SCHEMA_VERSION, UnknownSchema
from backend.state.store import STORE_FILE, Store
from backend.state.store_file import NotAStore, as_one_file, require_store
from backend.state.working import folder_for, working

FORMAT = "lamina state 1"
MANIFEST = "manifest.json"
FILES = "|".join(re.escape(name) for name in (WEIGHTS, DESCRIPTION, TRAINING))
MEMBER = re.compile(rf"{re.escape(STORE_FILE)}|{re.escape(MANIFEST)}|{RUN_FOLDER.pattern}/({FILES})")
PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)  # no links, devices, or holes that unfold to more than was sent
PIECE = 1 << 20
MOST_MANIFEST = 1 << 30

Report = Callable[[int, int], None]  # bytes done, of so many


class ArchiveError(Exception):
    """An archive cannot be written, or is not taken: one sentence with the reason and the cure."""


@dataclass(frozen=True)
class Member:
    """One file of an archive. `sha256`: in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an archive holds, in its own order; the manifest itself comes after all of it."""

    format: str
    lamina: str
    schema: int
    created_at: str
    members: list[Member]


@dataclass(frozen=True)
class Moved:
    """What was exported or imported. `sha256`: of the manifest, so of all content.

    `damaged`: runs whose weights are not those that their record tells of. `left_out`: sentences about damaged records.
    `paused`: seconds that a running server could write nothing. `created_at`: when an archive was written.
    """

    runs: int
    benchmarks: int
    files: int
    size: int
    sha256: str
    damaged: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    paused: float = 0.0
    created_at: str = ""


def export_state(
    state_dir: Path, archive: Path, *, progress: Report, taken: Callable[[], None] = lambda: None
) -> Moved:
    """Write the state in `state_dir` to `archive`: whole and of one moment, or not at all. A server may use it.

    `taken`: called as soon as nothing that happens to the state changes what is written. Raises ArchiveError, OSError,
    UnknownSchema, sqlite3.Error.
    """
    if archive.exists():
        raise ArchiveError(f"{archive} exists; choose another name, or remove it first")
    part = archive.with_name(f".{archive.name}.part")
    beside = archive.with_name(f".{archive.name}.part.store")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    copy = beside / STORE_FILE
    try:
        with working(folder_for(state_dir, "export")) as folder, part.open("wb") as file:
            paused = backup.take(state_dir / STORE_FILE, copy, folder)
            taken()
            left_out, claims, benchmarks = _looked_at(copy)
            as_one_file(copy)
            moved = _write(file, {STORE_FILE: copy, **dict(_files(folder, claims))}, SCHEMA_VERSION, claims, progress)
            moved = replace(moved, benchmarks=benchmarks, left_out=left_out, paused=paused)
            file.flush()
            os.fsync(file.fileno())
        part.rename(archive)
        sync_folder(archive.parent)
    finally:
        part.unlink(missing_ok=True)
        shutil.rmtree(beside, ignore_errors=True)
    return moved


def import_state(archive: Path, state_dir: Path, *, progress: Report) -> Moved:
    """Make the state in `archive` that of `state_dir`, which is empty or not there yet: all of it, or nothing.

    Everything is unpacked and verified beside `state_dir`, which is then put in its place by a single renaming.
    Raises ArchiveError, UnknownSchema, OSError.
    """
    _require_room(state_dir)
    new_parents = [folder for folder in state_dir.parents if not folder.exists()]
    state_dir.parent.mkdir(parents=True, exist_ok=True)
    unpacked = state_dir.with_name(f"{import_prefix(state_dir)}{uuid4().hex[:12]}")
    try:
        with working(unpacked):
            moved = unpack(archive, unpacked, progress)
            for folder in {path.parent for path in unpacked.rglob("*")}:
                sync_folder(folder)
            unpacked.rename(state_dir)
    except BaseException:
        for folder in new_parents:
            with suppress(OSError):  # someone has put something into it meanwhile
                folder.rmdir()
        raise
    sync_folder(state_dir.parent)
    return moved


def _looked_at(path: Path) -> tuple[list[str], dict[str, Claim], int]:
    """A store's damaged records as sentences, what the others say about files, and how many benchmarks there are."""
    with closing(Store(path)) as store:
        store.verify()
        with closing(store.each_benchmark()) as benchmarks:
            count = sum(1 for _ in benchmarks)
        return store.unreadable.sentences(), claims_of(store), count


def _require_sense(path: Path) -> None:
    """`NotAStore` where a row is not what a server writes: a server would fail on it, list by list."""
    with closing(Store(path)) as store:
        if (found := store.senseless()) is not None:
            raise NotAStore(f"the record of {found} is invalid")


def _files(folder: Path, claims: Mapping[str, Claim]) -> Iterator[tuple[str, Path]]:
    """The files that the records tell of and that were there, by the name of their member."""
    for claim in claims.values():
        for name in exported(claim):
            path = folder / claim.run_id / name
            if path.is_file() and not path.is_symlink():
                yield f"{claim.run_id}/{name}", path


class Hashed:
    """A file that is summed up while it is read. `told`: called with the size of every piece."""

    def __init__(self, file: IO[bytes], told: Callable[[int], None]) -> None:
        self.file, self.told, self.sha256 = file, told, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self.file.read(size)
        self.sha256.update(piece)
        self.told(len(piece))
        return piece


def _write(
    file: IO[bytes], sources: Mapping[str, Path], schema: int, claims: Mapping[str, Claim], progress: Report
) -> Moved:
    total = sum(path.stat().st_size for path in sources.values())
    told = _counting(progress, total)
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        members = [_add(tar, name, path, told) for name, path in sources.items()]
        manifest = msgspec.json.format(
            msgspec.json.encode(Manifest(FORMAT, version("lamina"), schema, utc_now(), members)), indent=1
        )
        last = tarfile.TarInfo(MANIFEST)
        last.size = len(manifest)
        tar.addfile(last, BytesIO(manifest))
    sums = {member.name: member.sha256 for member in members}
    damaged = [
        claim.run_id
        for claim in claims.values()
        if claim.weights_sha256 is not None
        and sums.get(f"{claim.run_id}/{WEIGHTS}", claim.weights_sha256) != claim.weights_sha256
    ]
    return Moved(len(claims), 0, len(members), total, hashlib.sha256(manifest).hexdigest(), damaged)


def _add(tar: tarfile.TarFile, name: str, path: Path, told: Callable[[int], None]) -> Member:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        info = tarfile.TarInfo(name)
        info.size, info.mtime = status.st_size, int(status.st_mtime)
        hashed = Hashed(file, told)
        tar.addfile(info, hashed)
    return Member(name, info.size, hashed.sha256.hexdigest())


def _require_room(state_dir: Path) -> None:
    """ArchiveError unless a folder can get the name of `state_dir`."""
    if state_dir.is_mount():
        raise ArchiveError(f"{state_dir} is a mount point; import into a folder inside it")
    if state_dir.exists() and (not state_dir.is_dir() or any(state_dir.iterdir())):
        raise ArchiveError(
            f"{state_dir} is not empty; import into an empty or new directory, or add to it with --merge"
        )


def unpack(archive: Path, folder: Path, progress: Report) -> Moved:
    """Unpack an archive into an empty folder and verify it there."""
    try:
        found = _extract(archive, folder, _counting(progress, archive.stat().st_size))
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise ArchiveError(f"{archive.name} is not a complete tar ({error}); nothing was imported") from None
    manifest, sha256 = _manifest(archive, folder / MANIFEST)
    told = {member.name: member for member in manifest.members}
    for name in sorted(told.keys() | found.keys()):
        if told.get(name) != found.get(name):
            reason = "is missing" if name not in found else "is not in its manifest" if name not in told else "differs"
            raise ArchiveError(f"{archive.name} is damaged: {name} {reason}; nothing was imported, export it again")
    (folder / MANIFEST).unlink()
    try:
        require_store(folder / STORE_FILE)
        left_out, claims, benchmarks = _looked_at(folder / STORE_FILE)
        _require_sense(folder / STORE_FILE)
    except (NotAStore, UnknownSchema, Damaged) as error:
        raise ArchiveError(f"{archive.name} cannot be used: {error}; nothing was imported") from None
    size = sum(member.size for member in found.values())
    return Moved(len(claims), benchmarks, len(found), size, sha256, left_out=left_out, created_at=manifest.created_at)


def _extract(archive: Path, folder: Path, told: Callable[[int], None]) -> dict[str, Member]:
    """Write every member but links and whatever else no state holds; what came, by name, without the manifest."""
    found: dict[str, Member] = {}
    with tarfile.open(archive, "r:") as tar:
        for info in tar:
            _require_expected(archive, info, folder, found)
            target = folder / info.name
            target.parent.mkdir(exist_ok=True)
            source = tar.extractfile(info)
            assert source is not None, "a plain file"
            hashed = Hashed(source, told)
            with target.open("xb") as file:
                shutil.copyfileobj(hashed, file, PIECE)
                file.flush()
                os.fsync(file.fileno())
            found[info.name] = Member(info.name, target.stat().st_size, hashed.sha256.hexdigest())
    found.pop(MANIFEST, None)
    return found


def _require_expected(archive: Path, info: tarfile.TarInfo, folder: Path, found: Mapping[str, Member]) -> None:
    """ArchiveError unless a member is a plain file of a state that has not come yet. Two checks, ours and Python's."""
    shown = ascii(info.name[:80])
    if not MEMBER.fullmatch(info.name):
        raise ArchiveError(f"{archive.name} holds {shown}, which does not belong to a state; nothing was imported")
    if info.type not in PLAIN or info.issparse():
        raise ArchiveError(f"{archive.name} holds {shown} as something other than a file; nothing was imported")
    if info.name in found or MANIFEST in found:
        raise ArchiveError(f"{archive.name} holds {shown} twice, or after its end; nothing was imported")
    tarfile.data_filter(info, str(folder))


def _manifest(archive: Path, path: Path) -> tuple[Manifest, str]:
    """The manifest in a file, and its SHA-256."""
    if not path.is_file():
        raise ArchiveError(f"{archive.name} ends before its manifest; nothing was imported, copy it again")
    content = path.read_bytes() if path.stat().st_size <= MOST_MANIFEST else b""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ArchiveError(f"{archive.name} has no readable manifest ({error}); nothing was imported") from None
    if manifest.format != FORMAT:
        raise ArchiveError(
            f"{archive.name} has the format {ascii(manifest.format[:40])}, and this version reads {FORMAT!r}; "
            f"use the version of Lamina that wrote it, {ascii(manifest.lamina[:20])}, or a later one"
        )
    return manifest, hashlib.sha256(content).hexdigest()


def _counting(progress: Report, total: int) -> Callable[[int], None]:
    done = 0

    def told(more: int) -> None:
        nonlocal done
        done += more
        progress(min(done, total), total)

    return told
