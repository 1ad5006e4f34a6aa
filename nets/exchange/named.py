"""The arrays of a network by name, as Flax has them or as PyTorch does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from nets.architecture.architecture import Architecture
from nets.architecture.graph import INPUT
from nets.layers.parameters import Parameter
from nets.network import Variables
from nets.spec.values import Shape

Layout = Literal["flax", "torch"]
READ = 1 << 18  # numbers read at once
BLOCK = 1 << 23  # numbers turned at once
FAR = 1 << 12  # numbers between two that are wanted, from which on it is quicker to read them by themselves


@runtime_checkable
class Source(Protocol):
    """Where the numbers of an array come from."""

    def numbers(self, first: int, end: int) -> np.ndarray:
        """Those from `first` to before `end`, in C order."""


@dataclass(frozen=True)
class Held:
    """An array in memory."""

    array: Any

    def numbers(self, first: int, end: int) -> np.ndarray:
        return np.asarray(self.array).reshape(-1)[first:end]


@dataclass(frozen=True)
class Named:
    """One float32 array under its name. declared: with the shape that it has in a network, not always its own."""

    name: str
    declared: Parameter
    source: Source
    turned: bool

    @property
    def shape(self) -> Shape:
        if not self.turned:
            return self.declared.shape
        *window, comes, goes = self.declared.shape
        return (goes, comes, *window)

    def blocks(self) -> Iterator[np.ndarray]:
        """Its numbers in C order, some at a time: no more is in memory, however large it is."""
        if self.turned:
            yield from turned(self.source, self.declared.shape)
            return
        size = math.prod(self.declared.shape)
        for first in range(0, size, READ):
            yield self.source.numbers(first, min(first + READ, size))

    def whole(self) -> np.ndarray:
        """All of it."""
        return np.concatenate([block.reshape(-1) for block in self.blocks()]).reshape(self.shape)


def turned(source: Source, shape: Shape) -> Iterator[np.ndarray]:
    """An array whose last two axes are what comes in and what goes out, with these first, the other way round."""
    *window, comes, goes = shape
    rows = math.prod(window) * comes
    wide = max(1, BLOCK // rows)
    for first in range(0, goes, wide):
        end = min(first + wide, goes)
        block = np.empty((rows, end - first), np.float32)
        if goes - wide > FAR:
            for row in range(rows):
                block[row] = source.numbers(row * goes + first, row * goes + end)
        else:
            high = max(1, READ // goes)
            for row in range(0, rows, high):
                read = source.numbers(row * goes, min(row + high, rows) * goes)
                block[row : row + high] = read.reshape(-1, goes)[:, first:end]
        yield np.moveaxis(block.reshape(*window, comes, -1), (-1, -2), (0, 1))


def listed(architecture: Architecture, variables: Variables, *, layout: Layout) -> Iterator[Named]:
    """The arrays that a weight file holds: those of the input, then layer by layer as they run."""
    for (collection, layer, name), declared in declared_arrays(architecture).items():
        source = source_of(variables[collection][layer][name])
        if layout == "torch":
            yield Named(f"{layer}.{declared.torch or name}", declared, source, declared.turned)
        else:
            yield Named(f"{collection}.{layer}.{name}", declared, source, turned=False)


def source_of(array: Any) -> Source:
    """Of an array in memory or in a file."""
    return array if isinstance(array, Source) else Held(array)


def declared_arrays(architecture: Architecture) -> Mapping[tuple[str, str, str], Parameter]:
    """Every array of a network by collection, layer and name."""
    arrays = architecture.graph.arrays()
    return {
        (collection, layer, name): declared
        for layer in (INPUT, *(node.id for node in architecture.graph.nodes))
        for collection, layers in arrays.items()
        for name, declared in layers.get(layer, {}).items()
    }


def named_arrays(architecture: Architecture, variables: Variables, *, layout: Layout = "flax") -> dict[str, np.ndarray]:
    """Every array by its dotted name, for `numpy.savez` or `safetensors.numpy.save_file`.

    flax: `params.conv2d_0.kernel`, with axes [height, width, in, out] and [in, out], as the weight file has them.
    torch: `conv2d_0.weight`, [out, in, height, width] and [out, in], for PyTorch's `load_state_dict`.
    """
    return {each.name: each.whole() for each in listed(architecture, variables, layout=layout)}


def about(architecture: Architecture, variables: Variables, *, layout: Layout) -> dict[str, Any]:
    """What explains the arrays: their layout, the network, mean and deviation of its input if it standardises it."""
    graph, statistics = architecture.graph, {}
    if graph.standardises:
        found = {name: source_of(array) for name, array in variables["batch_stats"][INPUT].items()}
        statistics = {f"input_{name}": each.numbers(0, graph.input.channels).tolist() for name, each in found.items()}
    return {"layout": layout, "architecture": architecture.to_json(), **statistics}
