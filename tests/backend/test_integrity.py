"""Damaged files are noticed before anything is made of them, and left as they are."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.state.integrity import FRAME, HEADER, Damaged, breaks_off, require_whole
from backend.state.store import STORE_FILE, Store
from tests.backend.samples import a_model, add_run

PAGE = 4096
COMMITS = 6


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Path]:
    """The store of a server that was killed: a file of many pages, and a log with commits that are not in it yet."""
    original = tmp_path / "running"
    store = Store(original / STORE_FILE)
    store._writer.execute("PRAGMA synchronous = OFF")  # the test is about files, not about their way to the disk
    add_run(store)
    for number in range(40):
        store.append_event("r_1", "log", {"message": f"{number} " + 2000 * "x"})
    store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(COMMITS):
        store.create_model(a_model(f"m_late_{number}"))
    folder = tmp_path / "state"
    folder.mkdir()
    for name in (STORE_FILE, f"{STORE_FILE}-wal"):
        shutil.copy(original / name, folder / name)
    yield folder / STORE_FILE
    store.close()


def log_of(store: Path) -> Path:
    return store.with_name(f"{STORE_FILE}-wal")


def contents(folder: Path) -> dict[str, bytes]:
    """But for the index of the log, which SQLite makes anew."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")}


def overwritten(content: bytes, at: int, count: int) -> bytes:
    return content[:at] + bytes(byte ^ 0xFF for byte in content[at : at + count]) + content[at + count :]


def test_what_a_killed_server_leaves_is_whole(killed: Path) -> None:
    before = contents(killed.parent)
    require_whole(killed)
    assert contents(killed.parent) == before
    store = Store(killed)
    assert len(list(store.each_model())) == COMMITS + 1
    store.close()


def test_a_new_store_is_whole(tmp_path: Path) -> None:
    require_whole(tmp_path / STORE_FILE)
    (tmp_path / STORE_FILE).touch()  # a server killed in its first moment
    require_whole(tmp_path / STORE_FILE)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "the header": lambda content: overwritten(content, 0, 100),
    "a page": lambda content: overwritten(content, 2 * len(content) // 3 // PAGE * PAGE, PAGE),
    "pages in the middle": lambda content: overwritten(content, len(content) // 2 // PAGE * PAGE, 3 * PAGE),
    "the second half": lambda content: content[: len(content) // 2],
    "all but a few bytes": lambda content: content[:60],
    "everything": lambda content: b"\0" * len(content),
    "the content": lambda content: b"",
}


@pytest.mark.parametrize("with_log", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused_and_left_as_it_is(killed: Path, damage: str, with_log: bool) -> None:
    if not with_log:
        Store(killed).close()  # brings the log in
        (killed.parent / "r_1").mkdir()
        (killed.parent / "r_1" / "weights.msgpack").write_bytes(b"kept")
    killed.write_bytes(DAMAGES[damage](killed.read_bytes()))
    before = {file.name: file.read_bytes() for file in killed.parent.glob("lamina*") if not file.name.endswith("-shm")}
    with pytest.raises(Damaged, match=r"^lamina\.sqlite3 is damaged \(.*\) and was left as it is: restore it from a"):
        require_whole(killed)
    after = {name: killed.with_name(name).read_bytes() for name in before}
    assert after == before


def test_a_store_that_is_gone_is_not_made_anew_beside_its_runs(tmp_path: Path) -> None:
    (tmp_path / "r_1").mkdir()
    (tmp_path / "r_1" / "weights.msgpack").touch()
    with pytest.raises(Damaged, match="it is empty or missing, but there are folders of runs"):
        require_whole(tmp_path / STORE_FILE)


def frames_of(log: bytes) -> int:
    return (len(log) - HEADER) // (FRAME + PAGE)


def test_a_log_that_is_cut_off_is_what_a_crash_leaves(killed: Path) -> None:
    """Wherever a crash ends it: in a frame, or after one."""
    log = log_of(killed).read_bytes()
    for end in [0, 1, HEADER, HEADER + 1, *range(HEADER, len(log), (FRAME + PAGE) // 3)]:
        assert not breaks_off(log[:end]), end
    assert not breaks_off(overwritten(log, len(log) - 1000, 1000)), "the last commit may never have been one"


def test_damage_in_the_log_is_no_end_of_it(killed: Path) -> None:
    """SQLite alone would open such a store, without the commits behind the damage, and say nothing."""
    log = log_of(killed).read_bytes()
    before_last = frames_of(log) - frames_of(log) // COMMITS - 2
    assert before_last > 4
    for frame in range(before_last):
        for at in (0, 4, 8, 16, FRAME, FRAME + PAGE // 2):
            assert breaks_off(overwritten(log, HEADER + frame * (FRAME + PAGE) + at, 1)), (frame, at)
    assert breaks_off(overwritten(log, 0, 4)) and breaks_off(overwritten(log, 17, 1))
    log_of(killed).write_bytes(overwritten(log, HEADER + FRAME, PAGE))
    before = contents(killed.parent)
    with pytest.raises(Damaged, match=r"^lamina\.sqlite3-wal is damaged \(committed changes follow"):
        require_whole(killed)
    assert contents(killed.parent) == before


def test_frames_of_an_earlier_round_are_no_damage(tmp_path: Path) -> None:
    """A log is written anew from its beginning when its pages are in the store; old frames stand behind the new."""
    store = Store(tmp_path / STORE_FILE)
    for number in range(20):
        store.create_model(a_model(f"m_{number}"))
    store._writer.execute("PRAGMA wal_checkpoint(RESTART)")
    long = log_of(tmp_path / STORE_FILE).stat().st_size
    store.create_model(a_model("m_new"))
    log = log_of(tmp_path / STORE_FILE).read_bytes()
    assert len(log) == long
    assert not breaks_off(log)
    assert not breaks_off(overwritten(log, HEADER + FRAME, 10)), "its only commit"
    store.close()


def test_a_locked_or_unreadable_store_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / STORE_FILE).mkdir()
    require_whole(tmp_path / STORE_FILE)  # the store itself will say what is wrong
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        Store(tmp_path / STORE_FILE)
