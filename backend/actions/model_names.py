"""Names for models whose users gave none."""

from __future__ import annotations

MOST = 150  # characters of what the network is


def model_name(summary: str | None, dataset: str | None = None) -> str:
    """What a model is, e.g. `CNN 32-64-128-10 on mnist`; the store numbers those that repeat."""
    place = f" on {dataset}" if dataset else ""
    return f"{(summary or 'Untitled model')[:MOST]}{place}"
