"""The commit that Lamina is imported from, in one word."""

from __future__ import annotations

from pathlib import Path

import pytest

from nets.process import revision as module
from nets.process.revision import revision


def test_a_changed_checkout_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    told = {"rev-parse": "5" * 40, "status": ""}
    monkeypatch.setattr(module, "_told", lambda folder, command, *_: told[command])
    assert revision(tmp_path) == "5" * 40
    told["status"] = " M a"
    assert revision(tmp_path) == "5" * 40 + "-dirty"


def test_no_checkout_has_none(tmp_path: Path) -> None:
    assert revision(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert revision(tmp_path) is None


def test_it_is_that_of_the_package() -> None:
    assert (module.TOP / "nets" / "process" / "revision.py").samefile(module.__file__)
