"""Ids of models: made, and those that clients may choose."""

from __future__ import annotations

import re
from uuid import uuid4

MODEL_ID = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,128}")
MODEL_ID_RULE = "must be 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', must not start with '.', and must not be 'save'"


def new_model_id() -> str:
    return f"m_{uuid4().hex}"


def is_model_id(text: str) -> bool:
    """Whether a client may name a model so: `POST /api/models/save` is a route, a leading dot a hidden file."""
    return MODEL_ID.fullmatch(text) is not None and text != "save"
