"""The processor as convolutions see it: what it multiplies with, and whether it runs machine code of ours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import jax.numpy as jnp
from jax.typing import DTypeLike

from nets.kernels.cpu import limits
from nets.kernels.cpu.native.llvm_ir import LANES

# What multiplies bfloat16: AVX-512 whose vectors pass through units of 256 bits twice (AMD Zen 4; what is not known
# counts as such), AVX-512 of the full width, or Intel's matrix units. Loops over pixels run as fast on all of them, so
# the faster products are, the less is gained by saving some.
Unit = Literal["double_pumped", "full_width", "amx"]


@dataclass(frozen=True)
class Machine:
    """What convolutions are computed with. Hashable: part of what is compiled.

    precision: float32 | bfloat16, of the operands of products; sums are float32. native: whether this processor may
    run the kernels of `nets.kernels.cpu.native`; without them everything is a product of matrices. seldom: what is
    computed runs so rarely that compiling it takes longer. Native kernels compile soonest: wherever there are any.
    """

    precision: str = "float32"
    unit: Unit = "double_pumped"
    native: bool = False
    seldom: bool = False

    @property
    def dtype(self) -> DTypeLike:
        """The type of the operands of products."""
        return jnp.dtype(self.precision)

    def native_for(self, batch: int) -> bool:
        """Whether convolutions of so many images may be computed natively: their vectors have to be (nearly) full."""
        lanes = -(-batch // LANES) * LANES
        full = self.seldom or lanes <= limits.NATIVE_MOST_LANES[self.unit] * batch
        return self.native and lanes > 0 and full


@cache
def product_unit() -> Unit:
    """What this processor multiplies bfloat16 with, where Linux tells it; "double_pumped" elsewhere."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return "double_pumped"
    if "amx_bf16" in flags:
        return "amx"
    # Zen 4 has the first of these and not the second; of those of full width only Cooper Lake is taken for it.
    return "full_width" if "avx512_bf16" in flags and "avx_vnni" in flags else "double_pumped"
