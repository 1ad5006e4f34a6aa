"""What a layer type is.

A layer type is one class: its fields, what it does to the values that it takes, which arrays it has, and how it is
computed on plain arrays. Everything else (validation, the Flax module, the catalog, plans that compute it faster, the
parametrised tests) reads the table of all types.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from jax import Array

from nets.errors import UNSAID, Code
from nets.layers.parameters import Arrays
from nets.numerics.numerics import Numerics
from nets.numerics.windows import Geometry, Pair
from nets.spec.registry import Registry, Typed
from nets.spec.values import Kind, Shape, Value

ANY: tuple[Kind, ...] = ("features", "image", "sequence")
VALUE_BYTES = 4  # of a number between layers, or a trained one
# By kind, the axes of an array in canonical order: batch, channels or features, height, width, time.
CANONICAL: Mapping[Kind, Literal["BC", "BHWC", "BTC", "BT"]] = {
    "features": "BC",
    "image": "BHWC",
    "sequence": "BTC",
    "tokens": "BT",
}


@dataclass(frozen=True)
class Misfit:
    """Why a layer does not fit what comes before it, in words.

    field: which field says so, None for the layer itself. detail: `{field}` stands for that field as the client wrote
    it, `{before}` for what gives the first input, `{0}`, `{1}` ... for the inputs by their quoted names, `{shape}` for
    how the first is laid out. fatal: no value can be told that comes out. code, expected: as a `Problem` has them;
    set_to: what the field can be set to, for certain. instead: the type of layer that takes this.
    """

    field: str | None
    detail: str
    fatal: bool = False
    code: Code = "misfit"
    expected: Any = UNSAID
    set_to: Any = UNSAID
    instead: str | None = None

    @classmethod
    def declared(cls, layer: Layer, field: str, said: int, given: int, *, unit: str = "") -> Misfit:
        """A size that the layer declares, where another one arrives. `unit`: what is counted, e.g. `channel`."""
        arrives = f"{given} {unit}{'s' * (given != 1)}" if unit else str(given)
        cure = f"set {{field}} to {given}, or leave it out"
        detail = f"{layer.type} declares {{field}} = {said}, but {{before}} gives {arrives}{{shape}}; {cure}"
        return cls(field, detail, code="mismatch", expected=given, set_to=given)


@dataclass(frozen=True)
class Example:
    """A layer as a client sends it, the values it is given and the value that comes out. Shown in the catalog."""

    json: Mapping[str, Any]
    takes: tuple[Value, ...]
    gives: Value


class Doubted(NamedTuple):
    """A field whose value is seldom meant. rule: its name among the rules of `nets.doubts`."""

    rule: str
    field: str
    reason: str
    cure: str


class Cost(NamedTuple):
    """What one sample costs.

    macs: products that are added up on the way forward, of convolutions and of matrices; biases, norms, pools and
    functions of each value count nothing. gives: numbers that come out. held: numbers kept for the way back. padded:
    numbers of the input as a plan may have to lay them out. drawn: numbers that random bits are drawn for. of_values:
    of the macs, those of two values that are both computed, as attention's scores, rather than of a value and weights.
    """

    macs: int
    gives: int
    held: int
    padded: int
    drawn: int
    of_values: int = 0

    @property
    def flops(self) -> int:
        """Floating point operations of the way forward: a product and a sum each."""
        return 2 * self.macs

    def flops_backward(self, *, to_inputs: bool) -> int:
        """Those of the way back: as many for the gradient of the weights, and again for that of what came in.

        to_inputs: whether anything asks for the second; nothing does before the first trained weights. Products of two
        values that are computed always have two gradients.
        """
        return (1 + to_inputs) * self.flops + (not to_inputs) * 2 * self.of_values

    @property
    def activation_bytes(self) -> int:
        """Of what comes out, as float32: bfloat16 rounds the operands of products, on a GPU their results too."""
        return VALUE_BYTES * self.gives

    @property
    def held_bytes(self) -> int:
        """Of what is kept for the way back."""
        return VALUE_BYTES * self.held


class Convolution(NamedTuple):
    """A kernel `[kh, kw, in / groups, out]` that goes over images of `size`, height and width, and how.

    Of a transposed one: the convolution whose gradient it is.
    """

    kernel: Shape
    at: Geometry
    size: Pair


class Own(NamedTuple):
    """The arrays of a bound layer, as a tree."""

    params: Mapping[str, Array]
    statistics: Mapping[str, Array]
    numbers: Mapping[str, Array]
    random_key: Array | None


@dataclass
class Cell:
    """A statistic that may be changed, as Flax's variables are."""

    value: Array


