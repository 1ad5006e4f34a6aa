"""Two linear layers with an activation between them, over features or over the steps of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Literal

from jax import Array
from pydantic import Field

from nets.layers.activation import Relu
from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.layers.composite import Composite, Part, chain
from nets.layers.dropout import Dropout
from nets.layers.linear import Linear
from nets.layers.rectifier import Gelu
from nets.spec.fields import Boolean, Real, Width
from nets.spec.values import Value, features, sequence

ACTIVATIONS: Mapping[str, Callable[[], Layer]] = MappingProxyType({"relu": Relu, "gelu": Gelu})


class Turned(Layer):
    """A sequence with its steps as features and its features as steps."""

    type: Literal["turned"] = "turned"

    takes = ("sequence",)
    keeps_values = True

    def output(self, *inputs: Value) -> Value:
        return sequence(*reversed(inputs[0].shape))

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0].swapaxes(1, 2)


@register
class MlpBlock(Composite):
    """linear(dropout(activation(linear(x)))), as Transformers and Mixers have it. Tolstikhin et al., 2021.

    Over the features of each step, or, with `over` = length, over the steps of each feature: the token mixing of an
    MLP-Mixer.
    """

    type: Literal["mlpblock"] = "mlpblock"
    hidden: Width = Field(description="Features between the two linear layers.")
    out: Width | None = Field(
        default=None, description="Features, or steps, of what comes out; without it as many as come in."
    )
    activation: Literal["relu", "gelu"] = Field(default="gelu", description="Between the two linear layers.")
    dropout: Annotated[Real, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Probability that a value between the two is zeroed while training."
    )
    bias: Boolean = Field(default=True, description="Whether the linear layers add a trained constant.")
    over: Literal["features", "length"] = Field(default="features", description="What the linear layers map.")

    also = ("mlp_block",)
    aliases = {"hidden_dim": "hidden", "mlp_dim": "hidden", "dim_feedforward": "hidden"}
    takes = ("features", "sequence")
    examples = (
        Example({"type": "mlpblock", "hidden": 8}, (features(6),), features(6)),
        Example({"type": "mlpblock", "mlp_dim": 5, "dropout": 0.1, "out": 3}, (sequence(4, 6),), sequence(4, 3)),
        Example({"type": "mlpblock", "hidden": 5, "over": "length", "bias": False}, (sequence(4, 6),), sequence(4, 6)),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        if self.over == "length" and inputs[0].kind == "features":
            detail = "length is that of a sequence, and {before} gives features; set {field} to features"
            yield Misfit("over", detail, code="mismatch", expected="features", set_to="features")

    def turns(self, value: Value) -> bool:
        return self.over == "length" and value.kind == "sequence"

    def output(self, *inputs: Value) -> Value:
        value = inputs[0]
        if self.turns(value):
            return sequence(self.out or value.shape[0], value.channels)
        return replace(value, shape=(*value.shape[:-1], self.out or value.channels))

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        turns = self.turns(inputs[0])
        width = self.out or inputs[0].shape[0 if turns else -1]
        drops = [("dropout", Dropout(p=self.dropout))] if self.dropout else []
        layers: list[tuple[str, Layer]] = [
            ("fc1", Linear(out=self.hidden, bias=self.bias)),
            ("activation", ACTIVATIONS[self.activation]()),
            *drops,
            ("fc2", Linear(out=width, bias=self.bias)),
        ]
        return chain(*([("turned", Turned()), *layers, ("back", Turned())] if turns else layers))
