"""How long a run takes to begin and to train, before anything is compiled."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from typing_extensions import TypedDict

from nets.architecture.architecture import Architecture
from nets.architecture.graph import Graph
from nets.calibration.built_in import BUILT_IN
from nets.calibration.calibration import Calibration, key_of
from nets.calibration.expected import kinds_of
from nets.calibration.rates import guessed, seconds
from nets.calibration.work import of_compiling, of_evaluation, of_reading, of_training, sort_of
from nets.datasets import DatasetInfo
from nets.facts import About, Source
from nets.hyperparams.hyperparams import Hyperparams
from nets.inspection import augmenting, beside
from nets.process.devices import find
from nets.training.cache import ProgramCache
from nets.training.programs import evaluation, needed_late, parts
from nets.training.sampling import split_sizes
from nets.training.workload import Workload
from nets.views import times

LAYER_SECONDS, CONVOLUTION_SECONDS = 0.05, 1.5  # of two cores
# Of a convolution of every channel by itself each tap of its window is written out. Measured with 9 to 729 taps;
# channels, stride and dilation change nothing.
TAP_SECONDS = 0.006
# What nine of ten are within by rates of another machine, and by one earlier run, or several whose times differ less.
UNCALIBRATED, MEASURED_ONCE, MEASURED = 1.0, 0.15, 0.08
LAST = 9  # runs of the same structure that count


class Predicted(TypedDict):
    """What a run will take."""

    compile_seconds: Annotated[
        float,
        About("That the run waits for its programs, which are there as `programs` says."),
    ]
    programs: Annotated[
        Source,
        About(
            "`cold`: compiled anew. `disk`: a run of this machine had the same ones, and they are kept. `process`: "
            "they are in use already."
        ),
    ]
    seconds_per_epoch: Annotated[float, About("One epoch with its validation: `epoch_time`.")]
    total_seconds: Annotated[float, About("Compiling, all epochs, and the test at the end.")]
    basis: Annotated[str, About("What the prediction is made from.")]
    error: Annotated[float, About("Nine of ten epochs are within this share of `seconds_per_epoch`.")]


@dataclass(frozen=True)
class Measured:
    """What a run took that has ended.

    structure: `structure_of` its workload. train, validation: samples of an epoch. epoch_seconds: the median.
    compile_seconds, read_seconds: where every program was compiled anew, or read from the disk; else None.
    """

    structure: str
    train: int
    validation: int
    epoch_seconds: float
    compile_seconds: float | None = None
    read_seconds: float | None = None


class Pace:
    """How long a workload takes by one device's rates."""

    def __init__(self, workload: Workload, calibration: Calibration | None) -> None:
        self.plan = workload.unstacked.network.plan.name
        measured = calibration.rates.get(self.plan) if calibration else None
        self.workload, self.kinds = workload, kinds_of(self.plan, workload.platform)
        self.rates: Mapping[str, float] = {**BUILT_IN.get(self.plan, {}), **(measured or {})}
        self.calibrated = calibration if measured else None

    def epoch(self, train: int, validation: int) -> float:
        """One epoch, with its validation."""
        more = augmenting.seconds(self.workload, train) + beside.stepping(self.workload, train)
        return self._of(self._amounts(train)) + more + self.evaluation(validation)

    def error(self, train: int) -> float:
        """What nine of ten epochs are within: more, the more of the time is that of what was never measured, and the
        more of the processors others used while it was measured.
        """
        if self.calibrated is None:
            return UNCALIBRATED
        known = self.calibrated.errors.get(f"{self.plan}.{sort_of(self.workload.graph)}", UNCALIBRATED)
        unknown = guessed(self.rates, self._amounts(train), self.kinds)
        return known + unknown * max(0.0, UNCALIBRATED - known) + self.calibrated.disturbed

    def evaluation(self, samples: int) -> float:
        return self._of(of_evaluation(self.workload, samples * times(self.workload.objective.views)))

    def compiling(self, epoch: float) -> float:
        """What a run waits for its programs: for some of them after a first epoch of so many seconds."""
        early = replace(self.workload, tail=0)
        before = self._of(of_compiling(early, evaluation=not needed_late(evaluation(early))))
        more = augmenting.compiling(self.workload)
        return max(before, self._of(of_compiling(self.workload)) - epoch) + more

    def reading(self) -> float:
        """The same programs from the disk."""
        return self._of(of_reading(self.workload))

    def _amounts(self, train: int) -> Mapping[str, float]:
        tail = train % self.workload.batch if self.workload.graph.normalises else 0
        return of_training(replace(self.workload, tail=tail), train)

    def _of(self, amounts: Mapping[str, float]) -> float:
        return seconds(self.rates, amounts, self.kinds)


