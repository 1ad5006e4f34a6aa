"""The bodies of a benchmark as the command line names them: files, standard input, or networks by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.client.benchmark_calls import is_name
from backend.client.overrides import body_of
from backend.commands.following import typed_body


def asked_body(item: str) -> str | Mapping[str, Any]:
    """The body in a file, or on standard input for `-`; the name of a network as it is. Raises Unusable.

    A body that says no name of its own, and none of a stored model, has that of its file.
    """
    if item == "-":
        return named(typed_body(), "stdin")
    return item if is_name(item) else named(body_of(item), Path(item).stem)


def named(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return body if body.get("name") or "model_id" in body else {**body, "name": name}
