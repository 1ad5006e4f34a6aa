"""Recurrent layers: a state that goes through a sequence step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import jax
import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Cost, Doubted, Example, Layer, Misfit, register
from nets.layers.ignored import BatchFirst
from nets.layers.parameters import Arrays, Parameter, uniform
from nets.numerics.normalise import keep_mask
from nets.numerics.recurrence import Cell, Elman, Gru, Lstm, Weights, recurrence
from nets.spec.fields import MOST_WIDTH, Boolean, Real, Whole, Width
from nets.spec.traced import Traced
from nets.spec.values import Value, features, sequence

MOST_LAYERS = 64
UNPROJECTED = {"proj_size": "Only lstm projects its states, as in PyTorch; use lstm, or put linear behind it"}


class Recurrent(Layer):
    """Base of the recurrent types: layers above each other, in one direction or both."""

    input_size: Width | None = Field(None, description="Features of the input; may be left out.")
    hidden_size: Width = Field(description="Features of the state.")
    num_layers: Annotated[Whole, Field(ge=1, le=MOST_LAYERS)] = Field(
        default=1, description="How many layers, each reading the states of the one below."
    )
    bidirectional: Boolean = Field(
        default=False,
        description="Whether a second state goes from the last step to the first; its features come last.",
    )
    dropout: Annotated[Real, Field(ge=0, lt=1), Traced(absent=0.0)] = Field(
        default=0.0, description="Probability that a value between two layers is zeroed while training."
    )
    bias: Boolean = Field(
        default=True, description="Whether the products with inputs and with states each get a trained constant added."
    )
    states: Literal["sequence", "last"] = Field(
        "sequence",
        alias="output",
        description="The states of all steps, or each direction's last one as features, as PyTorch's `h_n`: forwards "
        "that of the last step, backwards that of the first.",
    )

    aliases = {"units": "hidden_size"}
    ignored = BatchFirst
    declares = "input_size"
    takes = ("sequence",)
    cures = {
        "features": "put a reshape to [length, features] before it",
        "image": "put a reshape to [length, features] before it, or tosequence",
        "tokens": "put embedding before it",
    }
    random = True
    width = "hidden_size"

    parts: ClassVar[int] = 1  # how many times as wide as the state the weights are

    def doubts(self) -> Iterator[Doubted]:
        if self.dropout and self.num_layers == 1:
            reason = f"{self.dropout:g} drops values between layers above each other, and there is one: it does nothing"
            cure = f"put dropout with p = {self.dropout:g} behind it, or set num_layers"
            yield Doubted("dropout_of_one_layer", "dropout", reason, cure)

    @property
    def cell(self) -> Cell:
        raise AssertionError(f"{type(self).__name__} has no cell")

    @property
    def draws(self) -> bool:
        return self.dropout > 0 and self.num_layers > 1

    @property
    def state(self) -> int:
        """Features of what goes from step to step."""
        return self.hidden_size

    @property
    def sides(self) -> tuple[str, ...]:
        """The ends of the names of weights by direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def comes(self, layer: int, value: Value) -> int:
        """Features that a layer reads."""
        return len(self.sides) * self.state if layer else value.channels

    def output(self, *inputs: Value) -> Value:
        wide = self.comes(1, inputs[0])
        return features(wide) if self.states == "last" else sequence(inputs[0].shape[0], wide)

    def arrays(self, *inputs: Value) -> Arrays:
        found: dict[str, Parameter] = {}
        init, wide = uniform(self.hidden_size), self.parts * self.hidden_size
        for layer in range(self.num_layers):
            for side in self.sides:
                of = f"l{layer}{side}"
                found[f"weight_ih_{of}"] = Parameter((self.comes(layer, inputs[0]), wide), init, turned=True)
                found[f"weight_hh_{of}"] = Parameter((self.state, wide), init, turned=True)
                if self.bias:
                    found[f"bias_ih_{of}"] = found[f"bias_hh_{of}"] = Parameter((wide,), init)
                if self.state != self.hidden_size:
                    found[f"weight_hr_{of}"] = Parameter((self.hidden_size, self.state), init, turned=True)
        return Arrays(found)

    def cost(self, *inputs: Value) -> Cost:
        """Products of inputs and states; all but those of the layer's own input read what has to have a gradient."""
        steps, wide, sides = inputs[0].shape[0], self.parts * self.hidden_size, len(self.sides)
        first = steps * sides * inputs[0].channels * wide
        above = steps * sides * (self.num_layers - 1) * self.comes(1, inputs[0]) * wide
        projected = self.hidden_size * self.state if self.state != self.hidden_size else 0
        own = steps * sides * self.num_layers * (self.state * wide + projected)
        between = steps * (self.num_layers - 1) * self.comes(1, inputs[0])
        return Cost(
            macs=first + above + own,
            gives=self.output(*inputs).size,
            held=steps * sides * self.num_layers * (2 * wide + 2 * self.hidden_size),
            padded=inputs[0].size,
            drawn=between if self.draws else 0,
            of_values=above + own,
        )

    def rounds(self, *inputs: Value) -> int:
        return inputs[0].shape[0] * self.num_layers * len(self.sides)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        steps = xs[0].transpose(1, 0, 2)
        found: list[Array] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and bound.train:
                mask = keep_mask(jax.random.fold_in(bound.key(), layer), bound.number("dropout"), steps.shape)
                steps = steps * mask
            found = [self.one(bound, steps, f"l{layer}{side}", reverse=bool(side)) for side in self.sides]
            steps = found[0] if len(found) == 1 else jnp.concatenate(found, -1)
        if self.states == "sequence":
            return steps.transpose(1, 0, 2)
        ends = [each[place] for each, place in zip(found, (-1, 0), strict=False)]
        return ends[0] if len(ends) == 1 else jnp.concatenate(ends, -1)

    def one(self, bound: Bound, steps: Array, of: str, *, reverse: bool) -> Array:
        """The states of one layer in one direction. steps: `[steps, batch, features]`. of: the end of its names."""
        x = bound.numerics.dot(steps, bound.param(f"weight_ih_{of}"))
        of_states = bound.given(f"bias_hh_{of}")
        if (of_inputs := bound.given(f"bias_ih_{of}")) is not None:
            x = x + of_inputs
            if of_states is not None and not self.cell.bias_apart:
                x, of_states = x + of_states, None
        weights = Weights(bound.param(f"weight_hh_{of}"), of_states, bound.given(f"weight_hr_{of}"))
        return recurrence(self.cell, bound.numerics, reverse, x, weights)