def predict(
    workload: Workload,
    info: DatasetInfo,
    hyperparams: Hyperparams,
    *,
    calibration: Calibration | None = None,
    history: Sequence[Measured] = (),
    programs: ProgramCache | None = None,
) -> Predicted:
    """What a run of the workload will take.

    calibration: of the device that the workload names. history: runs that this machine has computed before, the latest
    first; those of another structure do not count. programs: those of this process.
    """
    train, validation = split_sizes(hyperparams, info.train_size)
    pace = Pace(workload, calibration)
    epoch, error, basis = pace.epoch(train, validation), pace.error(train), told(pace, workload)
    classes = len(info.classes)
    epoch += beside.measuring(hyperparams, classes, validation)
    structure = structure_of(workload) if history else ""
    alike = [each for each in history if each.structure == structure][:LAST]
    if alike:
        # By how much longer the epochs of this run are, the others' have been.
        alone = pace.epoch(train, validation)
        each = [alone / pace.epoch(one.train, one.validation) * one.epoch_seconds for one in alike]
        epoch, error = statistics.median(each), spread(each)
        many = "the last run" if len(each) == 1 else f"the last {len(each)} runs"
        basis = f"the median epoch of {many} of the same structure on this device"
    kept = [each for each in alike if (each.train, each.validation) == (train, validation)]
    ready = programs is not None and all(part.key in programs for part in parts(workload))
    source: Source = "process" if ready else "disk" if kept else "cold"
    compiling = until_programs(source, pace, alike, epoch)
    test = pace.evaluation(info.test_size) + beside.measuring(hyperparams, classes, info.test_size)
    return {
        "compile_seconds": compiling,
        "programs": source,
        "seconds_per_epoch": epoch,
        "total_seconds": compiling + hyperparams.epochs * epoch + test,
        "basis": basis,
        "error": error,
    }


def until_programs(source: Source, pace: Pace, alike: Sequence[Measured], epoch: float) -> float:
    """Seconds that a run waits for its programs. alike: runs of its structure. epoch: seconds of its first one."""
    if source == "process":
        return 0.0
    if source == "disk":
        return statistics.median([each.read_seconds for each in alike if each.read_seconds] or [pace.reading()])
    return statistics.median(
        [each.compile_seconds for each in alike if each.compile_seconds] or [pace.compiling(epoch)]
    )


def told(pace: Pace, workload: Workload) -> str:
    """What the prediction is made from, where no run of the same structure has been measured."""
    if pace.calibrated is not None:
        found = f"this device as it was measured {pace.calibrated.measured_at}, by operations, values and launches"
        taken = pace.calibrated.disturbed
        return f"{found}; others used {taken:.0%} of the processors meanwhile: measure it again" if taken else found
    cure = f"measure it with lamina devices --calibrate; {workload.device} has not been"
    of = "another CPU" if workload.platform == "cpu" else "data sheets, never compared with a device,"
    return f"rates of {of} for operations, values and launches: {cure}"


def spread(found: Sequence[float]) -> float:
    """How far apart they are, as a share of the middle one."""
    if len(found) == 1:
        return MEASURED_ONCE
    return max(MEASURED, (max(found) - min(found)) / statistics.median(found))


def structure_of(workload: Workload) -> str:
    """A digest of all that the time of a step depends on, names of layers left out."""
    graph = workload.graph
    place = {node.id: number for number, node in enumerate(graph.nodes)}
    nodes = [
        (repr(n.layer), [place.get(name, -1) for name in n.inputs], n.takes, place.get(n.shares or "", -1))
        for n in graph.nodes
    ]
    w = workload
    told = (graph.input, nodes, w.update, w.objective, w.precision, w.kernels, w.batch, key_of(find(w.device)))
    return hashlib.sha256(repr(told).encode()).hexdigest()


def compile_seconds(architecture: Architecture) -> float:
    """Roughly how long two cores take to compile the programs of a network for a CPU."""
    return seconds_to_compile(architecture.graph)


def seconds_to_compile(graph: Graph) -> float:
    """The same of a graph."""
    kernels = [(kernel, at.groups) for node in graph.nodes for kernel, at, _ in node.layer.convolutions(*node.takes)]
    written_out = sum(math.prod(kernel[:2]) for kernel, groups in kernels if groups == kernel[3] > 1)
    of_convolutions = CONVOLUTION_SECONDS * len(kernels) + TAP_SECONDS * written_out
    return LAYER_SECONDS * len(graph.nodes) + of_convolutions