@dataclass(frozen=True)
class Row(Mapping[str, Array]):
    """The arrays of one of several layers whose arrays lie one after the other: those in one place of each."""

    arrays: Mapping[str, Array]
    place: int

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name][self.place]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


@dataclass(frozen=True)
class RowCell:
    """A statistic of one of several such layers, in that of all of them."""

    whole: Any  # a cell
    place: int

    @property
    def value(self) -> Array:
        found: Array = self.whole.value[self.place]
        return found

    @value.setter
    def value(self, value: Array) -> None:
        self.whole.value = self.whole.value.at[self.place].set(value)


@dataclass(frozen=True)
class Bound:
    """A layer with its arrays while a network is traced.

    batch: how many samples go through. axes: in which order those of the arrays lie that `apply` is given. counted:
    which samples count, `[batch]`, where others only fill the batch up; None for all.
    """

    layer: Any
    takes: tuple[Value, ...]
    gives: Value
    train: bool
    batch: int
    numerics: Numerics
    params: Mapping[str, Array]
    statistics: Mapping[str, Any]  # things with a `value`: flax's variables, or cells
    numbers: Mapping[str, Array]
    random_key: Array | None
    axes: str
    counted: Array | None = None

    def param(self, name: str) -> Array:
        return self.params[name]

    def given(self, name: str) -> Array | None:
        """A parameter that the layer may do without, such as a bias."""
        return self.params.get(name)

    def number(self, name: str) -> Array:
        return self.numbers[name]

    def statistic(self, name: str) -> Array:
        value: Array = self.statistics[name].value
        return value

    def update(self, name: str, value: Array) -> None:
        self.statistics[name].value = value

    def key(self) -> Array:
        assert self.random_key is not None, f"{self.layer.type} draws no random numbers here"
        return self.random_key

    def axis(self, name: str) -> int:
        """Where an axis lies: `C` for channels and features, `B`, `H`, `W`, `T`."""
        return self.axes.index(name)

    @property
    def own(self) -> Own:
        """Its arrays."""
        moving = {name: cell.value for name, cell in self.statistics.items()}
        return Own(dict(self.params), moving, dict(self.numbers), self.random_key)

    def holding(self, own: Own) -> Bound:
        """The same layer with other arrays."""
        moving = {name: Cell(value) for name, value in own.statistics.items()}
        return replace(self, params=own.params, statistics=moving, numbers=own.numbers, random_key=own.random_key)

    def row(self, place: int) -> Bound:
        """One of the layers that have one place each in arrays that lie one after the other."""
        moving = {name: RowCell(cell, place) for name, cell in self.statistics.items()}
        return replace(self, params=Row(self.params, place), statistics=moving)

    def lying(self, axes: str) -> Bound:
        """The same for arrays of another order."""
        return self if axes == self.axes else replace(self, axes=axes)


