"""A state in one tar: whole and verified, or not there at all."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backend.events.wire import state_data
from backend.state import backup
from backend.state.archive import MANIFEST, ArchiveError, export_state, import_state
from backend.state.rows import SELECT, Table, checksum
from backend.state.schema import SCHEMA_VERSION
from backend.state.store import STORE_FILE, Store
from tests.backend.samples import add_run


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


def make_state(folder: Path, runs: int = 3) -> Path:
    """A state directory with succeeded runs, and with things that no archive takes along."""
    folder.mkdir()
    with closing(Store(folder / STORE_FILE)) as store:
        for index in range(runs):
            run_id = f"r_{index}"
            weights = os.urandom(50_000 + index)
            (folder / run_id).mkdir()
            (folder / run_id / "weights.msgpack").write_bytes(weights)
            (folder / run_id / "training.msgpack").write_bytes(b"t" * 1000)
            add_run(store, run_id)
            store.transition(run_id, "running", data=state_data(run_id, "running"))
            saved = f"{folder.name}/{run_id}/weights.msgpack"
            fields = {"saved_model_path": saved, "weights_sha256": hashlib.sha256(weights).hexdigest()}
            store.transition(run_id, "succeeded", data=state_data(run_id, "succeeded"), **fields)
    for stranger in ("compiled/jit-cache", "demo/train.json", "r_orphan/weights.msgpack", "r_0/notes.txt"):
        (folder / stranger).parent.mkdir(exist_ok=True)
        (folder / stranger).write_bytes(b"s")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    export_state(make_state(tmp_path / "state"), tmp_path / "state.tar", progress=silent)
    return tmp_path / "state.tar"


def test_everything_that_records_name_arrives(archive: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    moved = import_state(archive, tmp_path / "there" / "else", progress=lambda *call: calls.append(call))
    assert (moved.runs, moved.files) == (3, 7)
    assert calls[-1][0] > 0.9 * calls[-1][1]
    before, after = files(tmp_path / "state"), files(tmp_path / "there" / "else")
    wanted = {f"r_{index}/{name}" for index in range(3) for name in ("weights.msgpack", "training.msgpack")}
    assert after.keys() == {STORE_FILE, *wanted}
    assert all(before[name] == after[name] for name in wanted)
    with closing(Store(tmp_path / "there" / "else" / STORE_FILE)) as store:
        assert [run.run_id for run in store.list_runs()] == ["r_2", "r_1", "r_0"]
        assert len(store.events("r_1")) == 3
    assert sorted(entry.name for entry in (tmp_path / "there").iterdir()) == ["else"]


def test_both_sides_count_a_run_that_has_no_files(tmp_path: Path) -> None:
    with closing(Store(make_state(tmp_path / "state") / STORE_FILE)) as store:
        add_run(store, "r_cancelled_in_the_queue")
    out = export_state(tmp_path / "state", tmp_path / "state.tar", progress=silent)
    back = import_state(tmp_path / "state.tar", tmp_path / "new", progress=silent)
    assert out.runs == back.runs == 4


def test_what_is_only_in_the_log_of_the_store_is_exported(tmp_path: Path) -> None:
    """As after a crash: the last commits are in the write-ahead log, and nobody has brought them into the file."""
    state = make_state(tmp_path / "state", runs=1)
    (tmp_path / "crashed").mkdir()
    with closing(Store(state / STORE_FILE)) as store:
        add_run(store, "r_late")
        for name in (STORE_FILE, f"{STORE_FILE}-wal"):
            (tmp_path / "crashed" / name).write_bytes((state / name).read_bytes())
    export_state(tmp_path / "crashed", tmp_path / "a.tar", progress=silent)
    import_state(tmp_path / "a.tar", tmp_path / "new", progress=silent)
    assert sorted(files(tmp_path / "new")) == [STORE_FILE]
    with closing(Store(tmp_path / "new" / STORE_FILE)) as store:
        assert [run.run_id for run in store.list_runs()] == ["r_late", "r_0"]


def test_both_ends_name_the_same_hash_and_the_manifest_lists_all(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    moved = import_state(archive, tmp_path / "empty", progress=silent)
    with tarfile.open(archive) as tar:
        assert tar.getnames()[-1] == MANIFEST
        content = tar.extractfile(MANIFEST).read()
        members = {member["name"]: member for member in json.loads(content)["members"]}
        for name in tar.getnames()[:-1]:
            data = tar.extractfile(name).read()
            assert members[name] == {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert moved.sha256 == hashlib.sha256(content).hexdigest()


def test_an_export_is_of_one_moment_whatever_a_server_does_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the links and the moment a run ends, one is deleted and one begins; after it, all of them go."""
    state = make_state(tmp_path / "state")
    linked = backup._link
    with closing(Store(state / STORE_FILE)) as store:
        add_run(store, "r_trains")
        store.transition("r_trains", "running", data=state_data("r_trains", "running"))

        def meanwhile(*arguments: Any) -> None:
            linked(*arguments)
            if meanwhile.times:  # type: ignore[attr-defined]
                return
            meanwhile.times = 1  # type: ignore[attr-defined]
            store.delete_run("r_0")
            (state / "r_trains").mkdir()
            (state / "r_trains" / "weights.msgpack").write_bytes(b"learned")
            saved = {"saved_model_path": "state/r_trains/weights.msgpack"}
            store.transition("r_trains", "succeeded", data=state_data("r_trains", "succeeded"), **saved)
            add_run(store, "r_new", epoch=1)
            (state / "r_new").mkdir()
            (state / "r_new" / "training.msgpack").write_bytes(b"epoch 1")
            (state / "r_new" / "weights.msgpack").write_bytes(b"not yet told of")

        meanwhile.times = 0  # type: ignore[attr-defined]
        monkeypatch.setattr(backup, "_link", meanwhile)

        def gone() -> None:
            for run_id in ("r_1", "r_2", "r_trains"):
                store.delete_run(run_id)
                shutil.rmtree(state / run_id)

        kept = files(state)
        export_state(state, tmp_path / "a.tar", progress=silent, taken=gone)
    import_state(tmp_path / "a.tar", tmp_path / "new", progress=silent)
    after = files(tmp_path / "new")
    names = {f"{run}/{name}" for run in ("r_1", "r_2") for name in ("weights.msgpack", "training.msgpack")}
    assert after.keys() == {STORE_FILE, *names, "r_trains/weights.msgpack", "r_new/training.msgpack"}
    assert all(after[name] == kept[name] for name in names) and after["r_trains/weights.msgpack"] == b"learned"
    with closing(Store(tmp_path / "new" / STORE_FILE)) as store:
        found = {run.run_id: run.state for run in store.list_runs()}
    assert found == {"r_new": "queued", "r_trains": "succeeded", "r_2": "succeeded", "r_1": "succeeded"}
    assert not [path for path in state.iterdir() if path.name.startswith(".")]


