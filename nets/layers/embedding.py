"""What sequences begin with: vectors of tokens, of positions, and of the class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

import numpy as np
from jax import Array, lax
from jax import numpy as jnp
from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule
from nets.layers.base import Bound, Cost, Example, Layer, Misfit, register
from nets.layers.parameters import Arrays, Init, Parameter, drawn, normal, zeros
from nets.spec.fields import MOST_WIDTH, Whole, Width, shown
from nets.spec.values import Shape, Value, sequence, tokens

LEFT_OUT = {"type": "null"}
LEARNED_DEVIATION = 0.02  # of learned positions, as in BERT, ViT and GPT-2
LONGEST_WAVE = 10_000


def no_norm(value: object) -> None:
    """PyTorch's max_norm has no place in a step whose order does not matter."""
    if value is not None:
        reason = "PyTorch then rewrites rows of the table while it computes, which no optimizer sees"
        raise BrokenRule(
            f"is not supported, got {shown(value)}: {reason}; leave it out, and use weight_decay to keep rows short",
            "unused",
            expected=LEFT_OUT,
            set_to=None,
        )


@register
class Embedding(Layer):
    """A trained vector for each token. PyTorch's `nn.Embedding`. Bengio et al., 2003."""

    type: Literal["embedding"] = "embedding"
    num_embeddings: Width | None = Field(
        default=None, description="Rows of the table, at least the number of different tokens; may be left out."
    )
    embedding_dim: Width = Field(description="Features of each vector.")
    padding_idx: Whole | None = Field(
        default=None,
        ge=-MOST_WIDTH,
        le=MOST_WIDTH,
        description="A token that stands for none: its vector starts as 0 and is not trained. -1 is the last one.",
    )
    max_norm: Annotated[None, BeforeValidator(no_norm), WithJsonSchema(LEFT_OUT)] = Field(
        default=None, description="Refused: it would rewrite the table beside the optimizer."
    )

    aliases = {"input_dim": "num_embeddings", "output_dim": "embedding_dim", "out": "embedding_dim"}
    refused = {
        "norm_type": "It goes with max_norm, which has no place in a step; leave it out",
        "scale_grad_by_freq": "The gradient of a token would depend on how often other samples of the batch have it; "
        "leave it out, and use a smaller lr",
        "sparse": "The gradient is an array of all rows, with the same numbers; leave it out",
    }
    takes = ("tokens",)
    cures = {
        "features": "send integers with input_vocabulary for tokens, or use linear",
        "image": "use patchembedding, which makes vectors of an image's patches",
        "sequence": "use linear, which maps the features of each step",
    }
    width = "embedding_dim"
    examples = (
        Example({"type": "embedding", "embedding_dim": 6}, (tokens(5, 9),), sequence(5, 6)),
        Example(
            {"type": "embedding", "num_embeddings": 11, "output_dim": 4, "padding_idx": 0},
            (tokens(5, 9),),
            sequence(5, 4),
        ),
    )

    def rows(self, value: Value) -> int:
        return self.num_embeddings or value.vocabulary or 1

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        vocabulary, rows = inputs[0].vocabulary or 1, self.rows(inputs[0])
        if rows < vocabulary:
            detail = f"must be at least {vocabulary}, one for each token of {{before}}, got {rows}"
            expected = {"type": "integer", "minimum": vocabulary}
            cure = f"set {{field}} to {vocabulary}, or leave it out"
            rule = f"{detail}; {cure}"
            yield Misfit("num_embeddings", rule, code="mismatch", expected=expected, set_to=vocabulary)
        if self.padding_idx is not None and not -rows <= self.padding_idx < rows:
            detail = f"must be a token from {-rows} to {rows - 1}, got {self.padding_idx}"
            expected = {"type": "integer", "minimum": -rows, "maximum": rows - 1}
            yield Misfit("padding_idx", detail, code="out_of_range", expected=expected)

    def filled(self, *inputs: Value) -> Self:
        return self.model_copy(update={"num_embeddings": self.rows(inputs[0])})

    def output(self, *inputs: Value) -> Value:
        return sequence(inputs[0].shape[0], self.embedding_dim)

    def arrays(self, *inputs: Value) -> Arrays:
        shape = (self.rows(inputs[0]), self.embedding_dim)
        init = normal(1) if self.padding_idx is None else normal_but(self.padding_idx)
        return Arrays({"embedding": Parameter(shape, init, torch="weight", operand=False)})

    def cost(self, *inputs: Value) -> Cost:
        """Looking up multiplies nothing."""
        gives = self.output(*inputs).size
        return Cost(0, gives=gives, held=gives, padded=inputs[0].size, drawn=0)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        table, numbers = bound.param("embedding"), xs[0].astype(jnp.int32)
        if self.padding_idx is None:
            return bound.numerics.lookup(table, numbers)
        found, padding = bound.numerics.lookup(table, numbers), numbers == self.padding_idx % table.shape[0]
        return jnp.where(padding[..., None], lax.stop_gradient(found), found)


