"""Names for models whose users gave none."""

from __future__ import annotations

import re
import threading

from flask.testing import FlaskClient

from tests.backend.conftest import BODY


def test_a_model_without_a_name_gets_a_readable_one(client: FlaskClient, held: threading.Event) -> None:
    names = [client.post("/api/train", json={**BODY, "queue": True}).json["name"] for _ in range(2)]
    assert all(re.fullmatch(r"MLP 16-10 on digits, [a-z]+ [a-z]+", name) for name in names), names
