"""How much memory a run needs, before any of it is allocated."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nets.architecture import Architecture
from nets.datasets import DatasetInfo
from nets.errors import Problem, SpecError
from nets.hyperparams import Hyperparams
from nets.programs import recipe_on
from nets.sampling import split_sizes

FLOAT = 4
# Values held per activation while a step goes forward and back: itself, and what its gradient is made from and into.
COPIES = 2
SHARE = 0.9  # of what is free; the rest is for everybody else
# Bytes and seconds of two cores that compiling takes: any network, each layer, each convolution. Measured with 2 to 256
# layers; a convolution's backward pass is written out for its shape.
PROGRAMS, A_LAYER, A_CONVOLUTION = 64 << 20, 1 << 20, 24 << 20
LAYER_SECONDS, CONVOLUTION_SECONDS = 0.05, 1.5


@dataclass(frozen=True)
class Memory:
    """Bytes that a run needs, by what they hold."""

    weights: int  # parameters, gradients, optimizer state; or, after an epoch, what is copied of them to be kept
    activations: int  # of the images that go through at a time, with the patches of their convolutions
    samples: int
    programs: int  # to compile

    @property
    def total(self) -> int:
        return self.weights + self.activations + self.samples + self.programs


def memory_needed(architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo) -> Memory:
    """An estimate that leans to the high side."""
    train, validation = split_sizes(hyperparams, info.train_size)
    return Memory(
        weights=_weights(architecture, hyperparams),
        activations=_activations(architecture, hyperparams, info),
        samples=(train + validation + info.test_size) * (math.prod(info.shape) + FLOAT),
        programs=PROGRAMS + A_LAYER * len(architecture.layers) + A_CONVOLUTION * _convolutions(architecture),
    )


def compile_seconds(architecture: Architecture) -> float:
    """Roughly how long two cores take to compile the programs of a network for a CPU."""
    return LAYER_SECONDS * len(architecture.layers) + CONVOLUTION_SECONDS * _convolutions(architecture)


def _convolutions(architecture: Architecture) -> int:
    params = architecture.arrays()["params"].values()
    return sum(len(p.shape) == 4 for layer in params for p in layer.values())


def _weights(architecture: Architecture, hyperparams: Hyperparams) -> int:
    state, best = 1 + hyperparams.optimizer.slots, int(hyperparams.keep_best)
    # A step holds gradients and a temporary; the end of an epoch a copy of the state, the bytes of its file, and once
    # more those of the array that is being put into them.
    return architecture.parameters * FLOAT * max(state + 2 + best, 2 * (state + best) + state + 1)


def _activations(architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo) -> int:
    kept, widest, patches = math.prod(architecture.input), 0, 0
    for layer, shape in zip(architecture.layers, architecture.shapes, strict=True):
        output, held = layer.output_shape(shape), layer.held(shape)
        kept += held
        widest = max(widest, math.prod(layer.padded_shape(shape)) + held)
        # A convolution unrolls its windows: one column of kernel size per output pixel.
        kernels = [p.shape for p in layer.parameters(shape).values() if len(p.shape) == 4]
        patches = max([patches, *(math.prod(kernel[:3]) * math.prod(output[1:]) for kernel in kernels)])
    recipe = recipe_on(architecture, hyperparams, info)
    training = recipe.steps.part(recipe.batch) * (COPIES * kept + widest + patches)
    return FLOAT * max(training, recipe.evaluation_batch * (COPIES * widest + patches))


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
