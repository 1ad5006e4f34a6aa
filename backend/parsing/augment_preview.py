"""The query of `GET /api/augment-preview`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from backend.parsing.parts import Rule
from backend.parsing.queries import Digits, Left, OneOf, Query
from backend.state.records import Json
from nets.augment import AUGMENTATIONS, Augmentation
from nets.augment.listed import parse_augment
from nets.datasets import DATASETS
from nets.errors import BrokenRule
from nets.spec.fields import shown


@dataclass(frozen=True)
class Augmentations(Rule):
    """A list of augmentations as JSON."""

    def check(self, value: str) -> tuple[Augmentation, ...]:
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            example = json.dumps([AUGMENTATIONS.example])
            raise BrokenRule(f"must be JSON such as {example}, got {shown(value)}", "malformed") from None
        return parse_augment(found, ("augment",))

    def schema(self) -> Json:
        return {"type": "string", "contentMediaType": "application/json"}


class AugmentPreview(Query):
    """Samples before and after augmentation."""

    augment: Annotated[tuple[Augmentation, ...], Augmentations()] = Field(
        description="Augmentations as JSON, as `hyperparams.augment` has them."
    )
    dataset: Annotated[str, OneOf(tuple(DATASETS))] | Left = Field(
        None, description="Where the samples are from, a data set on this disk; without it MNIST, or digits."
    )
    seed: Annotated[int, Digits(0, 2**53 - 1)] = Field(42, description="Which samples, and what becomes of them.")
    count: Annotated[int, Digits(1, 16)] = Field(8, description="How many samples, side by side.")
    times: Annotated[int, Digits(1, 8)] = Field(3, description="How many epochs, below each other.")
