"""What a layer type is, and the one table of all of them.

A layer type is one class: its fields, what it does to a shape, which parameters it has, and how it is computed
through a plan. Everything else (validation, the Flax module, the catalog, the parametrised tests) reads the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np

from nets.kernels.plan import Activation, Bound, Plan
from nets.numerics.windows import Geometry
from nets.spec.registry import Registry, Typed

Shape = tuple[int, ...]  # (features,) or (channels, height, width); the batch is not part of it
Init = Callable[[jax.Array, Shape], jax.Array]  # (random key, shape) -> float32 values


@dataclass(frozen=True)
class Parameter:
    """One array of a layer: its shape, and how it starts."""

    shape: Shape
    init: Init


@dataclass(frozen=True)
class Misfit:
    """Why a layer does not fit what comes before it, in words.

    field: which field says so, None for the layer itself. detail: `{field}` stands for that field as the client wrote
    it, `{before}` for what gives the input, `{shape}` for how that is laid out. fatal: no output shape can be told.
    """

    field: str | None
    detail: str
    fatal: bool = False

    @classmethod
    def declared(cls, layer: Layer, field: str, said: int, given: int, *, unit: str = "") -> Misfit:
        """A size that the layer declares, where another one arrives. `unit`: what is counted, e.g. `channel`."""
        arrives = f"{given} {unit}{'s' * (given != 1)}" if unit else str(given)
        cure = f"set {{field}} to {given}, or leave it out"
        return cls(field, f"{layer.type} declares {{field}} = {said}, but {{before}} gives {arrives}{{shape}}; {cure}")


@dataclass(frozen=True)
class Example:
    """A layer as a client sends it, the shape it is given and the shape that comes out. Shown in the catalog."""

    json: Mapping[str, Any]
    takes: Shape
    gives: Shape


class Layer(Typed):
    """Base of every layer type. Subclasses declare `type: Literal[...]`, their fields, and register themselves.

    takes: what it is given. converts: whether it flattens an image, or reads a vector of square length as an image of
    one channel, to get what it takes. examples: the first is the catalog's and declares no size that follows from what
    comes before, so that examples fit each other in any order that their kinds allow.
    """

    takes: ClassVar[Literal["image", "features", "any"]] = "any"
    converts: ClassVar[bool] = False
    random: ClassVar[bool] = False
    examples: ClassVar[tuple[Example, ...]] = ()

    def entry(self, shape: Shape) -> Shape:
        """The shape as this layer sees it: an image flattened, or a square vector read as a one-channel image."""
        if not self.converts:
            return shape
        if self.takes == "features" and len(shape) == 3:
            return (math.prod(shape),)
        side = math.isqrt(shape[0])
        if self.takes == "image" and len(shape) == 1 and side * side == shape[0]:
            return (1, side, side)
        return shape

    def misfits(self, shape: Shape) -> Iterator[Misfit]:
        """What does not fit `shape` (as `entry` gave it)."""
        if self.takes == "image" and len(shape) == 1:
            yield Misfit(
                None,
                f"{self.type} expects an image; {shape[0]} features are no square image. Move it before flatten",
                True,
            )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Fields whose value is legal and seldom what was meant, each with a sentence that says why."""
        return iter(())

    def filled(self, shape: Shape) -> Self:
        """The same layer with the fields that follow from `shape` filled in."""
        return self

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def padded_shape(self, shape: Shape) -> Shape:
        """What a plan may have to lay out in memory of the input, for the memory estimate."""
        return shape

    def held(self, shape: Shape) -> int:
        """How many values of one image a training step holds for the way back, for the memory estimate."""
        return math.prod(self.output_shape(shape))

    def convolutions(self, shape: Shape) -> Iterator[tuple[Shape, Geometry]]:
        """The kernels that go over images of this height and width, and how, for the memory estimate."""
        return iter(())

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """Trained arrays by name."""
        return {}

    def statistics(self, shape: Shape) -> dict[str, Parameter]:
        """Running arrays by name: kept with the weights, changed by training, not trained."""
        return {}

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        raise AssertionError(f"{type(self).__name__} has no apply")

    def to_json(self) -> dict[str, Any]:
        """The layer as a client could send it, every field filled in."""
        return self.model_dump(mode="json", by_alias=True)


LAYERS: Registry[Layer] = Registry("layer type", example={"type": "relu"})
register = LAYERS.register


def uniform(fan_in: int) -> Init:
    """PyTorch's default for weights and biases: uniform within 1 / sqrt(fan_in). He et al., 2015, with a = sqrt(5).

    Drawn by NumPy from the key's bits: nothing to compile (a jitted draw of a small network's weights takes XLA two
    seconds), and every platform starts from the same weights.
    """
    bound = np.float32(1 / math.sqrt(fan_in))

    def init(key: jax.Array, shape: Shape) -> jax.Array:
        def draw(bits: np.ndarray) -> np.ndarray:
            random = np.random.Generator(np.random.PCG64(np.asarray(bits).tolist()))
            values = random.random(shape, np.float32)
            values *= 2  # in place: the array may be most of a network
            values -= 1
            values *= bound
            return values

        bits = jax.random.key_data(key)
        if not isinstance(bits, jax.core.Tracer):  # a callback is a program: it would be compiled for every array
            return on_device(draw(np.asarray(bits)))
        values: jax.Array = jax.pure_callback(draw, jax.ShapeDtypeStruct(shape, jnp.float32), bits)
        return values

    return init


def on_device(values: np.ndarray) -> jax.Array:
    """Not by `jnp.asarray`: it compiles a program for every shape, and JAX keeps them all."""
    return jax.device_put(values)


def zeros(key: jax.Array, shape: Shape) -> jax.Array:
    return on_device(np.zeros(shape, np.float32))


def ones(key: jax.Array, shape: Shape) -> jax.Array:
    return on_device(np.ones(shape, np.float32))


def described(shape: Shape) -> str:
    """`64 x 7 x 7` for an image, `128` for features."""
    return " x ".join(map(str, shape))
