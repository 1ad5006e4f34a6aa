"""Single values of a JSON body, changed by dotted paths: `hyperparams.optimizer.lr`, `architecture.layers[1].out`."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from backend.client.errors import Unusable

Body: TypeAlias = Mapping[str, Any] | str | os.PathLike[str]  # JSON, or the path of a file of it

PATH = re.compile(r"[^.\[\]]+((\.[^.\[\]]+)|(\.?\[-?\d+\]))*")
STEP = re.compile(r"\[(-?\d+)\]|([^.\[\]]+)")


def body_of(body: Body) -> Mapping[str, Any]:
    """The object of a body, read from its file if it is a path. Raises Unusable."""
    if isinstance(body, Mapping):
        return body
    try:
        return object_in(Path(body).read_text("utf-8-sig"), str(body))
    except OSError as reason:
        raise Unusable(f"{body}: {reason.strerror}") from None
    except UnicodeDecodeError:
        raise Unusable(f"{body} is no JSON: it is not text") from None


def object_in(text: str, place: str) -> dict[str, Any]:
    """The object that a text has as JSON. Raises Unusable, which names `place`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as reason:
        raise Unusable(f"{place} is no JSON: {reason}") from None
    if not isinstance(found, dict):
        raise Unusable(f"{place} must hold a JSON object, got {text.strip()[:40]}")
    return found


def value_of(text: str) -> Any:
    """A value as typed on a command line: JSON where it is some, else the text itself."""

    def no_number(word: str) -> Any:
        raise ValueError(word)

    try:
        return json.loads(text, parse_constant=no_number)
    except (ValueError, RecursionError):
        return text


def changed(body: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `body` with each path of `changes` set. Whether a name is known is the server's to say.

    Objects on the way are made where they are missing; a number of a list counts from 0, or from -1 at its end.
    Raises Unusable for a path that leads through something else.
    """
    new = copy.deepcopy(dict(body))
    for path, value in changes.items():
        *way, last = steps(path)
        place: Any = new
        for step in way:
            place = inside(place, step, path)
        put(place, last, value, path)
    return new


def steps(path: str) -> list[str | int]:
    """The names and numbers of a path; numbers may stand in brackets or between dots."""
    if not PATH.fullmatch(path):
        raise Unusable(f"{path!r} is no path: write hyperparams.seed or architecture.layers[1].out")
    found = [number or name for number, name in STEP.findall(path)]
    return [int(each) if re.fullmatch(r"-?\d+", each) else each for each in found]


def inside(place: Any, step: str | int, path: str) -> Any:
    """One step further; an object is made where there is nothing."""
    if isinstance(place, list):
        return place[index(place, step, path)]
    if not isinstance(place, dict):
        raise Unusable(f"{path}: {step!r} would be inside {json.dumps(place)[:40]}, which is no object and no list")
    if place.get(str(step)) is None:
        place[str(step)] = {}
    return place[str(step)]


def put(place: Any, step: str | int, value: Any, path: str) -> None:
    """The last step."""
    if isinstance(place, list):
        at = index(place, step, path, most=len(place))
        place[at : at + 1] = [value]
    elif isinstance(place, dict):
        place[str(step)] = value
    else:
        raise Unusable(f"{path}: {step!r} would be inside {json.dumps(place)[:40]}, which is no object and no list")


def index(place: list[Any], step: str | int, path: str, *, most: int | None = None) -> int:
    """A place in a list. `most`: one behind the last, which may be added to."""
    last = len(place) - 1 if most is None else most
    if not isinstance(step, int) or not -len(place) <= step <= last:
        count = f"a list of {len(place)}"
        raise Unusable(f"{path}: {step!r} is no place in {count}; they count from 0")
    return step if step >= 0 else len(place) + step
