"""What cannot be a directory is called what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.state.directory import NoDirectory
from backend.state.lock import NAME, own


def test_a_link_that_leads_nowhere_is_called_one(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "disk")
    for path in (link, link / "state"):
        with pytest.raises(NoDirectory, match="link is a link to .*disk, which is not there: make or mount that"):
            own(path, patience=0.0)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(NoDirectory, match="loop is a link to .*loop, which is not there"):
        own(loop, patience=0.0)
    (tmp_path / "disk").mkdir()
    own(link / "state", patience=0.0).close()
    assert (tmp_path / "disk" / "state" / NAME).is_file()


def test_a_file_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoDirectory, match="file is a file: choose a directory"):
        own(tmp_path / "file", patience=0.0)
