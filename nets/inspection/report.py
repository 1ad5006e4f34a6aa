"""What a network costs before it trains: layer by layer, in all, on each device here; and what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from typing_extensions import TypedDict

from nets import datasets
from nets.architecture.cost import DEFINITION, flops_backward, own_parameters
from nets.architecture.graph import Graph
from nets.architecture.read import sketched
from nets.architecture.sketch import Sketch
from nets.calibration.calibration import Calibration
from nets.datasets import DatasetInfo
from nets.doubts.case import Case
from nets.doubts.doubt import DoubtJson
from nets.doubts.rules import doubts
from nets.errors import MOST_PROBLEMS, Problem, SpecError, seen
from nets.facts import About
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.hyperparams.parts import as_sent
from nets.inspection import beside
from nets.inspection.memory import check_memory, memory_expected, memory_needed
from nets.inspection.rows import SHAPE, Row, Rows
from nets.inspection.seconds import Measured, Predicted, predict
from nets.kernels import Choice
from nets.kernels.forms import Form, forms
from nets.process.devices import by_name
from nets.process.peak_memory import resident
from nets.schedules.rates import Rates
from nets.training.cache import ProgramCache
from nets.training.check import check_fit, check_pace
from nets.training.learning_rate import rates_of
from nets.training.sampling import samples_per_step, split_sizes, steps_per_epoch
from nets.training.workload import Workload, device_of, workload_on

USUAL = "mnist"  # the data set of a body that names none


class Totals(TypedDict):
    """The sums of the rows: of layers that cannot be placed yet nothing is counted."""

    params: Annotated[int, About("Trained numbers; those that layers share count once.")]
    macs_forward: Annotated[int, About("Multiply-adds of one sample's way forward.")]
    flops_forward: Annotated[int, About("Floating point operations of it: 2 for a multiply-add.")]
    flops_train_step: Annotated[
        int | None,
        About("Those of one step of training, with the matrix products of `muon`; null where its batch is unknown."),
    ]
    batch: Annotated[int | None, About("Samples of a step of training: those of `accumulate` batches.")]
    steps_per_epoch: Annotated[int | None, About("Steps of the optimizer; null where the data are unknown.")]


class MemoryNeeded(TypedDict):
    """Bytes that a run is expected to take at most at a time, by what they hold."""

    weights: Annotated[int, About("Parameters and gradients, or copies of them to be kept.")]
    optimizer: Annotated[int, About("The state of the optimizer.")]
    activations: Annotated[int, About("What the samples that go through at a time leave for the way back.")]
    samples: Annotated[int, About("Of the data set, on the host and on the device.")]
    programs: Annotated[int, About("To compile and to hold the programs.")]
    total: Annotated[int, About("All of them: what the run needs for itself.")]
    process: Annotated[
        int, About("What the process that would train has already; 0 where a device has memory of its own.")
    ]
    peak: Annotated[int, About("With that: what `peak_memory` of the run's record is expected to tell.")]
    at_most: Annotated[int, About("What it stays below: a run for which this is too much is refused.")]


class Kernels(TypedDict):
    """What computes the layers, in the order of the way forward. A final softmax only says how logits are read."""

    training: Annotated[list[Form], About("In a step of training.")]
    evaluation: Annotated[list[Form], About("In validation and test.")]


class Report(TypedDict):
    """What a network costs before it trains. Of a half-built one: what is known, and its problems."""

    valid: Annotated[bool, About("Whether `POST /api/train` accepts it.")]
    problems: Annotated[list[dict[str, Any]], About("As the 400 of `POST /api/train` has them in `errors`.")]
    warnings: Annotated[list[DoubtJson], About("What is legal and seldom meant.")]
    dataset: Annotated[str | None, About("What it would train on.")]
    learning_rate: Annotated[Rates | None, About("Of its first and its last step, and the largest one.")]
    device: Annotated[str | None, About("Where it would train.")]
    input_shape: Annotated[list[int] | None, About(SHAPE)]
    layers: Annotated[list[Row], About("A row for each layer.")]
    totals: Annotated[Totals, About("The sums of the rows.")]
    definition: Annotated[str, About("What counts as an operation.")]
    memory: Annotated[MemoryNeeded | None, About("Of a network that is whole, with a data set that fits it.")]
    predicted: Annotated[dict[str, Predicted], About("What a run will take, by device; of a network that is whole.")]
    kernels: Annotated[Kernels | None, About("What computes each layer where it would train, once it is whole.")]


@dataclass(frozen=True)
class Subject:
    """A body as far as it can be read. hyperparams, info: None where they are wrong or unknown. sent: the body.

    rates: of learning, where they are known already.
    """

    sketch: Sketch
    hyperparams: Hyperparams | None
    info: DatasetInfo | None
    problems: Sequence[Problem] = ()
    sent: Mapping[str, Any] = field(default_factory=dict)
    rates: Rates | None = None

    @property
    def graph(self) -> Graph | None:
        return self.sketch.graph

    @property
    def case(self) -> Case:
        """To be doubted."""
        return Case(self.graph, self.hyperparams, self.info, self.sent, whole=self.sketch.whole is not None)

    @property
    def learning_rate(self) -> Rates | None:
        """What it would learn with."""
        known = self.hyperparams and self.info and split_sizes(self.hyperparams, self.info.train_size)[0]
        return self.rates or (rates_of(self.hyperparams, self.info) if known else None)  # type: ignore[arg-type]

    def on(self, device: str) -> Subject:
        """The same, to train there."""
        there = self.hyperparams and self.hyperparams.model_copy(update={"device": device})
        return replace(self, hyperparams=there)

    def workload(self, *, kernels: Choice) -> Workload | None:
        """What would run; None where that cannot be told yet."""
        if not (self.sketch.whole and self.hyperparams and self.info):
            return None
        train, validation = split_sizes(self.hyperparams, self.info.train_size)
        if train < 1 or validation < 1 or self.sketch.whole.graph.input.kind != self.info.value.kind:
            return None
        try:
            return workload_on(self.sketch.whole, self.hyperparams, self.info, kernels=kernels)
        except SpecError:  # its device is not here
            return None


def read(
    body: Mapping[str, Any], *, info: DatasetInfo | None = None, kernels: Choice = "auto", available: int | None = None
) -> Subject:
    """A body with `architecture` and perhaps `hyperparams`; other fields are not looked at. available: bytes."""
    sketch = sketched(body.get("architecture"))
    problems = list(sketch.problems)
    hyperparams: Hyperparams | None = None
    try:
        hyperparams = parse_hyperparams(body.get("hyperparams"))
        info = info or datasets.info(hyperparams.dataset_type or USUAL)
    except SpecError as error:
        problems += seen(error.problems, body)
    if sketch.whole and hyperparams and info:
        try:
            device_of(hyperparams)
            check_fit(sketch.whole, hyperparams, info)
            if available is not None:
                check_memory(sketch.whole, hyperparams, info, available=available, kernels=kernels)
            check_pace(sketch.whole, hyperparams, info, kernels=kernels)
        except SpecError as error:
            problems += as_sent(error.problems, body).problems
    return Subject(sketch, hyperparams, info, problems[:MOST_PROBLEMS], body)


def inspect(
    body: Mapping[str, Any],
    *,
    info: DatasetInfo | None = None,
    kernels: Choice = "auto",
    devices: Sequence[str] | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
    history: Sequence[Measured] = (),
    available: int | None = None,
) -> Report:
    """What the network of a body costs, without running anything. A half-built one is told with its problems.

    body: as `POST /api/train` takes it: `architecture` and perhaps `hyperparams`. info: of the data, else that which
    the body names, else mnist. devices: which to predict for, else all. calibrations: by device. available: bytes of
    memory that a run may take, else any.
    """
    subject = read(body, info=info, kernels=kernels, available=available)
    return report(subject, kernels=kernels, devices=devices, calibrations=calibrations, history=history)


def report(
    subject: Subject,
    *,
    kernels: Choice = "auto",
    devices: Sequence[str] | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
    history: Sequence[Measured] = (),
    programs: ProgramCache | None = None,
) -> Report:
    """What a body costs that has been read. programs: those that this process has compiled."""
    rows = Rows(subject.sketch, subject.sent).all()
    workload, whole, given = subject.workload(kernels=kernels), subject.sketch.whole, subject.sketch.given
    memory: MemoryNeeded | None = None
    if workload and whole and subject.hyperparams and subject.info:
        asked = whole, subject.hyperparams, subject.info
        need, process = memory_expected(*asked, kernels=kernels), resident() if workload.platform == "cpu" else 0
        memory = {
            "weights": need.weights,
            "optimizer": need.optimizer,
            "activations": need.activations,
            "samples": need.samples,
            "programs": need.programs,
            "total": need.total,
            "process": process,
            "peak": process + need.total,
            "at_most": max(need.total, memory_needed(*asked, kernels=kernels).total),
        }
    return {
        "valid": not subject.problems,
        "problems": [problem.to_json() for problem in subject.problems],
        "warnings": [doubt.to_json() for doubt in doubts(subject.case)],
        "dataset": subject.info.name if subject.info else None,
        "learning_rate": subject.learning_rate,
        "device": workload.device if workload else None,
        "input_shape": list(given.shape) if given else None,
        "layers": rows,
        "totals": totals(subject),
        "definition": DEFINITION,
        "memory": memory,
        "predicted": predictions(subject, kernels, devices, calibrations or {}, history, programs),
        "kernels": computed(workload, rows) if workload else None,
    }


def totals(subject: Subject) -> Totals:
    """Over all nodes that are known."""
    graph, nodes = subject.graph, subject.graph.nodes if subject.graph else ()
    macs = sum(node.cost.macs for node in nodes)
    back = sum(flops_backward(graph).values()) if graph else 0
    h, steps = subject.hyperparams, None
    batch = h.batch_size * h.accumulate if h else None
    updating = int(beside.products(h, graph)) if h and graph else 0
    if h and subject.info and (train := split_sizes(h, subject.info.train_size)[0]):
        batch, steps = samples_per_step(h, train), steps_per_epoch(h, train)
    return {
        "params": sum(own_parameters(node) for node in nodes),
        "macs_forward": macs,
        "flops_forward": 2 * macs,
        "flops_train_step": batch * (2 * macs + back) + updating if batch else None,
        "batch": batch,
        "steps_per_epoch": steps,
    }


def predictions(
    subject: Subject,
    kernels: Choice,
    devices: Sequence[str] | None,
    calibrations: Mapping[str, Calibration],
    history: Sequence[Measured],
    programs: ProgramCache | None,
) -> dict[str, Predicted]:
    """What a run will take on each device."""
    found = {}
    for name in by_name():
        there = subject.on(name)
        workload = there.workload(kernels=kernels) if devices is None or name in devices else None
        if workload and there.info and there.hyperparams:
            found[name] = predict(
                workload,
                there.info,
                there.hyperparams,
                calibration=calibrations.get(name),
                history=history,
                programs=programs,
            )
    return found


def computed(workload: Workload, rows: Sequence[Row]) -> Kernels:
    """What computes each row."""
    graph, plan, listed = workload.graph, workload.unstacked.network.plan, {row["name"] for row in rows}
    return {
        "training": told(forms(graph, plan, batch=workload.part, train=True), listed),
        "evaluation": told(forms(graph, plan, batch=workload.evaluation_batch, train=False), listed),
    }


def told(stages: Iterable[Form], listed: Collection[str]) -> list[Form]:
    """Those of layers that have a row."""
    named: list[Form] = [{**form, "layers": [name for name in form["layers"] if name in listed]} for form in stages]
    return [form for form in named if form["layers"]]