def test_a_file_system_without_links_is_exported_from_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    state = make_state(tmp_path / "state")
    export_state(state, tmp_path / "a.tar", progress=silent)
    monkeypatch.setattr("backend.state.working.os.link", refuse)
    export_state(state, tmp_path / "b.tar", progress=silent)
    with tarfile.open(tmp_path / "a.tar") as one, tarfile.open(tmp_path / "b.tar") as other:
        for first, second in zip(one, other, strict=True):
            assert (first.name, first.size) == (second.name, second.size)
            if first.name.startswith("r_"):
                assert one.extractfile(first).read() == other.extractfile(second).read()


def test_weights_that_are_not_those_of_the_record_are_told(tmp_path: Path) -> None:
    state = make_state(tmp_path / "state")
    (state / "r_1" / "weights.msgpack").write_bytes(b"other")
    assert export_state(state, tmp_path / "a.tar", progress=silent).damaged == ["r_1"]


def test_an_archive_is_never_overwritten_and_a_failed_one_leaves_nothing(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArchiveError, match="state.tar exists; choose another name"):
        export_state(tmp_path / "state", archive, progress=silent)

    def full(done: int, total: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        export_state(tmp_path / "state", tmp_path / "b.tar", progress=full)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["state", "state.tar"]


def refused(archive: Path, target: Path, match: str) -> None:
    """The import is refused, and nothing of it stays."""
    before = sorted(os.listdir(target.parent))
    with pytest.raises(ArchiveError, match=match):
        import_state(archive, target, progress=silent)
    assert sorted(os.listdir(target.parent)) == before


def test_only_an_empty_directory_is_imported_into(archive: Path, tmp_path: Path) -> None:
    kept = files(tmp_path / "state")
    refused(archive, tmp_path / "state", "state is not empty; import into an empty or new")
    assert files(tmp_path / "state") == kept
    (tmp_path / "file").write_text("x")
    refused(archive, tmp_path / "file", "is not empty")


def test_an_import_that_breaks_off_leaves_nothing(archive: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > 60_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_state(archive, tmp_path / "new" / "deep" / "state", progress=interrupt)
    assert sorted(os.listdir(tmp_path)) == ["state", "state.tar"]


def test_a_truncated_archive_is_refused_wherever_it_ends(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    with tarfile.open(archive) as tar:
        last = tar.getmembers()[-1]
        end = last.offset_data + last.size
    cut = tmp_path / "cut.tar"
    for size in [0, 1, 100, 511, 512, 513, *range(5_000, end, 29_989), last.offset, last.offset_data, end - 1]:
        cut.write_bytes(whole[:size])
        refused(cut, tmp_path / "new", "nothing was imported")


def test_a_bit_flipped_in_any_content_is_noticed(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as tar:
        places = [member.offset_data + part * (member.size - 1) // 2 for member in tar for part in (0, 1, 2)]
    whole, flipped = archive.read_bytes(), tmp_path / "flipped.tar"
    for place in places:
        content = bytearray(whole)
        content[place] ^= 1
        flipped.write_bytes(content)
        try:
            import_state(flipped, tmp_path / "new", progress=silent)
        except ArchiveError:
            assert not (tmp_path / "new").exists()
        else:  # only white space of the manifest carries no meaning
            pytest.fail(f"byte {place} was changed and nobody noticed")


Edit = Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]


def rewritten(archive: Path, edit: Edit, *, extra: list[tuple[tarfile.TarInfo, bytes]] | None = None) -> Path:
    """A copy of an archive, members edited or left out, the manifest that of the new content."""
    made = archive.with_name("made.tar")
    listed = []
    with tarfile.open(archive) as source, tarfile.open(made, "w") as target:
        for info in source:
            content = source.extractfile(info).read()
            if info.name == MANIFEST:
                for more, data in extra or []:
                    target.addfile(more, io.BytesIO(data))
                manifest = {**json.loads(content), "members": listed}
                content = json.dumps(manifest).encode()
            if (edited := edit(info, content)) is None:
                continue
            info, content = edited
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
            listed.append({"name": info.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    return made


def same(info: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return info, content


def test_an_archive_of_the_same_content_is_taken(archive: Path, tmp_path: Path) -> None:
    import_state(rewritten(archive, same), tmp_path / "new", progress=silent)


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "/etc/evil", "r_0/../../evil", "r_0/../weights.msgpack", "./r_0/weights.msgpack"),
        *("r_0//weights.msgpack", "r_0/weights.msgpack/", "r_0/sub/weights.msgpack", "lamina.sqlite3-wal"),
        *("lamina.lock", "compiled/jit", "demo/train.json", "r_0/evil.py", "evil", "", "r_0/weights.msgpack\n"),
        *("C:\\evil", "r_\u0660/weights.msgpack", "r_" + "x" * 200 + "/weights.msgpack", ".r_0/weights.msgpack"),
    ],
)
def test_no_name_leads_elsewhere(archive: Path, tmp_path: Path, name: str) -> None:
    made = rewritten(archive, same, extra=[(tarfile.TarInfo(name), b"")])
    refused(made, tmp_path / "new", "which does not belong to a state|is not a complete tar|is damaged")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_nothing_but_files_is_taken(archive: Path, tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("r_9/weights.msgpack")
    info.type, info.linkname = kind, "../../../etc/passwd"
    refused(rewritten(archive, same, extra=[(info, b"")]), tmp_path / "new", "as something other than a file")
    folder = tarfile.TarInfo("r_9/weights.msgpack")
    folder.type = tarfile.DIRTYPE
    refused(
        rewritten(archive, same, extra=[(folder, b"")]),
        tmp_path / "new",
        "which does not belong to a state|other than a file",
    )


def test_a_file_with_holes_is_not_unfolded(archive: Path, tmp_path: Path) -> None:
    info = tarfile.TarInfo("r_9/weights.msgpack")
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.size": str(10**15), "GNU.sparse.map": "0,1"}
    refused(rewritten(archive, same, extra=[(info, b"")]), tmp_path / "new", "as something other than a file|no whole")


def test_a_member_that_comes_twice_or_late_is_refused(archive: Path, tmp_path: Path) -> None:
    twice = tarfile.TarInfo("r_0/weights.msgpack")
    refused(rewritten(archive, same, extra=[(twice, b"")]), tmp_path / "new", "twice, or after its end")


@pytest.mark.parametrize("name", [STORE_FILE, "r_1/weights.msgpack", MANIFEST])
def test_a_member_that_is_left_out_is_missed(archive: Path, tmp_path: Path, name: str) -> None:
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile(MANIFEST).read()

    def leave_out(info: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes] | None:
        if info.name == MANIFEST:
            content = manifest
        return None if info.name == name else (info, content)

    refused(rewritten(archive, leave_out), tmp_path / "new", "is missing; nothing|ends before its manifest")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "no readable manifest"),
        (b"[" * 100_000, "no readable manifest"),
        (b'{"format": "lamina state 1"}', "no readable manifest .*missing required field"),
        (
            b'{"format": "lamina state 2", "lamina": "9", "schema": 9, "created_at": "", "members": []}',
            "has the format 'lamina state 2'.*use the version of Lamina that wrote it",
        ),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(archive: Path, tmp_path: Path, content: bytes, match: str) -> None:
    def replace(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
        return info, content if info.name == MANIFEST else data

    refused(rewritten(archive, replace), tmp_path / "new", match)


def with_store(archive: Path, tmp_path: Path, statement: str) -> Path:
    """An archive whose store was changed by `statement`, with a manifest that tells of it."""
    changed = tmp_path / "changed.sqlite3"
    with tarfile.open(archive) as tar:
        changed.write_bytes(tar.extractfile(STORE_FILE).read())
    with closing(sqlite3.connect(changed)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.executescript(statement)
    content = changed.read_bytes()
    changed.unlink()
    return rewritten(archive, lambda info, data: (info, content if info.name == STORE_FILE else data))


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        (
            f"PRAGMA user_version = {SCHEMA_VERSION + 1}",
            f"has schema {SCHEMA_VERSION + 1}, this Lamina reads up to {SCHEMA_VERSION}: upgrade",
        ),
        ("PRAGMA user_version = 0", "it is empty, or not a Lamina store"),
        ("DROP TABLE runs", f"does not match its schema {SCHEMA_VERSION} .no such table: runs.: restore it from"),
        ("PRAGMA user_version = 2", "does not match its schema 2 .another table: runs"),
        ("ALTER TABLE models DROP COLUMN description", "another table: models"),
        ("ALTER TABLE events RENAME COLUMN data TO dota", "another table: events"),
        ("CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM runs; END", "another trigger: t"),
        ("DROP INDEX runs_in_state", "no such index: runs_in_state"),
        ("UPDATE runs SET run_id = '../evil' WHERE run_id = 'r_1'", "it has a run with an invalid id"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused(archive: Path, tmp_path: Path, statement: str, match: str) -> None:
    refused(with_store(archive, tmp_path, statement), tmp_path / "new", match)


@pytest.mark.parametrize(
    ("table", "change", "match"),
    [
        ("runs", "hyperparams = '{'", "the record of run 'r_0' is invalid"),
        ("runs", "test_accuracy = 'much'", "the record of run 'r_0' is invalid"),
        ("models", "latest_run = '7'", "the record of model 'm_1' is invalid"),
        ("events", "data = '[]'", "the record of event 1 of run 'r_0' is invalid"),
        ("events", "name = char(10) || 'data: 1'", "the record of event 1 of run 'r_0' is invalid"),
    ],
)
def test_rows_that_no_server_writes_are_refused_whatever_their_checksum(
    archive: Path, tmp_path: Path, table: Table, change: str, match: str
) -> None:
    chosen = "run_id = 'r_0' AND id = 1" if table == "events" else "sequence = 1"
    with closing(sqlite3.connect(tmp_path / "state" / STORE_FILE)) as store:
        store.execute(f"UPDATE {table} SET {change} WHERE {chosen}")
        *values, _ = store.execute(f"{SELECT[table]} WHERE {chosen}").fetchone()
    statement = f"UPDATE {table} SET {change}, checksum = {checksum(values)} WHERE {chosen}"
    refused(with_store(archive, tmp_path, statement), tmp_path / "new", match)


def test_damaged_records_are_left_out_by_name_on_both_sides(archive: Path, tmp_path: Path) -> None:
    damaged = with_store(archive, tmp_path, "UPDATE runs SET state = 'failed', epoch = 7 WHERE run_id = 'r_1'")
    moved = import_state(damaged, tmp_path / "new", progress=silent)
    assert [sentence[:60] for sentence in moved.left_out] == [
        "the record of run r_1 in lamina.sqlite3 is damaged and left "
    ]
    again = export_state(tmp_path / "new", tmp_path / "again.tar", progress=silent)
    assert again.left_out == moved.left_out and again.runs == 2
    assert not export_state(tmp_path / "state", tmp_path / "whole.tar", progress=silent).left_out


@pytest.mark.parametrize(
    "content", [b"", b"not a tar", b"\0" * 10_240, b"\x1f\x8b" + b"x" * 600, b"PK\3\4" + b"x" * 600]
)
def test_what_is_no_tar_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    refused(tmp_path / "a.tar", tmp_path / "new", "is not a complete tar|ends before its manifest")