@register
class Rnn(Recurrent):
    """h' = tanh(W x + b + U h + c) step by step. PyTorch's `nn.RNN`. Elman, 1990."""

    type: Literal["rnn"] = "rnn"
    nonlinearity: Literal["tanh", "relu"] = Field("tanh", description="What a state goes through.")

    also = ("simplernn", "simple_rnn")
    refused = UNPROJECTED
    title = (2, "RNN")
    examples = (
        Example({"type": "rnn", "hidden_size": 4}, (sequence(5, 3),), sequence(5, 4)),
        Example(
            {"type": "rnn", "units": 3, "nonlinearity": "relu", "bias": False, "output": "last"},
            (sequence(4, 3),),
            features(3),
        ),
    )

    @property
    def cell(self) -> Cell:
        return Elman(relu=self.nonlinearity == "relu")


@register
class LSTM(Recurrent):
    """A state beside a cell that gates write, keep and read. PyTorch's `nn.LSTM`. Hochreiter & Schmidhuber, 1997."""

    type: Literal["lstm"] = "lstm"
    proj_size: Annotated[Whole, Field(ge=0, le=MOST_WIDTH)] = Field(
        default=0,
        description="Features that the state is projected to, fewer than hidden_size; 0: none. Sak et al., 2014.",
    )

    title = (2, "LSTM")
    parts = Lstm.gates
    examples = (
        Example({"type": "lstm", "hidden_size": 4}, (sequence(5, 3),), sequence(5, 4)),
        Example(
            {
                "type": "lstm",
                "hidden_size": 4,
                "num_layers": 2,
                "bidirectional": True,
                "dropout": 0.2,
                "output": "last",
            },
            (sequence(4, 3),),
            features(8),
        ),
        Example({"type": "lstm", "hidden_size": 4, "proj_size": 2, "bias": False}, (sequence(3, 5),), sequence(3, 2)),
    )

    @property
    def cell(self) -> Cell:
        return Lstm()

    @property
    def state(self) -> int:
        return self.proj_size or self.hidden_size

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from super().misfits(*inputs)
        if self.proj_size >= self.hidden_size:
            most = self.hidden_size - 1
            detail = f"must be less than hidden_size = {self.hidden_size}, got {self.proj_size}; leave it out for none"
            expected = {"type": "integer", "minimum": 0, "maximum": most}
            yield Misfit("proj_size", detail, code="out_of_range", expected=expected)


@register
class GRU(Recurrent):
    """A state that gates renew. PyTorch's `nn.GRU`, whose reset gate comes behind the product. Cho et al., 2014."""

    type: Literal["gru"] = "gru"

    refused = UNPROJECTED
    title = (2, "GRU")
    parts = Gru.gates
    examples = (
        Example({"type": "gru", "hidden_size": 4}, (sequence(5, 3),), sequence(5, 4)),
        Example(
            {"type": "gru", "hidden_size": 3, "bidirectional": True, "bias": False, "output": "last"},
            (sequence(4, 5),),
            features(6),
        ),
    )

    @property
    def cell(self) -> Cell:
        return Gru()
