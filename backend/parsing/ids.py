"""Ids, and readable names for models whose users gave none."""

from __future__ import annotations

import re
import secrets
from uuid import uuid4

MODEL_ID = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,128}")
MODEL_ID_RULE = "must be 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', must not start with '.', and must not be 'save'"

COLOURS = (
    *("amber", "azure", "beige", "black", "brown", "coral", "cyan", "ebony", "golden", "green", "grey", "indigo"),
    *("ivory", "jade", "lilac", "lime", "ochre", "olive", "orange", "pearl", "pink", "plum", "purple", "red"),
    *("ruby", "russet", "sand", "scarlet", "silver", "teal", "violet", "white"),
)
ANIMALS = (
    *("adder", "badger", "beaver", "bison", "crane", "crow", "deer", "dove", "eagle", "falcon", "finch", "fox"),
    *("gecko", "hare", "heron", "ibex", "jay", "kite", "lark", "lynx", "marten", "mole", "newt", "otter"),
    *("owl", "raven", "robin", "seal", "shrew", "stork", "swan", "wren"),
)


def new_model_id() -> str:
    return f"m_{uuid4().hex}"


def is_model_id(text: str) -> bool:
    """Whether a client may name a model so: `POST /api/models/save` is a route, a leading dot a hidden file."""
    return MODEL_ID.fullmatch(text) is not None and text != "save"


def model_name(summary: str | None, dataset: str | None = None) -> str:
    """A name to tell models apart in a list, e.g. `CNN 32-64-128-10 on mnist, teal heron`."""
    subject = summary or "Untitled model"
    place = f" on {dataset}" if dataset else ""
    return f"{subject[:150]}{place}, {secrets.choice(COLOURS)} {secrets.choice(ANIMALS)}"
