"""Blocks of Transformers: attention and two linear layers, each with a norm and a way past it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.attention import MaskedAttention, MaskValue, MultiheadAttention, Rotary, heads_misfit
from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.layers.composite import OWN_INPUTS, Composite, Part
from nets.layers.dropout import Dropout
from nets.layers.layer_norm import LayerNorm
from nets.layers.linear import Linear
from nets.layers.merge import Add
from nets.layers.mlp_block import ACTIVATIONS
from nets.layers.norm import Eps
from nets.spec.fields import Boolean, Real, Width
from nets.spec.values import Value, sequence

Probability = Annotated[Real, Field(ge=0, lt=1)]
TARGET, MEMORY = OWN_INPUTS[:2]


class KeepPadding(Layer):
    """The first input; but steps that are padding leave as the second one has them, for the next layer to know them."""

    type: Literal["keep_padding"] = "keep_padding"
    mask_value: float

    takes = ("sequence",)
    arity = (2, 2)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jnp.where(jnp.any(xs[1] != self.mask_value, axis=-1, keepdims=True), xs[0], xs[1])


class TransformerLayer(Composite):
    """The fields and the parts that encoders and decoders have in common."""

    d_model: Width | None = Field(default=None, description="Features of the input; may be left out.")
    nhead: Width = Field(description="Number of heads of the attention; divides the features.")
    dim_feedforward: Width = Field(default=2048, description="Features between the two linear layers.")
    dropout: Probability = Field(
        default=0.1,
        description="Probability with which weights of the attention and values in three places are zeroed.",
    )
    activation: Literal["relu", "gelu"] = Field(default="relu", description="Between the two linear layers.")
    layer_norm_eps: Eps = 1e-5
    norm_first: Boolean = Field(
        default=False, description="Whether norms stand before attention and linear layers, or behind the sums."
    )
    bias: Boolean = Field(
        default=True, description="Whether linear layers, attention and norms add a trained constant."
    )
    causal: Boolean = Field(default=False, description="Whether each step sees itself and those before it alone.")
    rotary: Rotary = False
    mask_value: MaskValue = None

    aliases = {"embed_dim": "d_model", "num_heads": "nhead", "heads": "nhead", "mlp_dim": "dim_feedforward"}
    declares = "d_model"
    takes = ("sequence",)
    cures = MultiheadAttention.cures
    ignored = MultiheadAttention.ignored
    title = (3, "Transformer")

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        target = inputs[0]
        yield from super().misfits(*inputs)
        yield from heads_misfit("nhead", self.nhead, target, None)
        if self.rotary and target.channels // self.nhead % 2:
            width = target.channels // self.nhead
            detail = f"needs an even number of features in each head, got {width}; set {{field}} to false"
            yield Misfit("rotary", detail, code="conflict", expected=False, set_to=False)

    def norm(self) -> Layer:
        return LayerNorm(eps=self.layer_norm_eps, bias=self.bias)

    def dropped(self, name: str, source: str) -> tuple[Part, ...]:
        """A dropout, where there is one; `ends` names what it or its source gives."""
        return (Part(name, Dropout(p=self.dropout), (source,)),) if self.dropout else ()

    def attended(self, name: str, query: str, *, dropout: str) -> tuple[Part, ...]:
        """Attention of the target to itself, `query` being what it is of."""
        masked = self.mask_value is not None and query != TARGET  # a norm gives padding other values
        part = (MaskedAttention if masked else MultiheadAttention)(
            num_heads=self.nhead,
            dropout=self.dropout,
            bias=self.bias,
            causal=self.causal,
            rotary=self.rotary,
            mask_value=self.mask_value,
        )
        reads = (query, TARGET) if masked else (query,)
        return (Part(name, part, reads), *self.dropped(dropout, name))

    def fed_forward(self, source: str, *, dropout: str, width: int) -> tuple[Part, ...]:
        """The two linear layers and what is between and behind them."""
        first = Linear(out=self.dim_feedforward, bias=self.bias)
        second = Linear(out=width, bias=self.bias)
        inner = self.dropped("dropout", "activation")
        return (
            Part("linear1", first, (source,)),
            Part("activation", ACTIVATIONS[self.activation](), ("linear1",)),
            *inner,
            Part("linear2", second, (inner[-1].name if inner else "activation",)),
            *self.dropped(dropout, "linear2"),
        )

    def blocks(self) -> tuple[str, ...]:
        """The names of the parts that have a norm and a way past them, in their order."""
        raise AssertionError(f"{type(self).__name__} has no blocks")

    def block(self, name: str, source: str, *, place: int, width: int) -> tuple[Part, ...]:
        """One of them: what is computed of `source`."""
        dropout = f"dropout{place}"
        if name == "linear":
            return self.fed_forward(source, dropout=dropout, width=width)
        return self.attended(name, source, dropout=dropout)

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        at, found = TARGET, list[Part]()
        for place, name in enumerate(self.blocks(), 1):
            norm, add = f"norm{place}", f"add{place}"
            if self.norm_first:
                inner = self.block(name, norm, place=place, width=inputs[0].channels)
                found += [Part(norm, self.norm(), (at,)), *inner, Part(add, Add(), (at, inner[-1].name))]
                at = add
            else:
                inner = self.block(name, at, place=place, width=inputs[0].channels)
                found += [*inner, Part(add, Add(), (at, inner[-1].name)), Part(norm, self.norm(), (add,))]
                at = norm
        if self.mask_value is not None:
            found.append(Part("padding", KeepPadding(mask_value=self.mask_value), (at, TARGET)))
        return tuple(found)


@register
class TransformerEncoderLayer(TransformerLayer):
    """Attention of a sequence to itself, then two linear layers. PyTorch's `nn.TransformerEncoderLayer`.

    With a mask_value, padded steps leave as they came, so that the next layer knows them. Vaswani et al., 2017; with
    norms first: Xiong et al., 2020.
    """

    type: Literal["transformerencoderlayer"] = "transformerencoderlayer"

    also = ("transformer_encoder_layer",)
    examples = (
        Example(
            {"type": "transformerencoderlayer", "nhead": 2, "dim_feedforward": 8}, (sequence(4, 6),), sequence(4, 6)
        ),
        Example(
            {"type": "transformerencoderlayer", "nhead": 1, "mlp_dim": 5, "dropout": 0, "activation": "gelu"}
            | {"norm_first": True, "bias": False, "causal": True, "rotary": True, "mask_value": 0},
            (sequence(4, 6),),
            sequence(4, 6),
        ),
    )

    def blocks(self) -> tuple[str, ...]:
        return ("self_attn", "linear")


@register
class TransformerDecoderLayer(TransformerLayer):
    """Attention of a target to itself and to a memory, then two linear layers. PyTorch's `nn.TransformerDecoderLayer`.

    Two inputs, the target and the memory; with a mask_value, padded steps of both are no keys. Vaswani et al., 2017.
    """

    type: Literal["transformerdecoderlayer"] = "transformerdecoderlayer"

    also = ("transformer_decoder_layer",)
    arity = (2, 2)
    examples = (
        Example(
            {"type": "transformerdecoderlayer", "nhead": 2, "dim_feedforward": 8},
            (sequence(4, 6), sequence(4, 6)),
            sequence(4, 6),
        ),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from super().misfits(*inputs)
        target, memory = (each.channels for each in inputs)
        if target != memory:
            rule = f"{self.type} takes inputs of as many features; {{0}} gives {target}, {{1}} {memory}"
            detail = f"{rule}; put a linear layer with out = {target} before {{1}}"
            yield Misfit(None, detail, fatal=True)

    def blocks(self) -> tuple[str, ...]:
        return ("self_attn", "multihead_attn", "linear")

    def block(self, name: str, source: str, *, place: int, width: int) -> tuple[Part, ...]:
        if name != "multihead_attn":
            return super().block(name, source, place=place, width=width)
        attention = MultiheadAttention(
            num_heads=self.nhead, dropout=self.dropout, bias=self.bias, mask_value=self.mask_value
        )
        return (Part(name, attention, (source, MEMORY)), *self.dropped(f"dropout{place}", name))
