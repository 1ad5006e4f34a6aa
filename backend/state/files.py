"""Where things lie in a state directory."""

from __future__ import annotations

import os
import re
from pathlib import Path

from backend.state.records import ACTIVE, Claim

PROGRAMS_FOLDER = "compiled"
ATTEMPTS_FOLDER = "attempts"
CALIBRATION_FOLDER = "calibration"
WEIGHTS = "weights.msgpack"
DESCRIPTION = "run.json"
TRAINING = "training.msgpack"
RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
RUN_FOLDER = re.compile(r"r_[A-Za-z0-9_-]{1,78}")  # every run that a server makes; other folders may be anybody's


def files_of(claim: Claim) -> tuple[str, ...]:
    """The files that a run's folder has, or may have, by its record."""
    if claim.state in ACTIVE:
        return (WEIGHTS, DESCRIPTION, TRAINING)
    if claim.state == "succeeded":
        return (WEIGHTS, DESCRIPTION, TRAINING) if claim.saved_model_path else (DESCRIPTION, TRAINING)
    return (TRAINING,) if claim.resumable else ()


def exported(claim: Claim) -> tuple[str, ...]:
    """Those of them that another machine needs: an active run goes on there as one that was cut off here."""
    return (TRAINING,) if claim.state in ACTIVE else files_of(claim)


def no_link(path: str, flags: int) -> int:
    """An opener for files of a server's own: others, if they may write to its directory, could have put a link in their
    place, and would have another file read out or written over; or a pipe, at which it would wait for ever.
    """
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def sync_folder(folder: Path) -> None:
    """Make new and renamed names of a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
