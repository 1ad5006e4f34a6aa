"""Attention: every step of a sequence reads all steps, of the same sequence or of another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Cost, Example, Layer, Misfit, register
from nets.layers.ignored import BatchFirst
from nets.layers.parameters import Arrays, Parameter, normal, uniform, xavier, zeros
from nets.numerics.normalise import keep_mask
from nets.spec.fields import Boolean, Real, Width
from nets.spec.traced import Traced
from nets.spec.values import Value, sequence

LOWEST = float(np.finfo(np.float32).min)  # a score that leaves nothing of a key; minus infinity makes NaN of no key
LONGEST_WAVE = 10_000
Probability = Annotated[Real, Field(ge=0, lt=1), Traced(absent=0.0)]
MaskValue = Annotated[
    Annotated[Real, Field(ge=-1e6, le=1e6)] | None,
    Field(description="Marks padding: a step all of whose features equal this number is no key."),
]
Rotary = Annotated[
    Boolean,
    Field(
        description="Whether queries and keys are turned by angles of their positions, the first half of a head's "
        "features against the second. Su et al., 2021."
    ),
]


@register
class MultiheadAttention(Layer):
    """softmax(Q K^T / sqrt(d)) V in several heads. PyTorch's `nn.MultiheadAttention`. Vaswani et al., 2017.

    One input attends to itself; of two, the first gives the queries, the second keys and values; three are queries,
    keys and values. What comes out has the length and the features of the queries.
    """

    type: Literal["multiheadattention"] = "multiheadattention"
    embed_dim: Width | None = Field(default=None, description="Features of the queries; may be left out.")
    num_heads: Width = Field(description="Number of heads, which share the features.")
    head_dim: Width | None = Field(
        default=None, description="Features of each head; without it embed_dim / num_heads, as in PyTorch."
    )
    kdim: Width | None = Field(default=None, description="Features of the keys; may be left out.")
    vdim: Width | None = Field(default=None, description="Features of the values; may be left out.")
    dropout: Probability = Field(default=0.0, description="Probability that a weight is zeroed while training.")
    bias: Boolean = Field(default=True, description="Whether the four projections add a trained constant.")
    causal: Boolean = Field(
        default=False,
        description="Whether each query sees the keys up to its own place alone, and none of later places.",
    )
    rotary: Rotary = False
    mask_value: MaskValue = None
    add_bias_kv: Boolean = Field(
        default=False, description="Whether a trained key and a trained value stand behind those of the input."
    )
    add_zero_attn: Boolean = Field(
        default=False,
        description="Whether a key and a value of zeros stand behind the others: a query can look at none.",
    )

    also = ("multihead_attention",)
    ignored = BatchFirst
    aliases = {"heads": "num_heads", "nhead": "num_heads", "key_dim": "head_dim", "d_model": "embed_dim"}
    declares = "embed_dim"
    takes = ("sequence",)
    cures = {"tokens": "put embedding before it", "image": "put patchembedding or tosequence before it"}
    arity = (1, 3)
    random = True
    title = (3, "Transformer")
    examples = (
        Example({"type": "multiheadattention", "num_heads": 2}, (sequence(5, 6),), sequence(5, 6)),
        Example(
            {"type": "multiheadattention", "num_heads": 1, "rotary": True, "causal": True, "dropout": 0.1},
            (sequence(5, 6), sequence(5, 4)),
            sequence(5, 6),
        ),
        Example(
            {"type": "multiheadattention", "num_heads": 3, "key_dim": 4, "bias": False, "mask_value": 0},
            (sequence(5, 6), sequence(5, 4), sequence(5, 2)),
            sequence(5, 6),
        ),
    )

    def three(self, values: Sequence[Value]) -> tuple[Value, Value, Value]:
        """Those that give queries, keys and values."""
        return values[0], values[min(1, len(values) - 1)], values[-1]

    def head(self, value: Value) -> int:
        """Features of a head, for queries of this value."""
        return self.head_dim or max(1, value.channels // self.num_heads)

    @property
    def added(self) -> int:
        """How many keys stand behind those of the input."""
        return self.add_bias_kv + self.add_zero_attn

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        query, key, value = self.three(inputs)
        yield from super().misfits(*inputs)
        for field, said, place, given in (("kdim", self.kdim, 1, key), ("vdim", self.vdim, -1, value)):
            if said not in (None, given.channels):
                source = f"{{{range(len(inputs))[place]}}}" if len(inputs) > 1 else "{before}"
                detail = f"{self.type} declares {{field}} = {said}, but {source} gives {given.channels}"
                cure = f"set {{field}} to {given.channels}, or leave it out"
                rule = f"{detail}; {cure}"
                yield Misfit(field, rule, code="mismatch", expected=given.channels, set_to=given.channels)
        yield from heads_misfit("num_heads", self.num_heads, query, self.head_dim)
        if self.rotary and self.head(query) % 2:
            detail = f"needs an even number of features in each head, got {self.head(query)}; set {{field}} to false"
            yield Misfit("rotary", detail, code="conflict", expected=False, set_to=False)
        if key.shape[0] != value.shape[0]:
            lengths = f"{{1}} gives {key.shape[0]} steps, {{2}} {value.shape[0]}"
            detail = f"{self.type} takes keys and values of one length; {lengths}; give both the same length"
            yield Misfit(None, detail, fatal=True)

    def filled(self, *inputs: Value) -> Self:
        query, key, value = self.three(inputs)
        sizes = {"kdim": key.channels, "vdim": value.channels, "head_dim": self.head(query)}
        return super().filled(*inputs).model_copy(update=sizes)

    def arrays(self, *inputs: Value) -> Arrays:
        query, key, value = (each.channels for each in self.three(inputs))
        inner = self.num_heads * self.head(inputs[0])
        if query == key == value:  # PyTorch draws the three as one matrix
            found = {"in_proj_kernel": turned("in_proj_weight", query, 3 * inner)}
        else:
            sides = {"q_proj": query, "k_proj": key, "v_proj": value}
            found = {f"{name}_kernel": turned(f"{name}_weight", size, inner) for name, size in sides.items()}
        if self.add_bias_kv:  # PyTorch's `xavier_normal_` of (1, 1, features)
            found |= {name: Parameter((1, 1, inner), normal(inner**-0.5)) for name in ("bias_k", "bias_v")}
        out = Parameter((inner, query), uniform(inner), torch="out_proj.weight", turned=True)
        if not self.bias:
            return Arrays({**found, "out_proj_kernel": out})
        biases = {
            "in_proj_bias": Parameter((3 * inner,), zeros),
            "out_proj_bias": Parameter((query,), zeros, torch="out_proj.bias"),
        }
        return Arrays({**found, "out_proj_kernel": out, **biases})

    def cost(self, *inputs: Value) -> Cost:
        """Four projections, the scores, and the sums that they weigh."""
        query, key, value = self.three(inputs)
        asking, asked, inner = query.shape[0], key.shape[0] + self.added, self.num_heads * self.head(query)
        weights = self.num_heads * asking * asked
        attended = 2 * asking * asked * inner
        projected = inner * (2 * query.size + key.size + value.size)
        drops = weights if self.dropout else 0
        held = inner * (2 * asking + 2 * asked) + weights + drops + query.size
        padded = sum(each.size for each in inputs)
        return Cost(projected + attended, query.size, held, padded, drops, of_values=attended)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return self.attention(bound, xs, keys=xs[min(1, len(xs) - 1)])

    def attention(self, bound: Bound, xs: Sequence[Array], *, keys: Array) -> Array:
        """keys: the steps of which some may be no keys."""
        heads = [split_heads(x, self.num_heads) for x in self.projected(bound, xs)]
        if self.rotary:
            heads[:2] = [turned_round(x) for x in heads[:2]]
        heads[1:] = [self.with_added(bound, x, name) for x, name in zip(heads[1:], ("bias_k", "bias_v"), strict=True)]
        attended = self.attended(bound, *heads, keys=keys)
        joined = attended.transpose(0, 2, 1, 3).reshape(*xs[0].shape[:2], -1)
        y = bound.numerics.dot(joined, bound.param("out_proj_kernel"))
        return y if (bias := bound.given("out_proj_bias")) is None else y + bias

    def with_added(self, bound: Bound, x: Array, name: str) -> Array:
        """Keys or values, `[batch, heads, length, width]`, and what stands behind them."""
        parts = [x]
        if (trained := bound.given(name)) is not None:
            own = split_heads(trained, self.num_heads)
            parts.append(jnp.broadcast_to(own, (x.shape[0], *own.shape[1:])))
        if self.add_zero_attn:
            parts.append(jnp.zeros_like(x[:, :, :1]))
        return jnp.concatenate(parts, axis=2) if self.added else x

    def projected(self, bound: Bound, xs: Sequence[Array]) -> list[Array]:
        """Queries, keys and values, all heads beside each other."""
        bias, whole = bound.given("in_proj_bias"), bound.given("in_proj_kernel")
        if whole is None:
            kernels = [bound.param(f"{name}_proj_kernel") for name in "qkv"]
        elif len(xs) == 1:
            y = bound.numerics.dot(xs[0], whole)
            return jnp.split(y if bias is None else y + bias, 3, axis=-1)
        else:
            kernels = jnp.split(whole, 3, axis=1)
        sides = xs[0], xs[min(1, len(xs) - 1)], xs[-1]
        ys = [bound.numerics.dot(x, kernel) for x, kernel in zip(sides, kernels, strict=True)]
        return ys if bias is None else [y + part for y, part in zip(ys, jnp.split(bias, 3), strict=True)]

    def attended(self, bound: Bound, query: Array, key: Array, value: Array, *, keys: Array) -> Array:
        """`[batch, heads, length, width]` of all three."""
        scores = bound.numerics.product(query * (1 / math.sqrt(query.shape[-1])), key, 1, 1)
        seen = self.seen(keys, *scores.shape[2:])
        if seen is not None:
            scores = jnp.where(seen, scores, LOWEST)
        weights = jax.nn.softmax(scores, axis=-1)
        if self.mask_value is not None and seen is not None:
            weights = jnp.where(seen, weights, 0)  # where there is no key at all
        if bound.train and self.dropout:
            weights = weights * keep_mask(bound.key(), bound.number("dropout"), weights.shape)
        return bound.numerics.product(weights, value)

    def seen(self, keys: Array, asking: int, asked: int) -> Array | None:
        """Which keys each query sees: an array that goes with `[batch, heads, queries, keys]`; None for all."""
        parts: list[Array] = []
        if self.causal:
            past = np.tri(asking, asked - self.added, dtype=bool)
            parts.append(jnp.asarray(np.pad(past, ((0, 0), (0, self.added)), constant_values=True)))
        if self.mask_value is not None:
            there = jnp.any(keys != self.mask_value, axis=-1)[:, None, None]
            parts.append(
                jnp.pad(there, ((0, 0),) * 3 + ((0, self.added),), constant_values=True) if self.added else there
            )
        return parts[0] & parts[-1] if parts else None


class MaskedAttention(MultiheadAttention):
    """Attention whose last input is none of the three: it only says which steps are keys."""

    arity = (2, 4)

    def three(self, values: Sequence[Value]) -> tuple[Value, Value, Value]:
        return super().three(values[:-1])

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return self.attention(bound, xs[:-1], keys=xs[-1])


def heads_misfit(field: str, heads: int, query: Value, head_dim: int | None) -> Iterator[Misfit]:
    """A number of heads that features cannot be shared among."""
    if head_dim is None and query.channels % heads:
        fits = [each for each in range(1, min(query.channels, 64) + 1) if query.channels % each == 0]
        near = min(fits, key=lambda each: (abs(each - heads), each))
        detail = f"must divide the {query.channels} features of {{before}}, got {heads}; set {{field}} to {near}"
        yield Misfit(field, detail, code="mismatch", expected={"enum": fits})


def turned(name: str, comes: int, goes: int) -> Parameter:
    """The matrix of a projection, as PyTorch's attention starts it."""
    return Parameter((comes, goes), xavier(comes, goes), torch=name, turned=True)


def split_heads(x: Array, heads: int) -> Array:
    """`[batch, length, heads * width] -> [batch, heads, length, width]`."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def turned_round(x: Array) -> Array:
    """Rotary positions: pairs of features turned by angles that grow with the position. `[..., length, width]`."""
    length, half = x.shape[-2], x.shape[-1] // 2
    rates = LONGEST_WAVE ** (-np.arange(half) / half)
    angles = np.arange(length)[:, None] * rates
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
