"""The plan for training on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu import fusions, limits
from nets.kernels.cpu.convolution import convolve, footprint
from nets.kernels.cpu.gemm import (
    OLD_EMITTERS,
    OPTIONS,
    OPTIONS_OF_IMAGES,
    barrier,
    matmul_columns,
    matmul_rows,
)
from nets.kernels.cpu.layouts import (
    Activation,
    Columns,
    Image,
    Phases,
    Pixels,
    Rows,
    columns,
    image,
    mapped,
    rows,
    shape_of,
)
from nets.kernels.cpu.layouts import phases as phases_of
from nets.kernels.cpu.machine import Machine, Unit
from nets.kernels.cpu.norm import NormOptions, batch_norm
from nets.kernels.cpu.pool import max_pool
from nets.kernels.cpu.pool_windows import per_channel
from nets.kernels.cpu.problem import ConvProblem
from nets.kernels.footprint import Footprint
from nets.kernels.plan import Rates, Stage
from nets.numerics.normalise import Moments, keep_mask, normalised
from nets.numerics.windows import Geometry, Padding, Pair


@dataclass(frozen=True)
class CpuPlan:
    """Images channels first and batch last, everything heavy a matrix product. `precision`: float32 | bfloat16.

    unit: what multiplies bfloat16; the faster it is, the more channels it takes for transforms to pay for themselves.
    """

    precision: str = "float32"
    unit: Unit = "double_pumped"
    native: bool = False

    @property
    def name(self) -> str:
        return "cpu"

    def compiler_options(self, layers: Sequence[Any]) -> Mapping[str, str | bool]:
        return OPTIONS_OF_IMAGES if _has_images(layers) else OPTIONS

    def set_apart(self, updates: Any, layers: Sequence[Any]) -> Any:
        # What the older generator makes of a loop that writes where it reads goes one value at a time: roots and
        # quotients take four times as long there. They get arrays of their own, and only the sum is made in place.
        return barrier(updates) if _has_images(layers) and OLD_EMITTERS else updates

    @property
    def rates(self) -> Rates:
        # Of two cores that do nothing else.
        return Rates(5e11 if self.precision == "bfloat16" and self.unit != "double_pumped" else 2.5e11, 1.6e9)

    @property
    def machine(self) -> Machine:
        return Machine(self.precision, self.unit, self.native)

    @property
    def dtype(self) -> DTypeLike:
        """The type of the operands of products."""
        return self.machine.dtype

    def native_for(self, batch: int) -> bool:
        """Whether convolutions of so many images may be computed by kernels of `native`."""
        return self.machine.native_for(batch)

    def micro_batch(self, layers: Sequence[Any]) -> int | None:
        return limits.IMAGES_AT_A_TIME if _has_images(layers) else limits.FEATURES_AT_A_TIME

    @property
    def evaluation_batch(self) -> int | None:
        return limits.IMAGES_AT_A_TIME

    def enter(self, images: Array) -> Activation:
        return Pixels(images)

    def leave(self, x: Activation) -> Array:
        return rows(x).astype(jnp.float32)

    def conv2d(
        self,
        x: Activation,
        kernel: Array,
        bias: Array | None,
        *,
        stride: Pair,
        padding: Padding,
        dilation: Pair = (1, 1),
        groups: int = 1,
    ) -> Activation:
        y = convolve(self.machine, x, kernel, Geometry(stride, padding, dilation, groups))
        return y if bias is None else mapped(lambda v: v + per_channel(bias), y)

    def max_pool2d(self, x: Activation, *, window: Pair, stride: Pair, padding: Padding) -> Activation:
        array = image(x)
        return Image(max_pool(array, window, Geometry(stride, padding)))

    def dense(self, x: Activation, kernel: Array, bias: Array | None) -> Activation:
        if isinstance(x, Columns):
            y = matmul_columns(x.array, kernel, self.dtype)
        else:
            y = matmul_rows(rows(x), kernel, self.dtype)
        return Rows(y if bias is None else y + bias)

    def flatten(self, x: Activation) -> Activation:
        if isinstance(x, Columns | Rows):
            return x
        return Rows(rows(x)) if isinstance(x, Pixels) else Columns(columns(x))

    def as_image(self, x: Activation, *, height: int, width: int) -> Activation:
        array = columns(x)
        return Image(array.reshape(1, height, width, array.shape[1]))

    def elementwise(self, function: Callable[[Array], Array], x: Activation) -> Activation:
        return mapped(function, x)

    def softmax(self, x: Activation) -> Activation:
        if isinstance(x, Rows):
            return Rows(jax.nn.softmax(x.array, axis=1))
        return mapped(lambda array: jax.nn.softmax(array, axis=0), x)

    def dropout(self, x: Activation, *, key: Array, rate: Array) -> Activation:
        if isinstance(x, Rows):
            return Rows(x.array * keep_mask(key, rate, x.array.shape))
        if isinstance(x, Columns):
            return Columns(x.array * keep_mask(key, rate, x.array.shape[::-1]).T)
        array = image(x)
        channels, height, width, batch = array.shape
        return Image(array * keep_mask(key, rate, (batch, channels, height, width)).transpose(1, 2, 3, 0))

    def batch_norm(
        self,
        x: Activation,
        scale: Array,
        bias: Array,
        *,
        eps: float,
        running: tuple[Array, Array] | None,
        shift: Array | None = None,
        skip: Activation | None = None,
        relu: bool = False,
    ) -> tuple[Activation, Moments | None]:
        if running is None and not isinstance(x, Rows | Columns):
            return self._batch_norm_of_images(x, scale, bias, eps=eps, shift=shift, skip=skip, relu=relu)
        axis = 1 if isinstance(x, Rows) else 0
        if isinstance(x, Pixels | Phases):
            x = Image(image(x))
        y, moments = normalised(x.array, scale, bias, axis=axis, eps=eps, running=running, shift=shift)
        y = y if skip is None else y + _alike(skip, x)
        return type(x)(jax.nn.relu(y) if relu else y), moments

    def _batch_norm_of_images(
        self,
        x: Activation,
        scale: Array,
        bias: Array,
        *,
        eps: float,
        shift: Array | None,
        skip: Activation | None,
        relu: bool,
    ) -> tuple[Activation, Moments]:
        options = NormOptions(eps, self.dtype, relu_after=relu)
        form = phases_of if isinstance(x, Phases) else image
        y, mean, var = batch_norm(form(x), None if skip is None else form(skip), scale, bias, options)
        mean = mean if shift is None else mean + shift
        _, height, width, batch = shape_of(x)
        return Phases(y) if isinstance(y, tuple) else Image(y), Moments(mean, var, height * width * batch)

    def footprint(self, kernel: tuple[int, ...], at: Geometry, size: Pair, batch: int) -> Footprint:
        return footprint(ConvProblem.of(kernel, at, size, batch, self.machine))

    def stages(self, layers: Sequence[Any], *, train: bool) -> tuple[Stage, ...]:
        return fusions.cut(self, layers)


def _has_images(layers: Sequence[Any]) -> bool:
    return any(layer.takes == "image" for layer in layers)


def _alike(skip: Activation, x: Activation) -> Array:
    """`skip` in the form of `x`."""
    if isinstance(x, Rows):
        return rows(skip)
    return columns(skip) if isinstance(x, Columns) else image(skip)
