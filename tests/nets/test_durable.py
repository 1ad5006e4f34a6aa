"""Files that are whole or not there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from nets.durable import replacing, sha256_of, write_durably


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")
    with pytest.raises(TypeError):
        write_durably(path, "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_until_the_end_nobody_sees_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"new"


def test_file_and_name_are_on_the_disk_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    path = tmp_path / "file"
    monkeypatch.setattr(os, "fsync", lambda number: seen.append(path.exists()))
    write_durably(path, b"a", b"b")
    assert seen == [False, True]


def test_parts_have_the_digest_of_the_whole() -> None:
    assert sha256_of([b"a", memoryview(b"b")]) == hashlib.sha256(b"ab").hexdigest()
