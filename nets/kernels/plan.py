"""What a plan is: how one platform computes networks, as tables of ways that are faster than the layers' own.

A layer without a row in these tables is computed by its `apply`. Parameters are the same under every plan (HWIO
kernels, `[in, out]` matrices, features in C, H, W order), so weights move freely between plans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from nets.architecture.graph import Graph, Node
from nets.kernels.footprint import Footprint
from nets.kernels.layouts import Laid
from nets.layers.base import Bound, Layer
from nets.numerics.numerics import Numerics
from nets.numerics.windows import Geometry, Pair


class Rates(NamedTuple):
    """A rough speed of training, a second: operations of products, and values that layers give beside these."""

    flops: float
    values: float


@dataclass(frozen=True)
class Site:
    """Where in a network a row would stand: its nodes, and those that read the last of them."""

    plan: Plan
    nodes: tuple[Node, ...]
    readers: tuple[Node, ...]
    batch: int
    train: bool


def anywhere(site: Site) -> bool:
    return True


@dataclass(frozen=True)
class Kernel:
    """A faster way to compute one layer type. does: one line for readers. fits: decided before anything is traced."""

    layer: type[Layer]
    does: str
    run: Callable[[Any, Bound, Sequence[Laid]], Laid]  # (the plan that has the row, the layer bound, its inputs)
    fits: Callable[[Site], bool] = anywhere


@dataclass(frozen=True)
class Fusion:
    """Neighbouring layers computed as one. chain: their types, each the only reader of the one before.

    run: is given the inputs of the first layer, then what the others read beside the one before them. pools: whether a
    convolution at its beginning is computed for the pool behind it.
    """

    chain: tuple[type[Layer], ...]
    does: str
    run: Callable[[Any, Sequence[Bound], Sequence[Laid]], Laid]
    fits: Callable[[Site], bool] = anywhere
    pools: bool = False


class Way(NamedTuple):
    """How a convolution is computed: the name of an algorithm, and a line about it."""

    name: str
    does: str


@dataclass(frozen=True)
class Plan:
    """How one platform computes a network. Frozen and hashable: it is part of what is compiled."""

    numerics: Numerics
    kernels: tuple[Kernel, ...] = ()
    fusions: tuple[Fusion, ...] = ()

    name: ClassVar[str]

    @property
    def rates(self) -> Rates:
        """For how long things take before any has run: how large a dispatch may be."""
        raise AssertionError(self.name)

    def compiler_options(self, graph: Graph) -> Mapping[str, str | bool]:
        """For `jax.jit(..., compiler_options=)` of every program that computes `graph` by this plan."""
        return {}

    def set_apart(self, updates: Any, graph: Graph) -> Any:
        """The updates of parameters, computed before they are added where that is faster than doing both at once."""
        return updates

    def micro_batch(self, graph: Graph) -> int | None:
        """How many samples to train on at a time where a batch is larger and may be cut; None: all of them."""
        return None

    @property
    def evaluation_batch(self) -> int | None:
        """How many samples to evaluate or answer at a time; None: as many as the caller likes."""
        return None

    @property
    def least_copies(self) -> int | None:
        """From how many equal blocks on they are computed as a loop, which compiles once for all; None: never."""
        return None

    @property
    def least_positions(self) -> int:
        """How many positions a sample must have there: pixels of an image, steps of a sequence; features have one."""
        return 1

    @property
    def seldom(self) -> Plan:
        """The plan for a batch that comes once an epoch: compiling it takes longer than computing it."""
        return self

    def native_for(self, batch: int) -> bool:
        """Whether convolutions of so many images may be computed by machine code of ours."""
        return False

    def footprint(self, kernel: tuple[int, ...], at: Geometry, size: Pair, batch: int) -> Footprint:
        """What a convolution with a kernel of this shape takes, for images of `size`."""
        raise AssertionError(self.name)

    def way(self, kernel: tuple[int, ...], at: Geometry, size: Pair, batch: int, *, pooled: bool) -> Way:
        """What computes such a convolution. pooled: as `Fusion.pools` has it."""
        raise AssertionError(self.name)
