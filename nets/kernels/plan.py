"""The one interface between layers and the way a platform computes them.

A plan says how images lie in memory and how the heavy operations are done. Layers hand activations from one call
to the next and never look inside: an `Activation` belongs to the plan that made it. Parameters are the same under
every plan (HWIO kernels, `[in, out]` matrices, features in C, H, W order), so weights move freely between plans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax

from nets.kernels.footprint import Footprint
from nets.numerics.normalise import Moments
from nets.numerics.windows import Geometry, Padding, Pair

Activation = Any


class Rates(NamedTuple):
    """A rough speed of training, a second: operations of products, and values that layers give beside these."""

    flops: float
    values: float


class Bound(Protocol):
    """One layer of a network that is being traced: its fields, the shape it takes, its parameters, its random key.

    batch: how many images go through.
    """

    layer: Any
    train: bool
    batch: int
    in_shape: tuple[int, ...]

    def param(self, name: str) -> jax.Array: ...

    def number(self, name: str) -> jax.Array: ...

    def statistic(self, name: str) -> jax.Array: ...

    def update(self, name: str, value: jax.Array) -> None: ...

    def key(self) -> jax.Array: ...


@dataclass(frozen=True)
class Stage:
    """Neighbouring layers `[start, stop)` that a plan computes as one; `run` is None for a layer on its own."""

    start: int
    stop: int
    run: Callable[[Activation, Sequence[Bound]], Activation] | None = None


class Plan(Protocol):
    """How one platform computes a network. Frozen and hashable: it is part of what is compiled."""

    @property
    def name(self) -> str: ...

    def compiler_options(self, layers: Sequence[Any]) -> Mapping[str, str | bool]:
        """For `jax.jit(..., compiler_options=)` of every program that computes `layers` by this plan."""
        ...

    def set_apart(self, updates: Any, layers: Sequence[Any]) -> Any:
        """The updates of parameters, computed before they are added where that is faster than doing both at once."""
        ...

    @property
    def rates(self) -> Rates:
        """For how long things take before any has run: how large a dispatch may be."""
        ...

    def micro_batch(self, layers: Sequence[Any]) -> int | None:
        """How many samples to train on at a time where a batch is larger and may be cut; None: all of them."""
        ...

    @property
    def evaluation_batch(self) -> int | None:
        """How many samples to evaluate or answer at a time; None: as many as the caller likes."""
        ...

    def enter(self, images: jax.Array) -> Activation:
        """Take in `[batch, height, width, channels]`: uint8 0..255 (scaled to 0..1 here) or float32 0..1."""
        ...

    def leave(self, x: Activation) -> jax.Array:
        """Hand out features as float32 `[batch, features]`."""
        ...

    def conv2d(
        self,
        x: Activation,
        kernel: jax.Array,
        bias: jax.Array | None,
        *,
        stride: Pair,
        padding: Padding,
        dilation: Pair = (1, 1),
        groups: int = 1,
    ) -> Activation:
        """Cross-correlation with a `[kh, kw, in / groups, out]` kernel. `padding`: (low, high) per axis."""
        ...

    def max_pool2d(self, x: Activation, *, window: Pair, stride: Pair, padding: Padding) -> Activation:
        """Largest value of each window; padding counts as minus infinity; floor mode."""
        ...

    def dense(self, x: Activation, kernel: jax.Array, bias: jax.Array | None) -> Activation:
        """`x @ kernel + bias` with a `[in, out]` kernel."""
        ...

    def flatten(self, x: Activation) -> Activation:
        """An image as features, in C, H, W order; features stay as they are."""
        ...

    def as_image(self, x: Activation, *, height: int, width: int) -> Activation:
        """Features as a one-channel image, row by row."""
        ...

    def elementwise(self, function: Callable[[jax.Array], jax.Array], x: Activation) -> Activation: ...

    def softmax(self, x: Activation) -> Activation:
        """Softmax over features, or over the channels of an image."""
        ...

    def dropout(self, x: Activation, *, key: jax.Array, rate: jax.Array) -> Activation:
        """Zero with probability `rate` (a traced scalar), scale the rest by 1 / (1 - rate).

        The mask is drawn in logical order, `[batch, features]` or `[batch, C, H, W]`: equal under every plan.
        """
        ...

    def batch_norm(
        self,
        x: Activation,
        scale: jax.Array,
        bias: jax.Array,
        *,
        eps: float,
        running: tuple[jax.Array, jax.Array] | None,
        shift: jax.Array | None = None,
        skip: Activation | None = None,
        relu: bool = False,
    ) -> tuple[Activation, Moments | None]:
        """Normalise per channel (images) or per feature; then add `skip`, then relu, where asked.

        running: (mean, variance) to use instead of the batch's own (evaluation); then no moments come back.
        shift: a bias that the convolution before left out; it cancels in the batch's own normalisation and only
        moves the mean.
        """
        ...

    def native_for(self, batch: int) -> bool:
        """Whether convolutions of so many images may be computed by machine code of ours."""
        ...

    def footprint(self, kernel: tuple[int, ...], at: Geometry, size: Pair, batch: int) -> Footprint:
        """What a convolution with a kernel of this shape takes, for images of `size`."""
        ...

    def stages(self, layers: Sequence[Any], *, train: bool) -> tuple[Stage, ...]:
        """Cut a network into runs of neighbouring layers that this plan computes as one. Covers every layer once."""
        ...
