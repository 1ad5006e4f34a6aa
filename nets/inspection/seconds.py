"""How long a run takes to begin and to train, before anything is compiled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from typing_extensions import TypedDict

from nets.architecture.architecture import Architecture
from nets.architecture.graph import Graph
from nets.calibration.calibration import Calibration
from nets.datasets import DatasetInfo
from nets.facts import About
from nets.hyperparams.hyperparams import Hyperparams
from nets.training.pace import BACKWARD, sample_seconds
from nets.training.sampling import split_sizes
from nets.training.workload import Workload

LAYER_SECONDS, CONVOLUTION_SECONDS = 0.05, 1.5  # of two cores
# Of a convolution of every channel by itself each tap of its window is written out. Measured with 9 to 729 taps;
# channels, stride and dilation change nothing.
TAP_SECONDS = 0.006
UNCALIBRATED = 1.0  # the error of an estimate from rates of another machine


class Predicted(TypedDict):
    """What a run will take."""

    compile_seconds: Annotated[float, About("Until every program of the run is compiled.")]
    seconds_per_epoch: Annotated[float, About("One epoch with its validation.")]
    total_seconds: Annotated[float, About("Compiling, all epochs, and the test at the end.")]
    basis: Annotated[str, About("What the prediction is made from.")]
    error: Annotated[float, About("Nine of ten epochs are within this share of `seconds_per_epoch`.")]


@dataclass(frozen=True)
class Measured:
    """What a run took that has ended.

    structure: `structure_of` its workload. train, validation: samples of an epoch. epoch_seconds: the median.
    compile_seconds: where every program was compiled anew, else None.
    """

    structure: str
    train: int
    validation: int
    epoch_seconds: float
    compile_seconds: float | None = None


def predict(
    workload: Workload,
    info: DatasetInfo,
    hyperparams: Hyperparams,
    *,
    calibration: Calibration | None = None,
    history: Sequence[Measured] = (),
) -> Predicted:
    """What a run of the workload will take.

    calibration: of the device that the workload names. history: runs that this machine has computed before, any.
    """
    train, validation = split_sizes(hyperparams, info.train_size)
    sample = sample_seconds(workload.steps.network)
    epoch, test = sample * (train + validation / BACKWARD), sample * info.test_size / BACKWARD
    compiling = seconds_to_compile(workload.graph)
    return {
        "compile_seconds": compiling,
        "seconds_per_epoch": epoch,
        "total_seconds": compiling + hyperparams.epochs * epoch + test,
        "basis": "rough rates of another machine",
        "error": UNCALIBRATED,
    }


def compile_seconds(architecture: Architecture) -> float:
    """Roughly how long two cores take to compile the programs of a network for a CPU."""
    return seconds_to_compile(architecture.graph)


def seconds_to_compile(graph: Graph) -> float:
    """The same of a graph."""
    kernels = [(kernel, at.groups) for node in graph.nodes for kernel, at in node.layer.convolutions(*node.takes)]
    written_out = sum(math.prod(kernel[:2]) for kernel, groups in kernels if groups == kernel[3] > 1)
    of_convolutions = CONVOLUTION_SECONDS * len(kernels) + TAP_SECONDS * written_out
    return LAYER_SECONDS * len(graph.nodes) + of_convolutions
