"""One run from its data set to its weights, on the training thread."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from backend.events.log import EventLog
from backend.state.checkpoints import Checkpoints
from backend.state.records import Json, RunRecord, told
from backend.state.rows import dumps
from backend.state.store import Store
from backend.state.summary import tested
from backend.training.account import PATIENCE
from backend.training.digests import Digests
from backend.training.fetch import Stopped, fetch
from backend.training.job import Halted, RunJob, Unwritable
from backend.training.limits import LimitReached, Limits
from backend.training.outcome import Outcome, describe_bug, failed, held_back, interrupted, unwritable, without_paths
from backend.training.payloads import data_of
from backend.training.progress import Pulse
from backend.training.warmer import Warmer
from nets.datasets import Dataset, info, is_cached, load, state
from nets.errors import CheckpointError, CompilersBusy, DataError, NetsError
from nets.numerics.numerics import Numerics
from nets.process.device import device_description, versions
from nets.process.devices import kind_of, name_of
from nets.training.cache import ProgramCache
from nets.training.check import check_fit
from nets.training.events import Compiled, EpochEnd, Event, Finished, Log, Progress
from nets.training.fit import fit
from nets.training.metrics import EpochMetrics
from nets.training.snapshot import Snapshot
from nets.training.step_losses import StepLoss
from nets.training.workload import workload_on

logger = logging.getLogger("lamina.runs")

FALLBACK = "digits"  # bundled: the data set that can always be had
RESULTS = (
    *("test_accuracy", "test_loss", "compile_seconds", "device", "best_epoch", "test_metrics", "baseline_accuracy"),
    *("stopped_by", "target_reached"),
)


class Executor:
    """Turns a job into an outcome, and tells the event log what happens on the way."""

    def __init__(
        self,
        store: Store,
        log: EventLog,
        checkpoints: Checkpoints,
        *,
        data_dir: Path,
        programs: ProgramCache,
        warmer: Warmer,
        limits: Limits,
    ) -> None:
        self._store, self._log, self._checkpoints = store, log, checkpoints
        self._data_dir, self._warmer, self._programs, self._limits = data_dir, warmer, programs, limits
        self._digests = Digests()

    def carry_out(self, job: RunJob) -> Outcome:
        """Carry a run out. Whatever goes wrong in it becomes its outcome: the thread lives on."""
        outcome = self._carried_out(job)
        return outcome if outcome.facts else replace(outcome, facts=job.account.last())

    def _carried_out(self, job: RunJob) -> Outcome:
        try:
            self._begin(job)
            with Pulse(lambda report: self._log.progress(job.run_id, {**report, **job.standing()})) as pulse:
                return self._save(job, self._train(job, pulse))
        except (Halted, Stopped):
            self._tell_of_compilers(job)
            return interrupted(
                job.run_id, epoch=job.epoch, epochs_total=job.hyperparams.epochs
            )  # or cancelled, says Runs
        except (Unwritable, sqlite3.OperationalError) as error:  # the folder's disk, or the store's
            logger.exception("run %s cannot write", job.run_id)
            return unwritable(job.run_id, str(error))
        except (LimitReached, CompilersBusy) as error:
            self._tell_of_compilers(job)
            return held_back(job.run_id, str(error))
        except NetsError as error:
            return failed(str(error))
        except Exception as error:
            logger.exception("run %s failed with an internal error", job.run_id)
            return failed(describe_bug(error))

    def _begin(self, job: RunJob) -> None:
        job.check()
        device = job.device
        facts = job.account.begin(job.record, self._limits, device)
        facts |= {"device": device_description(device), "device_id": name_of(device), "device_kind": kind_of(device)}
        facts["effective_precision"] = Numerics(job.hyperparams.precision, device.platform).effective
        self._log.transition(job.run_id, "running", versions=versions(), **facts)
        logger.info("run %s running", job.run_id)
        if job.hyperparams.log_every:
            job.step = self._store.last_step(job.run_id)
        if job.begun:
            self._tell(job, Log("info", f"resumed after epoch {job.epoch} of {job.hyperparams.epochs}"))
            for warning in job.unlike:
                job.warnings.append(warning)
                self._tell(job, Log("warning", warning), warnings=job.warnings)
            return
        if job.record.resumed_from:
            self._tell(job, Log("info", f"continues run {job.record.resumed_from} after epoch {job.epoch}"))
        for warning in job.warnings:
            self._tell(job, Log("warning", warning))

    def _train(self, job: RunJob, pulse: Pulse) -> Finished:
        dataset = self._data(job, pulse)
        check_fit(job.architecture, job.hyperparams, dataset.info)  # a cache file may hold less than the data set
        # Again: while the run waited in the queue, others may have taken what was free.
        self._limits.check_memory(job.architecture, job.hyperparams, dataset.info, kernels=job.kernels)
        job.check()
        with (
            self._warmer.paused(),
            closing(self._fit(job, dataset, self._snapshot(job))) as events,
        ):
            began: float | None = None  # compiling
            for event in events:
                job.check()
                if isinstance(event, Finished):
                    workload = workload_on(job.architecture, job.hyperparams, dataset.info, kernels=job.kernels)
                    self._warmer.succeeded(workload, dataset=job.dataset)
                    self._warn(job, event.warnings)
                    return event
                if isinstance(event, Progress):
                    began = (began or time.monotonic()) if event.phase == "compiling" else None
                    self._limits.check_compiling(time.monotonic() - began if began else 0.0)
                self._hear(job, event, pulse)
        raise RuntimeError("fit ended without a result")

    def _fit(self, job: RunJob, dataset: Dataset, snapshot: Snapshot | None) -> Generator[Event]:
        if snapshot is not None and snapshot.epoch > job.epoch:
            # The server stopped after the state was kept and before the epoch was told.
            yield snapshot.metrics
        events = fit(
            job.architecture, job.hyperparams, dataset, resume=snapshot, programs=self._programs, kernels=job.kernels
        )
        del snapshot  # as large as the state that is made of it
        yield from events

    def _snapshot(self, job: RunJob) -> Snapshot | None:
        """Where the run goes on; None at its beginning."""
        if not job.epoch and not self._checkpoints.training(job.run_id).is_file():
            return None
        try:
            return self._checkpoints.snapshot(job.run_id, job.architecture, job.hyperparams, epoch=job.epoch)
        except CheckpointError as error:
            raise CheckpointError(f"the run cannot continue: {error}; start it again with POST /api/train") from None

    def _hear(self, job: RunJob, event: Event, pulse: Pulse) -> None:
        if job.steps and not isinstance(event, StepLoss):
            self._log.publish_each(job.run_id, "step", [data_of(job.run_id, step) for step in job.steps])
            job.step, job.steps = job.steps[-1].step, []
        match event:
            case StepLoss():
                # Those of an epoch that was cut off are the same again where it is trained anew.
                job.steps += [event] if event.step > job.step else []
            case Progress():
                pulse.show(data_of(job.run_id, event))
            case Compiled():
                job.account.compiled(event.compilation)
                self._store.update_run(job.run_id, **job.account.news())
            case EpochEnd():
                job.account.epoch(event.timing)
                snapshot = event.take()
                with _writing():
                    self._checkpoints.keep(job.run_id, snapshot)
            case EpochMetrics():
                job.epoch = event.epoch
                data = data_of(job.run_id, event)
                self._log.publish(job.run_id, "metric", data, epoch=event.epoch, **job.account.news())
            case Log():
                self._tell(job, event)

    def _warn(self, job: RunJob, warnings: Sequence[str]) -> None:
        """What the reader of a result should know."""
        for warning in warnings:
            job.warnings.append(warning)
            self._tell(job, Log("warning", warning), warnings=job.warnings)

    def _tell_of_compilers(self, job: RunJob) -> None:
        """XLA cannot be stopped: what it has begun to compile goes on beside the next run, at a low priority."""
        if count := self._programs.under_way():
            logger.info("run %s has ended; %d programs are still being compiled", job.run_id, count)

    def _tell(self, job: RunJob, log: Log, **fields: object) -> None:
        self._log.publish(job.run_id, "log", data_of(job.run_id, log), **fields)

    def _data(self, job: RunJob, pulse: Pulse) -> Dataset:
        """The run's data set, fetched first if need be; one that the request did not name gives way to digits."""
        try:
            return self._fetched(job, pulse)
        except DataError as error:
            if job.dataset_named or job.dataset == FALLBACK:
                raise
            reason = without_paths(str(error))
            warning = f"{job.dataset} cannot be had, so this run trains on {FALLBACK}: {reason}"
        job.dataset = FALLBACK
        job.warnings.append(warning)
        self._tell(job, Log("warning", warning), dataset=FALLBACK, warnings=job.warnings)
        return self._fetched(job, pulse)

    def _fetched(self, job: RunJob, pulse: Pulse) -> Dataset:
        loading = data_of(job.run_id, Progress("loading", 0.0, 0, job.hyperparams.epochs))
        pulse.show(loading)
        if not is_cached(job.dataset, self._data_dir):
            fetch(
                job.dataset,
                self._data_dir,
                progress=lambda fraction, message: pulse.show({**loading, "message": message}),
                stopped=job.stopped,
            )
        job.check()
        known_as = job.dataset, state(job.dataset, self._data_dir)
        dataset = load(job.dataset, self._data_dir)
        job.account.trains_on(self._digests.of(dataset, state=known_as))
        return dataset

    def _save(self, job: RunJob, finished: Finished) -> Outcome:
        """Put the weights and what explains them on the disk."""
        record = self._store.get_run(job.run_id)
        assert record is not None, "a model with an active run cannot be deleted"
        results, facts = {name: getattr(finished, name) for name in RESULTS}, job.account.last(patience=PATIENCE)
        samples = [asdict(sample) for sample in finished.sample_predictions]
        worst = None if finished.worst is None else [asdict(sample) for sample in finished.worst]
        saved: Json = {"sample_predictions": samples, "worst": worst}
        if finished.test_metrics is not None:
            saved["summary"] = tested(record.summary, finished.test_metrics)
        dumps([results, saved, facts])  # a NaN is an internal error here, not when the end of the run is recorded
        description = {name: getattr(record, name) for name, how in told(RunRecord).items() if how.lasting}
        description |= {"classes": list(info(job.dataset).classes), **results, **facts}
        with _writing():
            path, sha256 = self._checkpoints.write(job.run_id, description, finished.variables)
        return Outcome("succeeded", {**results, **saved, "saved_model_path": path, "weights_sha256": sha256}, facts)


@contextmanager
def _writing() -> Iterator[None]:
    """Tell a disk that is full or read-only from a bug."""
    try:
        yield
    except OSError as error:
        raise Unwritable(error.strerror or type(error).__name__) from error
