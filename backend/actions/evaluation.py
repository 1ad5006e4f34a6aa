"""Kept weights measured apart from their training, on any data set that fits."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from typing_extensions import TypedDict

from backend.actions.networks import Networks
from backend.errors import ApiError, not_found
from backend.events.capacity import Places
from backend.inference.predictors import Loaded
from backend.parsing.requests import EvaluateBody, check
from backend.state.records import Json, RunRecord
from backend.training.outcome import without_paths
from nets import datasets
from nets.architecture.graph import Graph
from nets.datasets import DATASETS, Dataset, DatasetInfo
from nets.errors import CompilersBusy, DataError, Problem, SpecError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.kernels import Choice
from nets.spec.allowed import one_of
from nets.training.cache import ProgramCache
from nets.training.check import too_many, unlike
from nets.training.evaluation import Evaluated, SplitName, Step, evaluate

LONGEST = 30.0  # seconds of an evaluation, compilation and pauses included: clients wait for a minute
RESTS = 2  # times as long as a step took, after it, while something trains
SOON, LATER = 2, 10  # seconds after which a client may try again
T = TypeVar("T")


class EvaluationAnswer(TypedDict):
    """What kept weights make of a split of a data set. `loss` is that of the training; null where it is not finite.

    `metrics`: by name, null where one has no value, for the reason in `warnings`. `baseline_accuracy`: of always
    answering the most frequent class. `worst`: the mistakes that the network is surest of. `seconds`: without
    compilation.
    """

    run_id: str
    model_id: str
    dataset_type: str
    split: SplitName
    samples: int
    loss: float | None
    accuracy: float
    baseline_accuracy: float
    metrics: dict[str, Any]
    worst: list[Json]
    seconds: float
    device: str
    warnings: list[str]


@dataclass(frozen=True)
class Evaluation:
    """Evaluates a network, on the default device, with the kernels of its training. `places`: for one at a time."""

    networks: Networks
    programs: ProgramCache
    data_dir: Path
    places: Places

    def answer(self, body: Json) -> EvaluationAnswer:
        """To `POST /api/evaluate`. Raises SpecError (400), ApiError 404 / 409 / 503, CheckpointError."""
        request = check(EvaluateBody, body)
        loaded = self.networks.find(request.run_id, request.model_id)
        run = self.networks.store.get_run(loaded.run_id, metrics=False)
        if run is None:
            raise not_found("run", loaded.run_id, listing="/api/runs")
        hyperparams = hyperparams_of(run)
        metrics = hyperparams.metrics if request.metrics is None else request.metrics
        asked = hyperparams.model_copy(update={"metrics": metrics})
        info = datasets.info(request.dataset_type or run.dataset)
        require_fit(loaded, info, asked, by_request=request.metrics is not None)
        with self._place():
            data, kernels = self._data(info), cast(Choice, run.kernels)
            found = self._evaluated(loaded, asked, data, request, kernels)
        return {
            "run_id": loaded.run_id,
            "model_id": loaded.model_id,
            "dataset_type": info.name,
            "split": request.split or "test",
            "samples": found.samples,
            "loss": found.loss,
            "accuracy": found.accuracy,
            "baseline_accuracy": found.baseline_accuracy,
            "metrics": found.measured.values,
            "worst": [asdict(sample) for sample in found.worst],
            "seconds": found.seconds,
            "device": found.device,
            "warnings": [*remarks(found, loaded, info)],
        }

    @contextmanager
    def _place(self) -> Iterator[None]:
        """The one place. ApiError 503 while another evaluation has it, 409 while a benchmark is measured."""
        if benchmark := self.networks.runs.active("benchmark"):
            raise ApiError(409, f"Benchmark {benchmark} is active, and would be disturbed; wait for its end")
        if not self.places.take():
            raise busy("Another evaluation is under way, and there is one at a time", SOON)
        try:
            yield
        finally:
            self.places.give_back()

    def _data(self, info: DatasetInfo) -> Dataset:
        """ApiError 409 where the data set is not on this disk: an evaluation fetches none."""
        try:
            return datasets.load(info.name, self.data_dir)
        except DataError as error:
            raise ApiError(409, without_paths(str(error))) from None

    def _evaluated(
        self, loaded: Loaded, hyperparams: Hyperparams, dataset: Dataset, request: EvaluateBody, kernels: Choice
    ) -> Evaluated:
        steps = evaluate(
            loaded.predictor.architecture,
            hyperparams,
            loaded.predictor.variables,
            dataset,
            split=request.split or "test",
            metrics=hyperparams.metrics,
            max_samples=request.max_samples,
            programs=self.programs,
            kernels=kernels,
        )
        try:
            return within(LONGEST, steps, gives_way=self.networks.runs.at_work)
        except CompilersBusy as error:
            raise busy(f"The network cannot be compiled now: {error}", LATER) from None


def within(seconds: float, steps: Generator[Step, None, T], *, gives_way: Callable[[], bool]) -> T:
    """What comes of some steps. ApiError 503 where they take longer.

    gives_way: whether to pause after each step for longer than it took, so that what trains gets most of the processor.
    """
    until = time.monotonic() + seconds
    with closing(steps):
        while True:
            began = time.monotonic()
            try:
                step = next(steps)
            except StopIteration as end:
                found: T = end.value
                return found
            now = time.monotonic()
            if now > until and step.phase == "compiling":
                raise busy("The network is still being compiled for its evaluation, which goes on", LATER)
            if now > until:
                cure = f"send a max_samples of {max(1, step.samples // 2)} or less, or try again when nothing trains"
                raise busy(f"{step.samples} samples took the {seconds:g} s that an evaluation may take; {cure}", LATER)
            if step.phase == "evaluating" and gives_way():
                time.sleep(min(RESTS * (now - began), 1.0))


def busy(rule: str, seconds: int) -> ApiError:
    """503 with when to come again."""
    return ApiError(503, f"{rule}; try again in {seconds} s", headers={"Retry-After": str(seconds)})


def hyperparams_of(run: RunRecord) -> Hyperparams:
    """Those of its training. ApiError 409 where another version has written others than this one knows."""
    known: Mapping[str, Any] = {**run.hyperparams, "device": None}
    try:
        return parse_hyperparams(known)
    except SpecError as error:
        rule = f"The hyperparameters of run {run.run_id} are of another version of Lamina ({error})"
        raise ApiError(409, f"{rule}; train it again") from None


def require_fit(loaded: Loaded, info: DatasetInfo, hyperparams: Hyperparams, *, by_request: bool) -> None:
    """SpecError where a network does not take the samples of a data set, or has other classes; or metrics have more."""
    problems = list(too_many(hyperparams, info, ("metrics",))) if by_request else []
    graph, classes = loaded.predictor.architecture.graph, len(loaded.classes)
    if not fits(graph, info, classes=classes):
        others = [other.name for other in DATASETS.values() if fits(graph, other, classes=classes)]
        takes = f"{graph.input.described()} of {classes} classes"
        has = f"those of {info.name} are {info.value.described()} of {len(info.classes)}"
        cure = f"send one of {', '.join(others)}, or leave it out" if others else "leave it out"
        rule = f"must be a data set that fits the network, which takes {takes}; {has}; {cure}"
        problems.append(Problem(("dataset_type",), rule, "mismatch", expected=one_of(others), got=info.name))
    if problems:
        raise SpecError(problems)


def fits(graph: Graph, info: DatasetInfo, *, classes: int) -> bool:
    """Whether a network takes the samples of a data set, and was trained with as many classes."""
    return classes == len(info.classes) and next(unlike(graph.input, info), None) is None


def remarks(found: Evaluated, loaded: Loaded, info: DatasetInfo) -> Iterator[str]:
    """What the reader of an evaluation should know."""
    for name, reason in found.measured.reasons.items():
        yield f"{name} is null: {reason}"
    if found.loss is None:
        yield "the loss is null: it is not finite"
    if tuple(info.classes) != loaded.classes:
        yield f"the classes of {info.name} are others than those of {loaded.dataset}, which the network was trained on"
    if found.accuracy <= found.baseline_accuracy:
        yield "the accuracy is no better than that of always answering the most frequent class"
