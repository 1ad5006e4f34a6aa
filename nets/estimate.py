"""How much memory a run needs, before any of it is allocated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import psutil

from nets.architecture import Architecture
from nets.datasets import DatasetInfo
from nets.errors import Problem, SpecError
from nets.hyperparams import Hyperparams
from nets.sampling import split_sizes

FLOAT = 4
# Values kept per activation while a step goes forward and back: itself, its gradient, and a temporary.
COPIES = 3
SHARE = 0.9  # of what is free; the rest is for everybody else


@dataclass(frozen=True)
class Memory:
    """Bytes that a run needs, by what they hold."""

    weights: int  # parameters, gradients, optimizer state; or, after an epoch, what is copied of them to be kept
    activations: int  # of one batch, with the patches of its convolutions
    samples: int

    @property
    def total(self) -> int:
        return self.weights + self.activations + self.samples


def memory_needed(architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo) -> Memory:
    """An estimate that leans to the high side."""
    train, validation = split_sizes(hyperparams, info.train_size)
    batch = min(hyperparams.batch_size, max(train, 1))
    values = patches = 0
    for layer, shape in zip(architecture.layers, architecture.shapes, strict=True):
        output = layer.output_shape(shape)
        values += math.prod(output) + math.prod(layer.padded_shape(shape))
        # A convolution unrolls its windows: one column of kernel size per output pixel.
        kernels = [p.shape for p in layer.parameters(shape).values() if len(p.shape) == 4]
        patches = max([patches, *(math.prod(kernel[:3]) * math.prod(output[1:]) for kernel in kernels)])
    state, best = 1 + hyperparams.optimizer.slots, int(hyperparams.keep_best)
    # A step holds gradients and a temporary; the end of an epoch a copy of the state, and the bytes of its file.
    times = max(state + 2 + best, 2 * (state + best) + state)
    return Memory(
        weights=architecture.parameters * FLOAT * times,
        activations=batch * FLOAT * (COPIES * values + 2 * patches),
        samples=(train + validation + info.test_size) * (math.prod(info.shape) + FLOAT),
    )


def check_memory(architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo, *, available: int) -> None:
    """SpecError where a run would not fit into `available` bytes, with the numbers."""
    need = memory_needed(architecture, hyperparams, info)
    if need.total <= available * SHARE:
        return
    largest = "layers" if need.weights >= need.activations else "batch_size"
    path = ("architecture", "layers") if largest == "layers" else ("hyperparams", "batch_size")
    raise SpecError(
        [
            Problem(
                path,
                f"needs {need.total / 1e9:.1f} GB of parameters, optimizer state and activations; "
                f"{available * SHARE / 1e9:.1f} GB are available. Use smaller layers or a smaller batch",
            )
        ]
    )


def available_memory() -> int:
    """Bytes that the host can still give. An accelerator's own memory, where it tells it, is checked too."""
    import jax

    free = int(psutil.virtual_memory().available)
    stats = jax.local_devices()[0].memory_stats() or {}
    limit = stats.get("bytes_limit")
    return min(free, int(limit) - int(stats.get("bytes_in_use", 0))) if limit else free
