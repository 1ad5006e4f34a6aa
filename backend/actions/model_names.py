"""Readable names for models whose users gave none."""

from __future__ import annotations

import secrets

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


def model_name(summary: str | None, dataset: str | None = None) -> str:
    """A name to tell models apart in a list, e.g. `CNN 32-64-128-10 on mnist, teal heron`."""
    subject = summary or "Untitled model"
    place = f" on {dataset}" if dataset else ""
    return f"{subject[:150]}{place}, {secrets.choice(COLOURS)} {secrets.choice(ANIMALS)}"
