"""Ids that a model may have."""

from __future__ import annotations

import pytest

from backend.parsing.ids import is_model_id, new_model_id


def test_a_new_id_is_one_that_a_client_may_name() -> None:
    assert is_model_id(new_model_id()) and new_model_id() != new_model_id()


@pytest.mark.parametrize("text", ["", ".", ".hidden", "save", "a/b", "a b", "a" * 129, "\u00e9", "m_1\n"])
def test_what_is_a_route_a_path_or_a_hidden_file_is_no_id(text: str) -> None:
    assert not is_model_id(text)
