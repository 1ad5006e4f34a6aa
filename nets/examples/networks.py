"""The files: what a public network is, where it comes from, and what is known of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from typing_extensions import TypedDict

from nets.facts import About


class Claim(TypedDict):
    """What a source says that its network reaches."""

    text: Annotated[str, About("In words.")]
    accuracy: Annotated[float | None, About("The share of test samples; null where the source claims none.")]


class Measured(TypedDict):
    """What this body reached with Lamina."""

    accuracy: Annotated[float, About("The share of test samples.")]
    of: Annotated[str, About("Epochs, samples and machine.")]


class PublicNetwork(TypedDict):
    """A network that others have published, or a recipe of Lamina's own, as a body of `POST /api/train`."""

    name: Annotated[str, About("What `lamina examples` and `GET /api/examples/{name}` call it.")]
    title: Annotated[str, About("What it is, for people.")]
    source: Annotated[str, About("Where it stands: repository and file, page, or paper.")]
    data: Annotated[str, About("What it is trained on.")]
    arrays: Annotated[
        str | None,
        About("Null where `dataset_type` of the body is that; else the arrays that `nets.fit` takes instead."),
    ]
    recipe: Annotated[str, About("How the source trains it.")]
    claim: Annotated[Claim, About("What the source says that it reaches.")]
    differs: Annotated[list[str], About("What of the source is not in the body or other there, and why.")]
    parameters: Annotated[int, About("Trained numbers.")]
    counted: Annotated[Literal["published", "by hand"], About("Whether the source tells that number.")]
    measured: Annotated[Measured | None, About("What was measured of this body; null where nothing was.")]
    body: Annotated[dict[str, Any], About("What `POST /api/train` and `lamina train` take.")]


@cache
def known() -> Mapping[str, PublicNetwork]:
    """All of them by name: by what they are trained on, small ones first."""
    found: list[PublicNetwork] = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in files("nets.examples").iterdir()
        if file.name.endswith(".json")
    ]
    return {each["name"]: each for each in sorted(found, key=lambda each: (each["data"], each["parameters"]))}


def names() -> tuple[str, ...]:
    """What they are called."""
    return tuple(known())


def networks() -> tuple[PublicNetwork, ...]:
    """All of them."""
    return tuple(known().values())


def network(name: str) -> PublicNetwork:
    """One of them. KeyError where there is none of that name."""
    return known()[name]
