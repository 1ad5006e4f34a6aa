"""What an operation of a training step takes of memory."""

from __future__ import annotations

from typing import NamedTuple


class Footprint(NamedTuple):
    """Bytes of one operation in a training step, beside its result.

    kept: from the way forward to the way back. working: while it is computed, forward or back.
    """

    kept: int
    working: int
