"""`lamina augment`: what training would see of images, as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backend.client import Client, Unusable
from backend.commands.pictures import save


def augment(client: Client, what: str, file: str, *, dataset: str | None, as_json: bool, **look: int | None) -> int:
    """Writes samples before and after augmentation to a file. Returns the exit code."""
    listed, its_own = asked_for(what)
    picture = client.augment_preview(listed, dataset=dataset or its_own, **look)
    return save(file, picture, as_json=as_json, flag="-o")


def asked_for(what: str) -> tuple[Any, str | None]:
    """Augmentations as JSON, or those of a file, and the data set where a body of a training names it. Raises
    Unusable.
    """
    text = what
    if not what.lstrip().startswith(("[", "{")):
        try:
            text = Path(what).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else "it is no text"
            raise Unusable(f"{what} cannot be read: {reason}; name a file, or write a list as JSON") from None
    try:
        found = json.loads(text)
    except ValueError as problem:
        raise Unusable(f"{what} is no JSON: {problem}") from None
    hyperparams = found.get("hyperparams", found) if isinstance(found, dict) else {}
    if isinstance(found, dict) and "type" not in found:
        if not isinstance(hyperparams, dict) or "augment" not in hyperparams:
            raise Unusable(f"{what} has no augment: write a list of augmentations, or a body with hyperparams.augment")
        return hyperparams["augment"], hyperparams.get("dataset_type") or hyperparams.get("dataset")
    return ([found] if isinstance(found, dict) else found), None
