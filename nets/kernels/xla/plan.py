"""The plan that leaves the work to XLA: every layer by its own definition. GPU, TPU, and inference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nets.architecture.graph import Graph
from nets.kernels.footprint import Footprint
from nets.kernels.plan import Plan, Rates, Way
from nets.numerics.windows import Geometry, Pair

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
class XlaPlan(Plan):
    """XLA's own convolutions and products, of arrays in canonical order."""

    name = "xla"

    @property
    def rates(self) -> Rates:
        return RATES.get(self.numerics.platform, RATES["gpu"])

    def compiler_options(self, graph: Graph) -> Mapping[str, str | bool]:
        if self.numerics.platform != "gpu":
            return {}
        return GPU_OPTIONS_OF_FLOAT32 if self.numerics.precision == "float32" else GPU_OPTIONS

    def footprint(self, kernel: tuple[int, ...], at: Geometry, size: Pair, batch: int) -> Footprint:
        patches = math.prod(kernel[:3]) * math.prod(at.places(size, kernel[:2])) * batch * 4
        return Footprint(0, patches)

    def way(self, kernel: tuple[int, ...], at: Geometry, size: Pair, batch: int, *, pooled: bool) -> Way:
        return Way(self.name, "XLA's own convolution")