class Layer(Typed):
    """Base of every layer type. Subclasses declare `type: Literal[...]`, their fields, and register themselves.

    takes: kinds of value that it can be given. cures: what to do about another kind. arity: least and most inputs.
    converts: whether an image is flattened for it, or a square vector read as an image of one channel, where it takes
    no such kind. layouts: in which order `apply` takes arrays: canonical; any, told by `bound.axes`; or elementwise,
    for which the order does not matter. across_batch: whether it looks at more than one sample. random: whether
    training draws numbers. reads: as the last layer it is how the output is read, and left out of training. examples:
    the first is the catalog's and declares no size that follows from what comes before, so that examples fit each other
    wherever their kinds do. title: how a network is called that has such a layer; the one of the highest rank among its
    layers counts. width: the field that says how many channels it gives, which stand in that title. linear_map: whether
    it multiplies by trained weights and adds. keeps_values: whether each number that comes out is one that came in, but
    for what random types do while training. bounds: between which all numbers lie that come out, with the options that
    it has by default. probabilities: whether what comes out are those of a softmax. gates: whether it scales one input
    by another. declares: the field in which a client may say how many channels come in. regroups: whether what comes
    out is as often in a sample as its `output` says, rather than as often as what comes in.
    """

    takes: ClassVar[tuple[Kind, ...]] = ANY
    arity: ClassVar[tuple[int, int]] = (1, 1)
    cures: ClassVar[Mapping[Kind, str]] = {}
    converts: ClassVar[bool] = False
    layouts: ClassVar[Literal["canonical", "any", "elementwise"]] = "canonical"
    across_batch: ClassVar[bool] = False
    random: ClassVar[bool] = False
    reads: ClassVar[bool] = False
    examples: ClassVar[tuple[Example, ...]] = ()
    title: ClassVar[tuple[int, str]] = (0, "MLP")
    width: ClassVar[str | None] = None
    linear_map: ClassVar[bool] = False
    keeps_values: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    probabilities: ClassVar[bool] = False
    gates: ClassVar[bool] = False
    declares: ClassVar[str | None] = None
    regroups: ClassVar[bool] = False

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        """What does not fit `inputs`, whose kinds and number are right."""
        said = getattr(self, self.declares) if self.declares else None
        if self.declares and said is not None and said != inputs[0].channels:
            field = type(self).model_fields[self.declares].alias or self.declares
            yield Misfit.declared(self, field, said, inputs[0].channels, unit=self.counted_in(inputs[0]))

    def counted_in(self, value: Value) -> str:
        """What its errors call one of the channels of a value, if they call it anything."""
        return "channel" if value.kind == "image" else ""

    def doubts(self) -> Iterator[Doubted]:
        """Fields whose value is legal and seldom what was meant."""
        return iter(())

    @property
    def limits(self) -> tuple[float, float]:
        """Between which numbers all lie that come out, with its options."""
        return self.bounds

    @property
    def draws(self) -> bool:
        """Whether training draws numbers with the options that it has."""
        return self.random

    @property
    def compares(self) -> bool:
        """Whether what it gives for a sample depends on other samples in evaluation, too."""
        return False

    @property
    def from_samples(self) -> bool:
        """Whether `started` sees training samples: those of the network's input, which the layer has to read."""
        return False

    def started(self, samples: np.ndarray) -> Mapping[str, np.ndarray]:
        """Arrays that start from training samples, float32, by name.

        samples: float32 in canonical order, standardised as the network sees them.
        """
        return {}

    @property
    def idle(self) -> bool:
        """Whether its options make it give what comes in."""
        return False

    def filled(self, *inputs: Value) -> Self:
        """The same layer with the fields that follow from `inputs` filled in."""
        return self.model_copy(update={self.declares: inputs[0].channels}) if self.declares else self

    def output(self, *inputs: Value) -> Value:
        return inputs[0]

    def arrays(self, *inputs: Value) -> Arrays:
        return Arrays()

    def convolutions(self, *inputs: Value) -> Iterator[Convolution]:
        """The kernels that go over images; a sequence is an image of one row."""
        return iter(())

    def padded(self, *inputs: Value) -> int:
        """How many numbers of the input a plan may have to lay out in memory."""
        return sum(value.size for value in inputs)

    def cost(self, *inputs: Value) -> Cost:
        """By default each weight of a matrix or kernel counts once for every position that comes out."""
        gives = self.output(*inputs)
        matrices = (p.shape for p in self.arrays(*inputs).parameters.values() if len(p.shape) > 1 and p.operand)
        macs = sum(map(math.prod, matrices)) * gives.positions
        drawn = inputs[0].size if self.random else 0
        return Cost(macs, gives=gives.size, held=gives.size, padded=self.padded(*inputs), drawn=drawn)

    def rounds(self, *inputs: Value) -> int:
        """How many times it computes, each time reading what the time before gave."""
        return 1

    def apply(self, bound: Bound, *xs: Array) -> Array:
        """The definition: every plan gives these numbers, up to how it rounds."""
        raise AssertionError(f"{type(self).__name__} has no apply")

    def read(self, logits: Array) -> Array:
        """What it makes of logits `[batch, classes]` as the last layer, where it is how they are read."""
        return logits

    def to_json(self) -> dict[str, Any]:
        """The layer as a client could send it, every field filled in."""
        return self.model_dump(mode="json", by_alias=True)


LAYERS: Registry[Layer] = Registry("layer type", example={"type": "relu"}, listed="GET /api/layers")
register = LAYERS.register
