"""What a layer may ask of a platform: products, convolutions and pools in the precision of a run."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from nets.numerics.average import adaptive_average, window_sums
from nets.numerics.convolve import Operands, convolve, convolve_bfloat16, convolve_transposed
from nets.numerics.dot import as_bfloat16, matmul_bfloat16, product, product_bfloat16
from nets.numerics.lookup import lookup
from nets.numerics.pooling import adaptive_max, largest, max_pool
from nets.numerics.windows import Geometry, Pair


@dataclass(frozen=True)
class Numerics:
    """How XLA computes on a platform. precision: float32 | bfloat16, of operands; sums and results are float32.

    widened: kernels come rounded to `precision`, as float32, and so are the products: the same numbers, since products
    of bfloat16 are exact in float32, in half the time for one image on a CPU.
    """

    precision: str = "float32"
    platform: str = "cpu"
    widened: bool = False

    @property
    def exact(self) -> lax.Precision:
        """What makes products of float32 just that: left alone, a GPU rounds to 10 bits (TF32), a TPU to 7."""
        return lax.Precision.DEFAULT if self.platform == "cpu" else lax.Precision.HIGHEST

    @property
    def effective(self) -> str:
        """What products are really made of, in words."""
        if self.precision == "float32":
            return "float32, of six bfloat16 products" if self.platform == "tpu" else "float32"
        return "bfloat16, also of what convolutions give" if self.platform == "gpu" else "bfloat16"

    @property
    def rounded(self) -> DTypeLike:
        """What convolutions of bfloat16 and their gradients give.

        cuDNN has none that give float32: XLA would widen the operands and compute in TF32.
        """
        return jnp.bfloat16 if self.platform == "gpu" else jnp.float32

    def dot(self, x: Array, kernel: Array) -> Array:
        """`[..., in] @ [in, out]`."""
        if self.precision == "float32":
            return jnp.matmul(x, kernel, precision=self.exact)
        if self.widened:
            return jnp.matmul(as_bfloat16(x), kernel)
        rows = matmul_bfloat16(x.reshape(-1, x.shape[-1]), kernel)
        return rows.reshape(*x.shape[:-1], kernel.shape[1])

    def product(self, a: Array, b: Array, axis_a: int = 1, axis_b: int = 0) -> Array:
        """The sum of products over one axis of each matrix; the axes before these two are a batch of both."""
        if self.precision == "float32":
            return product(a, b, axis_a, axis_b, self.exact)
        if self.widened:
            return product(as_bfloat16(a), as_bfloat16(b), axis_a, axis_b)
        return product_bfloat16(a, b, axis_a, axis_b)

    def lookup(self, table: Array, numbers: Array) -> Array:
        """`[rows, width]`, integers `[...]` -> `[..., width]`; no product, so never rounded."""
        return lookup(table, numbers, table.shape[0], self.platform, self.exact)

    def convolve(self, x: Array, kernel: Array, at: Geometry) -> Array:
        """`[B, H, W, in] * [kh, kw, in / groups, out] -> [B, H', W', out]`: a cross-correlation."""
        if self.precision == "float32":
            return convolve(x, kernel, at, self.exact)
        if self.widened:
            return convolve(as_bfloat16(x), kernel, at)
        return convolve_bfloat16(x, kernel, at, self.rounded)

    def convolve_transposed(self, x: Array, kernel: Array, at: Geometry, size: Pair) -> Array:
        """`[B, H, W, in] * [kh, kw, out / groups, in] -> [B, *size, out]`: the gradient of a convolution `at`."""
        if self.precision == "float32" or self.widened:
            x = as_bfloat16(x) if self.widened and self.precision != "float32" else x
            return convolve_transposed(x, kernel, at, size, Operands(precision=self.exact))
        return convolve_transposed(x, kernel, at, size, Operands(jnp.bfloat16, result=self.rounded))

    def max_pool(self, x: Array, window: Pair, at: Geometry) -> Array:
        """`[_, H, W, _] -> [_, H', W', _]`; padding counts as minus infinity."""
        return max_pool(x, window, at)

    def sum_pool(self, x: Array, window: Pair, at: Geometry) -> Array:
        """`[_, H, W, _] -> [_, H', W', _]`: the sum of each window; padding counts as zeros."""
        return window_sums(x, window, at)

    def adaptive_average(self, x: Array, places: Pair) -> Array:
        """`[_, H, W, _] -> [_, *places, _]`: the mean of each part of an image."""
        return adaptive_average(x, places, self.exact)

    def adaptive_max(self, x: Array, places: Pair) -> Array:
        """`[_, H, W, _] -> [_, *places, _]`: the largest of each part of an image."""
        return adaptive_max(x, places)

    def largest(self, x: Array, axis: int) -> Array:
        """The largest along an axis; the first of equal ones gets the gradient."""
        return largest(x, axis)
