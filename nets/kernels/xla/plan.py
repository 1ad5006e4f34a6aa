"""The plan that leaves the work to XLA: images lie `[batch, height, width, channels]`. GPU, TPU, and inference."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from nets.kernels.footprint import Footprint
from nets.kernels.plan import Rates, Stage
from nets.numerics.normalise import Moments, as_float32, keep_mask, normalised, scaled_images
from nets.numerics.pooling import max_pool
from nets.numerics.windows import Geometry, Padding, Pair

# Measured rates of whole training steps, rounded down: only the length of one dispatch depends on them.
RATES = MappingProxyType({"cpu": Rates(2e10, 1.3e8), "gpu": Rates(1e13, 6.7e10), "tpu": Rates(1e13, 6.7e10)})

# For `jax.jit`, on a GPU.
GPU_OPTIONS: Mapping[str, str | bool] = MappingProxyType(
    {
        # A CUDA graph of the whole loop over batches: the device itself asks whether a batch is left.
        "xla_gpu_enable_command_buffer": "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,CONVOLUTION,"
        "DYNAMIC_SLICE_FUSION,CONDITIONAL,WHILE",
        # The same numbers every time: no sums in the order in which threads happen to come, no kernel chosen by a race
        # against the clock. That race would also take 20 s of a compilation of 2.
        "xla_gpu_exclude_nondeterministic_ops": True,
    }
)
# cuDNN computes true float32 channel by channel, and would turn every image round and back: networks are 15 to 38 %
# faster so at batches of up to 256, and 16 % slower at 1,024.
GPU_OPTIONS_OF_FLOAT32 = MappingProxyType({**GPU_OPTIONS, "xla_gpu_force_conv_nchw": True})


@dataclass(frozen=True)
class XlaPlan:
    """NHWC activations and XLA's own convolutions. `precision`: float32 | bfloat16 (of operands; sums are float32).

    widened: kernels come rounded to `precision`, as float32, and so are the products: the same numbers, since products
    of bfloat16 are exact in float32, in half the time for one image on a CPU.
    """

    precision: str = "float32"
    platform: str = "cpu"
    widened: bool = False

    @property
    def name(self) -> str:
        return "xla"

    def compiler_options(self, layers: Sequence[Any]) -> Mapping[str, str | bool]:
        if self.platform != "gpu":
            return {}
        return GPU_OPTIONS_OF_FLOAT32 if self.precision == "float32" else GPU_OPTIONS

    def set_apart(self, updates: Any, layers: Sequence[Any]) -> Any:
        return updates

    @property
    def exact(self) -> lax.Precision:
        """What makes products of float32 just that: left alone, a GPU rounds to 10 bits (TF32), a TPU to 7."""
        return lax.Precision.DEFAULT if self.platform == "cpu" else lax.Precision.HIGHEST

    @property
    def rounded(self) -> DTypeLike:
        """What convolutions of bfloat16 and their gradients give.

        cuDNN has none that give float32: XLA would widen the operands and compute in TF32.
        """
        return jnp.bfloat16 if self.platform == "gpu" else jnp.float32

    @property
    def rates(self) -> Rates:
        return RATES.get(self.platform, RATES["gpu"])

    def micro_batch(self, layers: Sequence[Any]) -> int | None:
        return None

    @property
    def evaluation_batch(self) -> int | None:
        return None

    def enter(self, images: Array) -> Array:
        return scaled_images(images)

    def leave(self, x: Array) -> Array:
        return as_float32(self.flatten(x))

    def conv2d(
        self,
        x: Array,
        kernel: Array,
        bias: Array | None,
        *,
        stride: Pair,
        padding: Padding,
        dilation: Pair = (1, 1),
        groups: int = 1,
    ) -> Array:
        geometry = Geometry(stride=stride, padding=padding, dilation=dilation, groups=groups)
        if self.precision == "float32":
            y = convolve(x, kernel, geometry, self.exact)
        elif self.widened:
            y = convolve(as_bfloat16(x), kernel, geometry)
        else:
            y = convolve_bfloat16(x, kernel, geometry, self.rounded)
        return y if bias is None else y + bias

    def max_pool2d(self, x: Array, *, window: Pair, stride: Pair, padding: Padding) -> Array:
        return max_pool(x, window, Geometry(stride, padding))

    def dense(self, x: Array, kernel: Array, bias: Array | None) -> Array:
        if self.precision == "float32":
            y = jnp.matmul(x, kernel, precision=self.exact)
        else:
            y = jnp.matmul(as_bfloat16(x), kernel) if self.widened else matmul_bfloat16(x, kernel)
        return y if bias is None else y + bias

    def flatten(self, x: Array) -> Array:
        return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1) if x.ndim == 4 else x

    def as_image(self, x: Array, *, height: int, width: int) -> Array:
        return x.reshape(x.shape[0], height, width, 1)

    def elementwise(self, function: Callable[[Array], Array], x: Array) -> Array:
        return function(x)

    def softmax(self, x: Array) -> Array:
        return jax.nn.softmax(x, axis=-1)

    def dropout(self, x: Array, *, key: Array, rate: Array) -> Array:
        if x.ndim == 2:
            mask = keep_mask(key, rate, x.shape)
        else:
            batch, height, width, channels = x.shape
            mask = keep_mask(key, rate, (batch, channels, height, width)).transpose(0, 2, 3, 1)
        return x * mask

    def batch_norm(
        self,
        x: Array,
        scale: Array,
        bias: Array,
        *,
        eps: float,
        running: tuple[Array, Array] | None,
        shift: Array | None = None,
        skip: Array | None = None,
        relu: bool = False,
    ) -> tuple[Array, Moments | None]:
        y, moments = normalised(x, scale, bias, axis=x.ndim - 1, eps=eps, running=running, shift=shift)
        y = y if skip is None else y + skip
        return (jax.nn.relu(y) if relu else y), moments

    def native_for(self, batch: int) -> bool:
        return False

    def footprint(self, kernel: tuple[int, ...], at: Geometry, size: Pair, batch: int) -> Footprint:
        patches = math.prod(kernel[:3]) * math.prod(at.places(size, kernel[:2])) * batch * 4
        return Footprint(0, patches)

    def stages(self, layers: Sequence[Any], *, train: bool) -> tuple[Stage, ...]:
        return tuple(Stage(i, i + 1) for i in range(len(layers)))


def as_bfloat16(x: Array) -> Array:
    """`x` rounded, as float32. Not by two conversions, which XLA leaves out."""
    return lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)


def convolve(
    x: Array,
    kernel: Array,
    at: Geometry,
    precision: lax.Precision = lax.Precision.DEFAULT,
    result: DTypeLike = jnp.float32,
) -> Array:
    """`[B, H, W, in] * [kh, kw, in / groups, out] -> [B, H', W', out]`, summed in float32, given as `result`."""
    return lax.conv_general_dilated(
        x,
        kernel,
        at.stride,
        at.padding,
        rhs_dilation=at.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=at.groups,
        precision=precision,
        preferred_element_type=result,
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve_bfloat16(x: Array, kernel: Array, at: Geometry, result: DTypeLike = jnp.float32) -> Array:
    """`convolve` of operands rounded to bfloat16, in both directions: autodiff would widen the gradient's operands.

    Sums are float32. `result`: what they are given as, before they are widened to float32 again.
    """
    return _convolve_forward(x, kernel, at, result)[0]


def _convolve_forward(x: Array, kernel: Array, at: Geometry, result: DTypeLike) -> tuple[Array, tuple[Array, Array]]:
    narrow = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    return convolve(*narrow, at, result=result).astype(jnp.float32), narrow


def _convolve_backward(at: Geometry, result: DTypeLike, narrow: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = narrow
    g = g.astype(jnp.bfloat16)
    of_input = _gradient_of_input(x.shape, kernel, g, at, result)
    of_kernel = _gradient_of_kernel(x, kernel.shape, g, at, result)
    return of_input.astype(jnp.float32), of_kernel.astype(jnp.float32)


convolve_bfloat16.defvjp(_convolve_forward, _convolve_backward)


def _gradient_of_input(shape: tuple[int, ...], kernel: Array, g: Array, at: Geometry, result: DTypeLike) -> Array:
    """The gradient is a convolution of `g`, spread out by the stride, with the kernel turned round."""
    kh, kw, inputs, outputs = kernel.shape
    grouped = kernel[::-1, ::-1].reshape(kh, kw, inputs, at.groups, outputs // at.groups)
    turned = grouped.transpose(0, 1, 4, 3, 2).reshape(kh, kw, outputs // at.groups, at.groups * inputs)
    padding = []
    for axis, taps in enumerate((kh, kw)):
        low = at.dilation[axis] * (taps - 1) - at.padding[axis][0]
        spread = (g.shape[1 + axis] - 1) * at.stride[axis] + 1
        padding.append((low, shape[1 + axis] + at.dilation[axis] * (taps - 1) - spread - low))
    return lax.conv_general_dilated(
        g,
        turned,
        (1, 1),
        padding,
        lhs_dilation=at.stride,
        rhs_dilation=at.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=at.groups,
        preferred_element_type=result,
    )


def _gradient_of_kernel(x: Array, shape: tuple[int, ...], g: Array, at: Geometry, result: DTypeLike) -> Array:
    """The gradient is a convolution of `x` with `g` as the kernel: the batch is what is summed over."""
    padding = []
    for axis, taps in enumerate(shape[:2]):
        low = at.padding[axis][0]
        reach = (g.shape[1 + axis] - 1) * at.stride[axis] + 1 + at.dilation[axis] * (taps - 1)
        padding.append((low, reach - x.shape[1 + axis] - low))
    return lax.conv_general_dilated(
        x,
        g,
        at.dilation,
        padding,
        rhs_dilation=at.stride,
        dimension_numbers=("CHWN", "IHWO", "HWNC"),
        batch_group_count=at.groups,
        preferred_element_type=result,
    )


@jax.custom_vjp
def matmul_bfloat16(x: Array, kernel: Array) -> Array:
    """`[B, in] @ [in, out]` of operands rounded to bfloat16, summed in float32, in both directions."""
    return _matmul_forward(x, kernel)[0]


def _matmul_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    narrow = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    return _dot(*narrow, 1, 0), narrow


def _matmul_backward(narrow: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = narrow
    g = g.astype(jnp.bfloat16)
    return _dot(g, kernel, 1, 1), _dot(x, g, 0, 0)


matmul_bfloat16.defvjp(_matmul_forward, _matmul_backward)


def _dot(a: Array, b: Array, axis_of_a: int, axis_of_b: int) -> Array:
    return lax.dot_general(a, b, (((axis_of_a,), (axis_of_b,)), ((), ())), preferred_element_type=jnp.float32)
