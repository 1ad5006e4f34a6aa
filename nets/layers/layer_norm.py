"""Normalisation of each sample over its last axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule
from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.layers.norm import Eps
from nets.layers.parameters import Arrays, Parameter, ones, zeros
from nets.numerics.normalise import standardised
from nets.spec.fields import Boolean, shown, whole
from nets.spec.values import AXES, Shape, Value, features, image, sequence

MOST_AXES, MOST = 3, 10_000_000
LETTERS = {"channels": "C", "features": "C", "height": "H", "width": "W", "length": "T"}
SIZE = {"type": "integer", "minimum": 1, "maximum": MOST}
SIZES = {"anyOf": [SIZE, {"type": "array", "items": SIZE, "minItems": 1, "maxItems": MOST_AXES}, {"type": "null"}]}
COUNT = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_AXES}, {"enum": ["channels"]}, {"type": "null"}]}


def sizes(value: object) -> object:
    """A size, or a list of one to three."""
    if value is None:
        return None
    listed = list(value) if isinstance(value, list | tuple) else [value]
    numbers = [whole(number) for number in listed]
    if not 1 <= len(numbers) <= MOST_AXES:
        rule = f"must be a size or a list of 1 to {MOST_AXES} sizes, got {shown(value)}"
        raise BrokenRule(rule, "malformed")
    if any(not 1 <= number <= MOST for number in numbers):
        raise BrokenRule(f"must be 1 to {MOST}, got {shown(value)}", "out_of_range")
    return tuple(numbers) if isinstance(value, list | tuple) else numbers[0]


def count(value: object) -> object:
    """How many axes, or `channels`."""
    if value is None or value == "channels":
        return value
    if isinstance(value, str):
        rule = f"must be a whole number of 1 to {MOST_AXES} or channels, got {shown(value)}"
        raise BrokenRule(rule, "not_one_of")
    number = whole(value)
    if not 1 <= number <= MOST_AXES:
        raise BrokenRule(f"must be 1 to {MOST_AXES}, got {shown(value)}", "out_of_range")
    return number


class OfLastAxes(Layer):
    """Base of the norms over the last axes of a sample: their sizes are checked, and each value has its own weight."""

    normalized_shape: Annotated[
        int | tuple[int, ...] | None, BeforeValidator(sizes), WithJsonSchema({**SIZES, "default": None})
    ] = Field(
        default=None,
        description="The sizes of the axes that are normalised over, in PyTorch's order (channels, height, width; "
        "length, features), or a single one; may be left out.",
    )
    axes: Annotated[
        int | Literal["channels"] | None, BeforeValidator(count), WithJsonSchema({**COUNT, "default": None})
    ] = Field(
        default=None,
        description="How many of the last axes, in place of their sizes: by default the features of vectors and of "
        "each step, and images as a whole. `channels`: each pixel or step by itself.",
    )
    elementwise_affine: Boolean = Field(
        default=True,
        description="Whether each normalised value gets a trained factor, and a constant where `bias` is true.",
    )

    aliases = {"epsilon": "eps"}
    layouts = "any"

    def names(self, value: Value) -> tuple[str, ...]:
        """The axes that are normalised over, as shapes have them."""
        every = AXES[value.kind]
        if self.axes == "channels":
            return (every[0],) if value.kind == "image" else every[-1:]
        if self.axes is not None:
            return every[-self.axes :]
        if self.normalized_shape is not None:
            return every[-len(self.declared) :]
        return every if value.kind == "image" else every[-1:]

    @property
    def declared(self) -> Shape:
        """The sizes as the client sent them."""
        given = self.normalized_shape
        return () if given is None else (given,) if isinstance(given, int) else given

    def normal(self, value: Value) -> Shape:
        """The sizes of the axes that are normalised over."""
        by_name = dict(zip(AXES[value.kind], value.shape, strict=True))
        return tuple(by_name[name] for name in self.names(value))

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        value, every = inputs[0], AXES[inputs[0].kind]
        if isinstance(self.axes, int) and self.axes > len(every):
            rule = f"must be at most {len(every)} for what {{before}} gives{{shape}}, got {self.axes}"
            most = {"type": "integer", "minimum": 1, "maximum": len(every)}
            yield Misfit("axes", f"{rule}; set {{field}} to {len(every)}", code="out_of_range", expected=most)
        elif self.normalized_shape is not None and self.declared != self.normal(value):
            fits = list(self.normal(value)) if len(self.declared) <= len(every) else list(value.shape)
            said = shown(list(self.declared))
            rule = f"{self.type} declares {{field}} = {said}, but {{before}} gives {shown(fits)}{{shape}}"
            cure = f"set {{field}} to {shown(fits)}, or leave it out"
            yield Misfit("normalized_shape", f"{rule}; {cure}", code="mismatch", expected={"const": fits}, set_to=fits)

    def filled(self, *inputs: Value) -> Self:
        return self.model_copy(update={"normalized_shape": self.normal(inputs[0])})

    def over(self, bound: Bound) -> tuple[int, ...]:
        """Where the axes lie that are normalised over."""
        return tuple(bound.axis(LETTERS[name]) for name in self.names(bound.takes[0]))

    def laid(self, weights: Array, bound: Bound) -> Array:
        """Weights in PyTorch's order as values lie here."""
        letters = [LETTERS[name] for name in self.names(bound.takes[0])]
        turned = weights.transpose([letters.index(axis) for axis in bound.axes if axis in letters])
        kept = iter(turned.shape)
        return turned.reshape([next(kept) if axis in letters else 1 for axis in bound.axes])


