"""What flows along the edges of a network, without the batch: images, sequences, features, tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["features", "image", "sequence", "tokens"]
Shape = tuple[int, ...]

# By kind: the axes of a shape, as messages name them.
AXES: dict[Kind, tuple[str, ...]] = {
    "features": ("features",),
    "image": ("channels", "height", "width"),
    "sequence": ("length", "features"),
    "tokens": ("length",),
}
UNNAMED: dict[int, Kind] = {len(AXES[kind]): kind for kind in ("features", "sequence", "image")}


@dataclass(frozen=True)
class Value:
    """A kind and its sizes: `(features,)`, `(channels, height, width)`, `(length, features)` or `(length,)`.

    vocabulary: how many different tokens there are; of tokens alone. times: how many of them a sample has, each on its
    own: more than one where layers see every step of a sequence by itself.
    """

    kind: Kind
    shape: Shape
    vocabulary: int | None = None
    times: int = 1

    def __post_init__(self) -> None:
        assert len(self.shape) == len(AXES[self.kind]), f"{self.kind} of {len(self.shape)} axes"

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def channels(self) -> int:
        """What a linear layer or a norm works on: features, or the channels of an image."""
        return self.shape[0 if self.kind == "image" else -1]

    @property
    def positions(self) -> int:
        """How many times there are as many: pixels of an image, steps of a sequence."""
        return self.size // self.channels

    @property
    def canonical(self) -> Shape:
        """The axes of an array of it behind the batch: channels last."""
        return (*self.shape[1:], self.shape[0]) if self.kind == "image" else self.shape

    def described(self) -> str:
        """`64 x 7 x 7`, `128`."""
        return described(self.shape)


def kind_of(shape: Sequence[object]) -> Kind:
    """What a shape without a name stands for, by its number of sizes; tokens have a vocabulary beside it."""
    return UNNAMED[len(shape)]


def described(shape: Shape) -> str:
    """Sizes as a person writes them: `64 x 7 x 7`."""
    return " x ".join(map(str, shape))


def image(channels: int, height: int, width: int) -> Value:
    return Value("image", (channels, height, width))


def features(count: int) -> Value:
    return Value("features", (count,))


def sequence(length: int, width: int) -> Value:
    return Value("sequence", (length, width))


def tokens(length: int, vocabulary: int) -> Value:
    return Value("tokens", (length,), vocabulary)
