"""The arrays of layers: their shapes, and how they start."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from nets.spec.values import Shape

Init = Callable[[jax.Array, Shape], jax.Array]  # (random key, shape) -> float32 values
Draw = Callable[[np.random.Generator, Shape], np.ndarray]


@dataclass(frozen=True)
class Parameter:
    """One array of a layer: its shape, and how it starts.

    torch: what PyTorch calls it, where that is another name. turned: whether its last two axes are what comes in and
    what goes out, which PyTorch has first, the other way round. operand: whether products take it, if it has several
    axes: then it is rounded to the precision of a run.
    """

    shape: Shape
    init: Init
    torch: str = ""
    turned: bool = False
    operand: bool = True


@dataclass(frozen=True)
class Arrays:
    """What a layer keeps, by name. parameters: trained. statistics: changed by training, not trained."""

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    statistics: Mapping[str, Parameter] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.parameters or self.statistics)


def drawn(draw: Draw) -> Init:
    """Values that NumPy draws, seeded by the key's bits.

    Nothing to compile (a jitted draw of a small network's weights takes XLA two seconds), and every platform starts
    from the same weights.
    """

    def init(key: jax.Array, shape: Shape) -> jax.Array:
        def seeded(bits: np.ndarray) -> np.ndarray:
            return draw(np.random.Generator(np.random.PCG64(np.asarray(bits).tolist())), shape)

        bits = jax.random.key_data(key)
        if not isinstance(bits, jax.core.Tracer):  # a callback is a program: it would be compiled for every array
            return on_device(seeded(np.asarray(bits)))
        values: jax.Array = jax.pure_callback(seeded, jax.ShapeDtypeStruct(shape, jnp.float32), bits)
        return values

    return init


def within(bound: float) -> Init:
    """Uniform from -bound to bound."""
    return drawn(evenly(bound))


def evenly(bound: float) -> Draw:
    """The draw of `within`."""
    most = np.float32(bound)

    def draw(random: np.random.Generator, shape: Shape) -> np.ndarray:
        values = random.random(shape, np.float32)
        values *= 2  # in place: the array may be most of a network
        values -= 1
        values *= most
        return values

    return draw


def uniform(fan_in: int) -> Init:
    """PyTorch's default for weights and biases: uniform within 1 / sqrt(fan_in). He et al., 2015, with a = sqrt(5)."""
    return within(1 / math.sqrt(fan_in))


def xavier(fan_in: int, fan_out: int) -> Init:
    """PyTorch's `xavier_uniform_`: uniform within sqrt(6 / (fan_in + fan_out)). Glorot & Bengio, 2010."""
    return within(math.sqrt(6 / (fan_in + fan_out)))


def normal(deviation: float) -> Init:
    """Gaussian around 0."""

    def draw(random: np.random.Generator, shape: Shape) -> np.ndarray:
        values = random.standard_normal(shape, np.float32)
        values *= np.float32(deviation)
        return values

    return drawn(draw)


def on_device(values: np.ndarray) -> jax.Array:
    """Not by `jnp.asarray`: it compiles a program for every shape, and JAX keeps them all."""
    return jax.device_put(values)


def dirac(fan_in: int) -> Init:
    """A convolution `[kh, kw, in, out]` whose first outputs are its inputs, as PyTorch's `dirac_` has them."""

    others = evenly(1 / math.sqrt(fan_in))

    def draw(random: np.random.Generator, shape: Shape) -> np.ndarray:
        values = others(random, shape)
        same = range(min(shape[-2:]))
        values[..., : len(same)] = 0
        values[shape[0] // 2, shape[1] // 2, same, same] = 1
        return values

    return drawn(draw)


def zeros(key: jax.Array, shape: Shape) -> jax.Array:
    return on_device(np.zeros(shape, np.float32))


def ones(key: jax.Array, shape: Shape) -> jax.Array:
    return on_device(np.ones(shape, np.float32))


def constant(value: float) -> Init:
    """The same number everywhere."""
    return lambda key, shape: on_device(np.full(shape, value, np.float32))


def weights(shape: Shape, *, outputs: int, bias: bool) -> Arrays:
    """A kernel, and a bias where there is one, which start as PyTorch has them.

    It counts all axes but the last as what comes in, which of a transposed convolution is what one number reaches.
    """
    init = uniform(math.prod(shape[:-1]))
    kernel = {"kernel": Parameter(shape, init, torch="weight", turned=True)}
    return Arrays({**kernel, "bias": Parameter((outputs,), init)} if bias else kernel)