@register
class LayerNorm(OfLastAxes):
    """Mean 0 and deviation 1 over the last axes of each sample. PyTorch's `nn.LayerNorm`. Ba et al., 2016."""

    type: Literal["layernorm"] = "layernorm"
    eps: Eps = 1e-5
    bias: Boolean = Field(default=True, description="Whether each normalised value gets a trained constant.")

    also = ("layer_norm", "layernormalization")
    examples = (
        Example({"type": "layernorm"}, (image(2, 3, 4),), image(2, 3, 4)),
        Example({"type": "layernorm", "bias": False}, (sequence(3, 6),), sequence(3, 6)),
        Example({"type": "layernorm", "axes": "channels", "eps": 1e-6}, (image(3, 3, 4),), image(3, 3, 4)),
    )

    def arrays(self, *inputs: Value) -> Arrays:
        if not self.elementwise_affine:
            return Arrays()
        shape = self.normal(inputs[0])
        scale = Parameter(shape, ones, torch="weight", operand=False)
        return Arrays({"scale": scale, **({"bias": Parameter(shape, zeros, operand=False)} if self.bias else {})})

    def apply(self, bound: Bound, *xs: Array) -> Array:
        y, _, _ = standardised(xs[0], self.over(bound), self.eps)
        scale, bias = bound.given("scale"), bound.given("bias")
        y = y if scale is None else y * self.laid(scale, bound)
        return y if bias is None else y + self.laid(bias, bound)


@register
class RmsNorm(OfLastAxes):
    """Values over the root of their mean square. PyTorch's `nn.RMSNorm`. Zhang & Sennrich, 2019."""

    type: Literal["rmsnorm"] = "rmsnorm"
    eps: Eps | None = Field(default=None, description="Added to the mean square; null: 1.19e-07, float32's epsilon.")

    also = ("rms_norm",)
    examples = (
        Example({"type": "rmsnorm"}, (features(6),), features(6)),
        Example({"type": "rmsnorm", "axes": 2, "eps": 1e-6}, (image(2, 3, 4),), image(2, 3, 4)),
    )

    def arrays(self, *inputs: Value) -> Arrays:
        shape = self.normal(inputs[0])
        scale = Parameter(shape, ones, torch="weight", operand=False)
        return Arrays({"scale": scale} if self.elementwise_affine else {})

    def apply(self, bound: Bound, *xs: Array) -> Array:
        eps = float(np.finfo(np.float32).eps) if self.eps is None else self.eps
        square = jnp.mean(jnp.square(xs[0]), self.over(bound), keepdims=True)
        y, scale = xs[0] * jax.lax.rsqrt(square + eps), bound.given("scale")
        return y if scale is None else y * self.laid(scale, bound)
