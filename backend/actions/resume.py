"""Going on: an interrupted run as the same run, and a finished one with more epochs as a new one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from backend.errors import ApiError, not_found
from backend.parsing.requests import ResumeBody, check
from backend.state.checkpoints import Checkpoints
from backend.state.errors import UnknownRecord, WrongState
from backend.state.records import ACTIVE, Json, RunRecord
from backend.state.store import Store
from backend.training.job import unlike
from backend.training.runs import Runs
from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.errors import Change, CheckpointError, Problem, SpecError
from nets.hyperparams.hyperparams import Hyperparams, merged, parse_hyperparams
from nets.spec.fields import shown
from nets.training.horizon import endings_of, go_on
from nets.training.snapshot import Snapshot
from nets.training.update import kept_otherwise

AGAIN = "start it again with POST /api/train"
SAMPLING = ("seed", "max_samples", "train_split", "dataset_type")  # what decides which samples train


@dataclass(frozen=True)
class Source:
    """A succeeded run, and the state of its last epoch, from which a new run goes on."""

    run: RunRecord
    snapshot: Snapshot


@dataclass(frozen=True)
class Resume:
    """Goes on from what runs have left."""

    store: Store
    checkpoints: Checkpoints
    runs: Runs

    def same_run(self, run_id: str, body: Json) -> tuple[RunRecord, str, int | None]:
        """Put an interrupted or cancelled run back into the queue: (the run, its model's name, its place if it waits).

        Raises SpecError, ApiError 404 (unknown run) and 409 (nothing to resume, with the cure), and as `Runs.admit`.
        """
        queue = bool(check(ResumeBody, body).queue)
        run = self._require(run_id)
        self._require_resumable(run)
        architecture, hyperparams = _definition(run)
        reached = 0
        if run.epoch or self.checkpoints.training(run_id).is_file():
            reached = self._snapshot(run, architecture, hyperparams).epoch
        model = self.store.get_model(run.model_id)
        try:
            run = self.runs.resume(run, architecture=architecture, hyperparams=hyperparams, queue=queue)
        except WrongState:  # another request was faster
            raise ApiError(409, f"Run {run_id} has been resumed by another request") from None
        run = replace(run, epoch=reached, warnings=[*run.warnings, *unlike(run, hyperparams)])
        return run, model.name if model else "", self.runs.place_told(run_id, queue=queue)

    def continued(self, run_id: str) -> RunRecord:
        """The succeeded run that `resume_from` names; ApiError 404 or 409 with the cure."""
        run = self._require(run_id)
        if run.state != "succeeded":
            cure = AGAIN
            if run.state in ACTIVE:
                cure = "wait for its end"
            elif run.resumable:
                cure = f"resume it with POST /api/runs/{run_id}/resume"
            state = self.runs.in_words(run)
            raise ApiError(409, f"Run {run_id} is {state}; only a succeeded run can be continued as a new one: {cure}")
        return run

    def source_of(self, run: RunRecord, architecture: Architecture, hyperparams: Hyperparams) -> Source:
        """The run and its state, for a new run of this definition. SpecError where it cannot go on so, ApiError 409."""
        if problems := _in_the_way(run, architecture, hyperparams):
            raise SpecError(problems)
        snapshot = self._snapshot(run, architecture, hyperparams)
        if problems := list(_ends_at_once(run, snapshot, hyperparams)):
            raise SpecError(problems)
        return Source(run, snapshot)

    def _require(self, run_id: str) -> RunRecord:
        run = self.store.get_run(run_id)
        if run is None:
            raise not_found("run", run_id, listing="/api/runs")
        return run

    def _require_resumable(self, run: RunRecord) -> None:
        """ApiError 409 with reason and cure, unless the run ended as cancelled or interrupted."""
        if run.resumable:
            return
        if run.state in ACTIVE:
            reason = f"is {self.runs.in_words(run)} already; follow it at /api/runs/{run.run_id}/events"
        elif run.state == "succeeded":
            reason = f'has succeeded; to train it further send POST /api/train with "resume_from": "{run.run_id}"'
        else:
            reason = f"was not interrupted but {run.state}{f' ({run.error})' if run.error else ''}; {AGAIN}"
        raise ApiError(409, f"Run {run.run_id} {reason}")

    def _snapshot(self, run: RunRecord, architecture: Architecture, hyperparams: Hyperparams) -> Snapshot:
        """The state of the run's last epoch; 409 where it is damaged or gone."""
        try:
            return self.checkpoints.snapshot(run.run_id, architecture, hyperparams, epoch=run.epoch)
        except CheckpointError as error:
            if self.store.get_run(run.run_id, metrics=False) is None:
                raise UnknownRecord(run.run_id) from None
            raise ApiError(409, f"Run {run.run_id} cannot be resumed: {error}; {AGAIN}") from None


def filled_in(run: RunRecord, body: Json) -> Json:
    """The body of a request with `resume_from`: what it leaves out is that of the run."""
    if body.get("model_id") not in (None, run.model_id):
        raise ApiError(409, f"Run {run.run_id} is a run of model {run.model_id}, not of {shown(body['model_id'])}")
    filled = {**body, "model_id": run.model_id}
    if body.get("architecture") is None:
        filled["architecture"] = run.architecture
    sent = body.get("hyperparams")
    if sent is None or isinstance(sent, dict):
        filled["hyperparams"] = merged(run.hyperparams, sent or {})
    return filled


def leaks(run: RunRecord, hyperparams: Hyperparams) -> list[str]:
    """Warnings where the samples that validate may be such that the source has trained on."""
    now = hyperparams.to_json()
    return [
        f"hyperparams.{name}: differs from run {run.run_id}, so this run may validate on samples that it was trained on"
        for name in SAMPLING
        if now[name] != run.hyperparams.get(name)
    ]


def _in_the_way(run: RunRecord, architecture: Architecture, hyperparams: Hyperparams) -> list[Problem]:
    """Why a new run of this definition cannot go on from where `run` has ended."""
    before, settings = _definition(run)
    problems = []
    if architecture.graph.structure != before.graph.structure:
        rule = f"must be that of run {run.run_id}, which it continues"
        problems.append(_left_out("architecture", detail=f"{rule}; leave it out, or train without resume_from"))
    if hyperparams.epochs <= run.epoch:
        rule = f"must be more than the {run.epoch} epochs of run {run.run_id}, since it is the total"
        cure = f"send {2 * run.epoch} for as many again"
        detail, least = f"{rule}, got {hyperparams.epochs}; {cure}", {"type": "integer", "minimum": run.epoch + 1}
        place = ("hyperparams", "epochs")
        problems.append(Problem(place, detail, "out_of_range", expected=least, got=hyperparams.epochs))
    kinds = settings.optimizer.state_kind(), hyperparams.optimizer.state_kind()
    if kinds[0] != kinds[1]:
        rule = f"must stay {kinds[0]} as in run {run.run_id}, whose optimizer state is continued, got {kinds[1]}"
        detail = f"{rule}; leave it out, or train without resume_from"
        problems.append(_left_out("hyperparams", "optimizer", detail=detail, type=settings.optimizer.type))
    else:
        for field in kept_otherwise(settings, hyperparams, architecture.graph):
            rule = f"must be as in run {run.run_id}, whose optimizer state is continued"
            detail = f"{rule}; leave it out, or train without resume_from"
            place = ("hyperparams", field)
            problems.append(Problem(place, detail, "mismatch", fix=(Change("remove", place),)))
    return problems


def _ends_at_once(run: RunRecord, snapshot: Snapshot, hyperparams: Hyperparams) -> Iterator[Problem]:
    """Rules that would end the new run before its first step, as where one of them has ended `run`."""
    endings = endings_of(hyperparams)
    go_on(endings, snapshot)
    for rule in endings:
        if (end := rule.end) is not None:
            place, cure = rule.more
            detail = f"would end this run at once, since of run {run.run_id}, which it continues, {end['message']}"
            yield Problem(("hyperparams", *place), f"{detail}; send {cure}", "conflict")


def _left_out(*place: str, detail: str, **expected: str) -> Problem:
    """A field that has to be as it was, which it is without being said. expected: constants of it."""
    properties = {name: {"const": value} for name, value in expected.items()}
    schema = {"type": "object", **({"properties": properties} if properties else {})}
    return Problem(place, detail, "mismatch", expected=schema, fix=(Change("remove", place),))


def _definition(run: RunRecord) -> tuple[Architecture, Hyperparams]:
    try:
        return parse_architecture(run.architecture), parse_hyperparams(run.hyperparams)
    except SpecError as error:  # written by another version of Lamina, which knew other rules
        raise ApiError(409, f"Run {run.run_id} is no longer valid ({error}); {AGAIN}") from None
