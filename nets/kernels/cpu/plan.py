"""The plan for training on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu import fusions, strided, toom_cook, winograd
from nets.kernels.cpu.conv import convolve, pointwise
from nets.kernels.cpu.footprint import footprint
from nets.kernels.cpu.gemm import (
    OLD_EMITTERS,
    OPTIONS,
    OPTIONS_OF_IMAGES,
    Unit,
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
    join,
    mapped,
    rows,
    shape_of,
)
from nets.kernels.cpu.layouts import phases as phases_of
from nets.kernels.cpu.native import conv as native
from nets.kernels.cpu.norm import Recipe, batch_norm
from nets.kernels.cpu.pool import max_pool
from nets.kernels.cpu.pool_windows import per_channel
from nets.kernels.cpu.relu import biased_relu
from nets.kernels.plan import Footprint, Moments, Padding, Pair, Rates, Stage
from nets.numerics.normalise import keep_mask, normalised
from nets.numerics.windows import Geometry

SMALL_BATCH = 64  # images of more fall out of the caches: 1.15 to 1.4 times as fast in parts


@dataclass(frozen=True)
class CpuPlan:
    """Images channels first and batch last, everything heavy a matrix product. `precision`: float32 | bfloat16.

    unit: what multiplies bfloat16; the faster it is, the more channels it takes for transforms to pay for themselves.
    """

    precision: str = "float32"
    unit: Unit = "halves"
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
        return Rates(5e11 if self.precision == "bfloat16" and self.unit != "halves" else 2.5e11, 1.6e9)

    @property
    def dtype(self) -> DTypeLike:
        """The type of the operands of products."""
        return jnp.dtype(self.precision)

    def native_for(self, batch: int) -> bool:
        """Whether convolutions of so many images may be computed by kernels of `native`."""
        return self.native and native.fills(batch, self.unit)

    def fewest_channels(self, batch: int) -> winograd.Limits:
        """From which Winograd's transforms pay."""
        if self.native_for(batch):
            return winograd.FEWEST_CHANNELS_BESIDE_NATIVE[self.precision, self.unit]
        return winograd.FEWEST_CHANNELS["float32" if self.precision == "float32" else self.unit]

    def micro_batch(self, layers: Sequence[Any]) -> int | None:
        # Features are few, and every part of a dense network reads all weights and adds to all their gradients: 1.1 to
        # 1.7 times as fast in parts of 512. Larger ones bring at most a tenth, and wide layers take much memory there.
        return SMALL_BATCH if _has_images(layers) else 512

    @property
    def evaluation_batch(self) -> int | None:
        return SMALL_BATCH

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
        y = self.convolve(x, kernel, Geometry(stride, padding, dilation, groups))
        return y if bias is None else mapped(lambda v: v + per_channel(bias), y)

    def convolve(self, x: Activation, kernel: Array, at: Geometry, *, kept: bool = True) -> Activation:
        """Without a bias. kept: False leaves the last sums to be computed in one pass with what follows."""
        seen, at = at.cropped(shape_of(x)[1:3], kernel.shape[:2])
        kernel = kernel[seen]
        if self._computes_natively(x, kernel, at):
            return Image(native.native_convolve(image(x), kernel, at, self.dtype))
        if strided.fits(kernel.shape, at):
            return self._strided(x, kernel, at, kept)
        _, *size, batch = shape_of(x)
        if winograd.fits(kernel.shape, at, size, self.fewest_channels(batch)):
            if winograd.keeps_phases(size, at):
                return Phases(winograd.winograd(phases_of(x), kernel, self.dtype, at.padding[0][0]))
            return Image(winograd.winograd_image(image(x), kernel, at, self.dtype))
        if isinstance(x, Phases) and kernel.shape[:2] == (1, 1) and at == Geometry():
            return Phases(tuple(pointwise(phase, kernel, at, self.dtype) for phase in x.phases))
        return Image(convolve(image(x), kernel, at, self.dtype, kept=kept))

    def convolve_relu(self, x: Activation, kernel: Array, bias: Array | None, at: Geometry) -> Activation | None:
        """relu(convolution + bias) in one pass, rounded to `dtype`; None where that is no faster than one by one."""
        seen, cropped = at.cropped(shape_of(x)[1:3], kernel.shape[:2])
        if self._computes_natively(x, kernel[seen], cropped):
            return Image(native.native_relu(image(x), kernel[seen], bias, cropped, self.dtype))
        if self.dtype == jnp.float32:
            return None
        return biased_relu(self.convolve(x, kernel, at, kept=False), bias, self.dtype)

    def _computes_natively(self, x: Activation, kernel: Array, at: Geometry) -> bool:
        _, *size, batch = shape_of(x)
        if not self.native_for(batch) or not native.fits(at):
            return False
        return not winograd.fits(kernel.shape, at, size, self.fewest_channels(batch))

    def _strided(self, x: Activation, kernel: Array, at: Geometry, kept: bool) -> Activation:
        (_, *size, batch), window = shape_of(x), kernel.shape[:2]
        dense, of_dense = strided.dense_kernel(kernel, at), strided.dense_size(size, window, at)
        if winograd.fits(dense.shape, Geometry(), of_dense, self.fewest_channels(batch)):
            phases, blocks = strided.dense_phases(image(x), window, at), strided.blocks(window, at)
            y = winograd.winograd(phases, dense, self.dtype, 0, blocks)
            height, width = at.places(size, window)
            return Image(join(y)[:, :height, :width]) if height % 2 or width % 2 else Phases(y)
        few = self.dtype == jnp.float32 and toom_cook.fits(dense.shape, Geometry(), of_dense)
        if not few and strided.stays(kernel.shape, at, self.dtype, size, batch):
            return Image(convolve(image(x), kernel, at, self.dtype, kept=kept))
        image_of_phases = strided.dense_image(image(x), window, at)
        return Image(convolve(image_of_phases, dense, Geometry(), self.dtype, kept=kept))

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
        recipe = Recipe(eps, self.dtype, relu_after=relu)
        form = phases_of if isinstance(x, Phases) else image
        y, mean, var = batch_norm(form(x), None if skip is None else form(skip), scale, bias, recipe)
        mean = mean if shift is None else mean + shift
        _, height, width, batch = shape_of(x)
        return Phases(y) if isinstance(y, tuple) else Image(y), Moments(mean, var, height * width * batch)

    def footprint(self, kernel: tuple[int, ...], at: Geometry, size: Pair, batch: int) -> Footprint:
        return footprint(self, kernel, at, size, batch)

    def stages(self, layers: Sequence[Any], *, train: bool) -> tuple[Stage, ...]:
        return fusions.cut(self, layers)


def _has_images(layers: Sequence[Any]) -> bool:
    return any(layer.takes == "image" for layer in layers)


def _alike(skip: Activation, x: Activation) -> Array:
    """`skip` in the form of `x`."""
    if isinstance(x, Rows):
        return rows(skip)
    return columns(skip) if isinstance(x, Columns) else image(skip)
