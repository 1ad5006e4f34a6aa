"""One convolution as its algorithms see it: everything that decides how it is computed, known before it is traced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import jax.numpy as jnp

from nets.kernels.cpu.machine import Machine
from nets.numerics.windows import Geometry, Pair

FLOAT = 4  # bytes of a sum


@dataclass(frozen=True)
class ConvProblem:
    """A convolution of `batch` images of `size` with a `[kh, kw, in / groups, out]` kernel.

    kernel: its shape without the taps that only ever meet padding; `geometry` has their padding left out.
    """

    kernel: tuple[int, ...]
    geometry: Geometry
    size: Pair
    batch: int
    machine: Machine

    @classmethod
    def of(
        cls, kernel: Sequence[int], geometry: Geometry, size: Sequence[int], batch: int, machine: Machine
    ) -> ConvProblem:
        """`kernel`, `geometry`: as the layer has them."""
        taps, geometry = geometry.cropped(size, kernel[:2])
        window = (len(range(n)[part]) for n, part in zip(kernel[:2], taps, strict=True))
        return cls((*window, *kernel[2:]), geometry, (size[0], size[1]), batch, machine)

    @property
    def window(self) -> Pair:
        return self.kernel[0], self.kernel[1]

    @property
    def depth(self) -> int:
        """Input channels that one result sees."""
        return self.kernel[2]

    @property
    def inputs(self) -> int:
        return self.depth * self.geometry.groups

    @property
    def outputs(self) -> int:
        return self.kernel[3]

    @property
    def places(self) -> Pair:
        """Height and width of the result."""
        return self.geometry.places(self.size, self.window)

    @property
    def item(self) -> int:
        """Bytes of an operand of a product."""
        return jnp.dtype(self.machine.dtype).itemsize

    @property
    def image_values(self) -> int:
        return self.inputs * prod(self.size) * self.batch

    @property
    def padded_values(self) -> int:
        """Of the image with its padding."""
        sides = (side + sum(padding) for side, padding in zip(self.size, self.geometry.padding, strict=True))
        return self.inputs * prod(sides) * self.batch

    @property
    def result_values(self) -> int:
        return self.outputs * prod(self.places) * self.batch

    @property
    def patch_values(self) -> int:
        """Of a matrix of all patches."""
        return prod(self.window) * self.inputs * prod(self.places) * self.batch

    @property
    def row_values(self) -> int:
        """Of the patches of one row of results, from the image or, for its gradient, from that of the result."""
        width = max(self.size[1], self.places[1])
        return prod(self.window) * max(self.inputs, self.outputs) * width * self.batch

    @property
    def ends(self) -> int:
        """Bytes of the image, of it with its padding, of the result and of its gradient."""
        return (self.image_values + self.padded_values + 2 * self.result_values) * FLOAT