def normal_but(row: int) -> Init:
    """A table of N(0, 1) with one row of zeros."""

    def draw(random: np.random.Generator, shape: Shape) -> np.ndarray:
        values = random.standard_normal(shape, np.float32)
        values[row] = 0
        return values

    return drawn(draw)


@register
class PositionalEmbedding(Layer):
    """x + a vector for each position: trained ones, or sines and cosines of Vaswani et al., 2017."""

    type: Literal["positionalembedding"] = "positionalembedding"
    kind: Literal["learned", "sinusoidal"] = Field(
        default="learned", description="Trained vectors, or sines and cosines of wavelengths from 2 pi to 20,000 pi."
    )
    max_length: Width | None = Field(
        default=None,
        description="Rows of the table of trained vectors, at least the length of the input; may be left out.",
    )

    also = ("positional_embedding",)
    aliases = {"sequence_length": "max_length", "num_embeddings": "max_length"}
    takes = ("sequence",)
    cures = {
        "tokens": "put embedding before it",
        "image": "put patchembedding or tosequence before it",
    }
    examples = (
        Example({"type": "positionalembedding"}, (sequence(5, 6),), sequence(5, 6)),
        Example({"type": "positionalembedding", "kind": "sinusoidal"}, (sequence(5, 3),), sequence(5, 3)),
        Example({"type": "positionalembedding", "max_length": 8}, (sequence(5, 6),), sequence(5, 6)),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        length = inputs[0].shape[0]
        if self.max_length is not None and self.max_length < length:
            detail = f"must be at least the length of what {{before}} gives, {length}, got {self.max_length}"
            expected = {"type": "integer", "minimum": length}
            rule = f"{detail}; set {{field}} to {length}, or leave it out"
            yield Misfit("max_length", rule, code="mismatch", expected=expected, set_to=length)

    def filled(self, *inputs: Value) -> Self:
        return self.model_copy(update={"max_length": self.max_length or inputs[0].shape[0]})

    def arrays(self, *inputs: Value) -> Arrays:
        length, width = inputs[0].shape
        if self.kind == "sinusoidal":
            return Arrays()
        table = Parameter((self.max_length or length, width), normal(LEARNED_DEVIATION), torch="weight", operand=False)
        return Arrays({"embedding": table})

    def cost(self, *inputs: Value) -> Cost:
        """A sum multiplies nothing, and is not needed for the way back."""
        size = inputs[0].size
        return Cost(0, gives=size, held=size, padded=size, drawn=0)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        length, width = bound.takes[0].shape
        if self.kind == "sinusoidal":
            return xs[0] + sinusoids(length, width)
        return xs[0] + bound.param("embedding")[:length]


def sinusoids(length: int, width: int) -> np.ndarray:
    """`[length, width]`: sines in the even features, cosines of the same wavelengths in the odd ones."""
    rates = LONGEST_WAVE ** (-np.arange(0, width, 2) / width)
    angles = np.arange(length)[:, None] * rates
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, -1)[:, :width].astype(np.float32)


@register
class ClassToken(Layer):
    """A trained step before all others, for what is to be told of the whole; `slice` takes it out. Devlin et al., 2019.

    Of images: Dosovitskiy et al., 2021.
    """

    type: Literal["classtoken"] = "classtoken"

    also = ("class_token",)
    takes = ("sequence",)
    cures = PositionalEmbedding.cures
    examples = (Example({"type": "classtoken"}, (sequence(5, 6),), sequence(6, 6)),)

    def output(self, *inputs: Value) -> Value:
        length, width = inputs[0].shape
        return sequence(length + 1, width)

    def arrays(self, *inputs: Value) -> Arrays:
        return Arrays({"token": Parameter((1, 1, inputs[0].channels), zeros, torch="class_token", operand=False)})

    def cost(self, *inputs: Value) -> Cost:
        gives = self.output(*inputs).size
        return Cost(0, gives=gives, held=gives, padded=inputs[0].size, drawn=0)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        first = jnp.broadcast_to(bound.param("token"), (xs[0].shape[0], 1, xs[0].shape[2]))
        return jnp.concatenate([first, xs[0]], axis=1)
