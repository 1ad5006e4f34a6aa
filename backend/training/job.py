"""What waits in the queue or is carried out, of either kind; and what the training thread holds about a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast
from uuid import uuid4

import jax

from backend.state.records import Json, RunRecord, utc_now
from backend.training.account import Account
from nets.architecture.architecture import Architecture
from nets.errors import SpecError
from nets.hyperparams.hyperparams import Hyperparams
from nets.kernels import Choice
from nets.process.device import device_description, versions
from nets.process.devices import name_of
from nets.training.snapshot import Snapshot
from nets.training.step_losses import StepLoss
from nets.training.workload import device_of

Kind = Literal["run", "benchmark"]  # of a job


class Unwritable(Exception):
    """The disk did not take what a run has to write. The message is the reason, and names no path."""


class Halted(Exception):
    """The job was asked to stop."""


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """What a run shall be. `architecture_json`: as sent. `snapshot`: what `resumed_from` ended with.

    `named`: the request chose `dataset`, so it is never replaced. `queue`: it waits behind others, past a restart too.
    """

    model_id: str
    architecture: Architecture
    architecture_json: Json
    hyperparams: Hyperparams
    dataset: str
    named: bool
    warnings: list[str]
    queue: bool
    name: str | None = None  # as its model
    tags: Sequence[str] = ()
    notes: str | None = None
    kernels: Choice = "auto"
    resumed_from: str | None = None
    snapshot: Snapshot | None = None
    request_sha256: str | None = None

    def record(self) -> RunRecord:
        """Of a run that waits, under an id of its own."""
        return RunRecord(
            run_id=f"r_{uuid4().hex}",
            model_id=self.model_id,
            state="queued",
            created_at=utc_now(),
            name=self.name or "",
            tags=list(self.tags),
            notes=self.notes,
            architecture=self.architecture_json,
            hyperparams=self.hyperparams.to_json(),
            dataset=self.dataset,
            dataset_named=self.named,
            queued=self.queue,
            epochs_total=self.hyperparams.epochs,
            precision=self.hyperparams.precision,
            parameters=self.architecture.parameters,
            kernels=self.kernels,
            warnings=list(self.warnings),
            resumed_from=self.resumed_from,
            request_sha256=self.request_sha256,
            epoch=self.snapshot.epoch if self.snapshot else 0,
        )


@dataclass(kw_only=True)
class Job(ABC):
    """What waits in the queue or is carried out. `reason` and `settled` change under the lock of the queue alone."""

    kind: ClassVar[Kind]
    place: int | None = None  # in the queue, as it was told last
    reason: Literal["cancelled", "interrupted"] | None = None  # why it shall stop
    settled: bool = False  # its terminal state is recorded

    @property
    @abstractmethod
    def identifier(self) -> str:
        """The id of its record."""

    @property
    @abstractmethod
    def created_at(self) -> str:
        """As of its record."""

    @property
    @abstractmethod
    def waits_on(self) -> bool:
        """Whether it waits past a restart, too."""

    def is_(self, kind: Kind, identifier: str) -> bool:
        return (self.kind, self.identifier) == (kind, identifier)

    def stopped(self) -> bool:
        return self.reason is not None

    def standing(self) -> Json:
        """What its progress says beside how far it is."""
        return {"cancelling": True} if self.reason == "cancelled" else {}

    def check(self) -> None:
        """Raise `Halted` if it shall stop."""
        if self.reason is not None:
            raise Halted(self.reason)


@dataclass(kw_only=True)
class RunJob(Job):
    """A run that waits or trains."""

    kind = "run"
    record: RunRecord  # when it was put into the queue: all that does not change from then on
    architecture: Architecture
    hyperparams: Hyperparams
    dataset: str
    dataset_named: bool
    warnings: list[str] = field(default_factory=list)
    epoch: int = 0  # finished ones
    unlike: list[str] = field(default_factory=list)  # how what it goes on with differs from what it began with
    step: int = 0  # the last one that was told
    steps: list[StepLoss] = field(default_factory=list)  # to be told next
    account: Account = field(default_factory=Account)

    @classmethod
    def of(cls, record: RunRecord, *, architecture: Architecture, hyperparams: Hyperparams) -> RunJob:
        return cls(
            record=record,
            architecture=architecture,
            hyperparams=goes_on_with(record, hyperparams),
            dataset=record.dataset,
            # What has trained on a data set does not go on with another one.
            dataset_named=record.dataset_named or record.epoch > 0,
            warnings=list(record.warnings),
            epoch=record.epoch,
            unlike=unlike(record, hyperparams),
        )

    @property
    def run_id(self) -> str:
        return self.record.run_id

    @property
    def identifier(self) -> str:
        return self.run_id

    @property
    def created_at(self) -> str:
        return self.record.created_at

    @property
    def waits_on(self) -> bool:
        return self.record.queued

    @property
    def begun(self) -> bool:
        """Before: this is not its first start."""
        return self.record.started_at is not None

    @property
    def kernels(self) -> Choice:
        """As the run began: it goes on so, whatever the server is told now."""
        return cast(Choice, self.record.kernels)

    @property
    def device(self) -> jax.Device:
        """Where it trains. SpecError where that is not here."""
        return device_of(self.hyperparams)


def goes_on_with(record: RunRecord, hyperparams: Hyperparams) -> Hyperparams:
    """The hyperparameters of a run here: one that has begun on a device that is not here goes on on the default one."""
    try:
        device_of(hyperparams)
    except SpecError:
        if record.started_at is not None:
            return hyperparams.model_copy(update={"device": None})
    return hyperparams


def unlike(record: RunRecord, hyperparams: Hyperparams, *, kernels: str | None = None) -> list[str]:
    """Warnings where what a run has trained on so far is not what it would go on with here.

    hyperparams: those to go on with. kernels: of another run that continues it; the same run goes on with its own.
    """
    try:
        device = device_of(goes_on_with(record, hyperparams))
    except SpecError:  # it has not begun, and will say so
        return []
    here = {"device": device_description(device), "device_id": name_of(device)}
    now = {**here, **versions(), "kernels": kernels or record.kernels}
    before = {
        "device": record.device,
        "device_id": record.device_id,
        **(record.versions or {}),
        "kernels": record.kernels,
    }
    changed = [name for name, value in now.items() if before.get(name) not in (None, value)]
    told = ", ".join(f"{name} was {before[name]} and is {now[name]}" for name in changed)
    effect = "its weights may differ in their last digits from those of a run that was never interrupted"
    return [f"run {record.run_id} continues under other conditions, so {effect}: {told}"] if changed else []
