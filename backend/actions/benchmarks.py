"""From a request for a benchmark to its place in the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from backend.actions.order import Orders
from backend.parsing.benchmarks import BenchmarkBody
from backend.parsing.requests import check
from backend.state.records import BenchmarkRecord, Json
from backend.training.benchmarks import Benchmarks, NewBenchmark
from backend.training.limits import Limits
from nets import datasets
from nets.architecture.architecture import Architecture
from nets.errors import BrokenRule, Change, Path, Problem, SpecError
from nets.hyperparams.hyperparams import Hyperparams
from nets.kernels import Choice

ASKED = ("devices", "precisions", "batch_sizes", "repeats", "target", "preset")
MOST_CELLS = 256
MOST_MEASUREMENTS = 1024  # cells, each as often as it is repeated


@dataclass(frozen=True)
class Network:
    """One of those that are measured. `body`: complete, as the engine takes it."""

    name: str
    architecture: Architecture
    hyperparams: Hyperparams
    dataset: str
    body: Json
    warnings: list[str]


@dataclass(frozen=True)
class BenchmarkOrders:
    """Reads requests for benchmarks, and submits them."""

    benchmarks: Benchmarks
    orders: Orders
    limits: Limits
    kernels: Choice

    def submit(self, sent: Json) -> tuple[BenchmarkRecord, int | None]:
        """Queue a benchmark: its record, and its place in the queue if it waits.

        Raises SpecError with every problem, and as `JobQueue.admit` does.
        """
        new = self.read(sent)
        record = self.benchmarks.submit(new)
        return record, self.benchmarks.queue.place_told(record.benchmark_id, queue=new.queue)

    def read(self, sent: Json) -> NewBenchmark:
        """The request, checked as a request for training is, each body under its place."""
        problems: list[Problem] = []
        networks: list[Network] = []
        bodies = sent.get("bodies")
        for number, body in enumerate(bodies if isinstance(bodies, list) else ()):
            try:
                networks += [self._network(body)] if isinstance(body, dict | str) else []
            except SpecError as error:
                problems += (under(problem, ("bodies", number)) for problem in error.problems)
        asked = check(BenchmarkBody, sent, further=problems)
        request = self.benchmarks.engine.completed({name: getattr(asked, name) for name in ASKED})
        names = numbered([network.name for network in networks])
        request["bodies"] = [{"name": name, "body": each.body} for name, each in zip(names, networks, strict=True)]
        cells = count(request)
        self._require_few(cells, request["repeats"])
        self._require_fit(request, asked, networks)
        return NewBenchmark(
            name=asked.name or summary(names),
            request=request,
            cells=cells,
            warnings=[f"bodies[{number}]: {said}" for number, each in enumerate(networks) for said in each.warnings],
            queue=asked.queue is not False,
        )

    def _network(self, sent: Json | str) -> Network:
        """One of the bodies, checked as a run's is."""
        if isinstance(sent, str):
            try:
                sent = {"name": sent, **self.benchmarks.engine.body(sent)}
            except BrokenRule as broken:
                raise SpecError([broken.at(())]) from None
        if sent.get("resume_from") is not None:
            detail = "is not taken here: a benchmark begins with new weights; leave it out"
            fix = (Change("remove", ("resume_from",)),)
            raise SpecError([Problem(("resume_from",), detail, "conflict", expected={"type": "null"}, fix=fix)])
        order = self.orders.read(sent)
        architecture, model = order.architecture, order.model
        name = order.request.name or (model.name if model else architecture.value.summary_name())
        hyperparams = order.request.settings.model_copy(update={"dataset_type": order.dataset})
        body = {"architecture": architecture.json, "hyperparams": hyperparams.to_json()}
        return Network(name, architecture.value, hyperparams, order.dataset, body, order.warnings)

    def _require_few(self, cells: int, repeats: int) -> None:
        """SpecError for more than can be measured in a time that somebody waits for."""
        if cells <= MOST_CELLS and cells * repeats <= MOST_MEASUREMENTS:
            return
        most = f"{MOST_CELLS} cells and {MOST_MEASUREMENTS:,} measurements"
        detail = (
            f"make {cells:,} cells (bodies x devices x precisions x batch sizes), {cells * repeats:,} measurements "
            f"with {repeats} repeats, and a benchmark may have {most}; send fewer, or several benchmarks"
        )
        raise SpecError([Problem(("bodies",), detail, "too_costly")])

    def _require_fit(self, request: Json, asked: BenchmarkBody, networks: Sequence[Network]) -> None:
        """SpecError where a network cannot be trained on a device, with one of the batch sizes or precisions.

        Each cell has a process of its own, beside what this server holds of a GPU.
        """
        problems: dict[Path, Problem] = {}
        for (number, network), device, (precision, size) in product(
            enumerate(networks), request["devices"], combinations(request)
        ):
            changes = {"device": device, "precision": precision, **({"batch_size": size} if size is not None else {})}
            hyperparams = network.hyperparams.model_copy(update=changes)
            info = datasets.info(network.dataset)
            try:
                self.limits.check(network.architecture, hyperparams, info, kernels=self.kernels, apart=True)
            except SpecError as error:
                for problem in error.problems:
                    found = placed(problem, number, size, asked)
                    problems.setdefault(found.path, found)
        if problems:
            raise SpecError(list(problems.values()))


def combinations(request: Json) -> list[tuple[str, int | None]]:
    """Each precision with each batch size; None for the body's own."""
    return list(product(request["precisions"], request["batch_sizes"] or [None]))


def count(request: Json) -> int:
    """How many cells there are."""
    return len(request["bodies"]) * len(request["devices"]) * len(combinations(request))


def under(problem: Problem, root: Path) -> Problem:
    """A problem of a part of the request, as one of the whole."""
    fix = tuple(
        replace(change, path=(*root, *change.path), source=None if change.source is None else (*root, *change.source))
        for change in problem.fix
    )
    return replace(problem, path=(*root, *problem.path), fix=fix)


def placed(problem: Problem, number: int, size: int | None, asked: BenchmarkBody) -> Problem:
    """A problem of one network with one batch size: at that size where the request names it, else in the body."""
    if problem.path == ("hyperparams", "batch_size") and asked.batch_sizes and size in asked.batch_sizes:
        detail = f"for bodies[{number}], {problem.detail}"
        return replace(problem, path=("batch_sizes", asked.batch_sizes.index(size)), detail=detail, fix=())
    return replace(under(problem, ("bodies", number)), fix=())


def numbered(names: Sequence[str]) -> list[str]:
    """Names of networks, those that repeat with their number."""
    seen: Counter[str] = Counter()
    found: list[str] = []
    for name in names:
        seen[name] += 1
        found.append(f"{name} #{seen[name]}" if seen[name] > 1 else name)
    return found


def summary(names: Sequence[str]) -> str:
    """What a benchmark is called that has no name."""
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
