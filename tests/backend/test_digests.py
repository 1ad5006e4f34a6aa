"""Digests of data sets are computed once for each state of a data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.training import digests
from backend.training.digests import Digests
from nets.datasets import Dataset, load, sha256
from tests.backend.samples import DEADLINE


def test_once_for_each_state(monkeypatch: pytest.MonkeyPatch) -> None:
    data, computed = load("digits", Path(".")), []

    def counted(dataset: Dataset) -> str:
        computed.append(dataset)
        return sha256(dataset)

    monkeypatch.setattr(digests, "sha256", counted)
    known = Digests()
    found = [known.of(data, state=state) for state in ("one", "one", "two")]
    assert [each.result(DEADLINE) for each in found] == [sha256(data)] * 3
    assert len(computed) == 2 and found[0] is found[1]


def test_what_cannot_be_computed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(dataset: Dataset) -> str:
        raise MemoryError

    monkeypatch.setattr(digests, "sha256", fail)
    with pytest.raises(MemoryError):
        Digests().of(load("digits", Path(".")), state=()).result(DEADLINE)
