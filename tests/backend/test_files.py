"""Files of a server's own are read and written where they seem to be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.state.attempts import COMPILING, Attempts, _name
from backend.state.deaths import NOTE, Deaths, take_note
from backend.state.files import ATTEMPTS_FOLDER
from backend.state.reserve import NAME, Reserve


@pytest.mark.parametrize("plant", [lambda path, other: path.symlink_to(other), lambda path, other: os.mkfifo(path)])
def test_what_others_have_planted_is_neither_told_nor_written_over(
    tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    other, state = tmp_path / "shadow", tmp_path / "state"
    other.write_text("root:secret")
    (state / ATTEMPTS_FOLDER).mkdir(parents=True)
    for place in (state / NAME, state / NOTE, state / ATTEMPTS_FOLDER / _name(COMPILING, "")):
        plant(place, other)
    attempts = Attempts(state)
    assert attempts.warnings() == [] and not take_note(state)
    with attempts.of(COMPILING) as allowed:
        assert not allowed
    Deaths(state).add("hung", lived=1.0)
    Reserve(state).keep()
    assert other.read_text() == "root:secret"
