"""What the queue has done with benchmarks: nothing else is trained or compiled while one is measured."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field

from backend.events.benchmark_log import BenchmarkLog
from backend.state.benchmarks import CELL
from backend.state.records import BENCHMARK_ENDS, BenchmarkRecord, Json
from backend.state.store import Store
from backend.training.engine import Advanced, Begun, Done, Engine, Measured, Said
from backend.training.job import Halted, Job
from backend.training.outcome import Outcome, describe_bug, failed
from backend.training.progress import Pulse
from backend.training.recovery import say
from backend.training.warmer import Warmer
from nets.errors import NetsError
from nets.process.device import device_description, versions
from nets.training.cache import ProgramCache

logger = logging.getLogger("lamina.runs")

PATIENCE = 120.0  # seconds for what is compiled already to be done
LOOK = 0.1  # seconds between two looks whether it is
AGAIN = "Measure it again with POST /api/benchmarks."


@dataclass(kw_only=True)
class BenchmarkJob(Job):
    """A benchmark that waits or is measured."""

    kind = "benchmark"
    record: BenchmarkRecord
    results: Json | None = None  # as far as they have come
    cells: list[Json] = field(default_factory=list)  # measured since they were kept
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it began to be measured."""
        return round(time.monotonic() - self.began, 3)

    @property
    def identifier(self) -> str:
        return self.record.benchmark_id

    @property
    def created_at(self) -> str:
        return self.record.created_at

    @property
    def waits_on(self) -> bool:
        return True


@dataclass(frozen=True)
class BenchmarkHandler:
    """Has benchmarks measured by `engine`. `patience`: seconds for what is compiled already."""

    store: Store
    log: BenchmarkLog
    engine: Engine
    warmer: Warmer
    programs: ProgramCache
    patience: float = PATIENCE

    def carry_out(self, job: BenchmarkJob) -> Outcome:
        """Whatever goes wrong becomes the outcome; what was measured until then is kept."""
        try:
            job.check()
            job.began = time.monotonic()
            self.log.transition(job.identifier, "running", versions=versions(), device=device_description())
            logger.info("benchmark %s running", job.identifier)
            show = _shown_in(self.log, job)
            with self.warmer.paused(), Pulse(show) as pulse:
                self._await_silence(job, pulse)
                self._measure(job, pulse)
            return Outcome("succeeded")
        except Halted:
            return _interrupted()  # or cancelled, says `end`
        except sqlite3.OperationalError as error:
            logger.exception("benchmark %s cannot be written down", job.identifier)
            return failed(f"what was measured cannot be written ({error}). Free some space, then {AGAIN.lower()}")
        except NetsError as error:
            return failed(str(error))
        except Exception as error:
            logger.exception("benchmark %s failed with an internal error", job.identifier)
            return failed(describe_bug(error))

    def _await_silence(self, job: BenchmarkJob, pulse: Pulse) -> None:
        """XLA cannot be stopped: what it has begun to compile is waited for, since it would slow what is measured."""
        until = time.monotonic() + self.patience
        while self.warmer.at_work() or self.programs.under_way():
            job.check()
            if time.monotonic() > until:
                count = self.programs.under_way()
                self._say(job, Said("warning", f"{count} programs were still being compiled when measuring began"))
                return
            pulse.show({"phase": "waiting", "fraction": 0.0, "message": "waiting for what is being compiled"})
            time.sleep(LOOK)

    def _measure(self, job: BenchmarkJob, pulse: Pulse) -> None:
        with closing(self.engine.measure(job.record.request)) as told:
            for each in told:
                job.check()
                match each:
                    case Advanced():
                        pulse.show({"phase": "measuring", **_known(each)})
                    case Measured():
                        self._keep(job, each.cell)
                    case Begun():
                        job.results = each.results
                        self.store.keep_results(job.identifier, each.results)
                    case Said():
                        self._say(job, each)
                    case Done():
                        job.results, job.cells = each.results, []
                        return
        raise RuntimeError("the engine ended without results")

    def _keep(self, job: BenchmarkJob, cell: Json) -> None:
        job.cells.append(cell)
        measured = len({tuple(each.get(name) for name in CELL) for each in job.cells})
        data = {"benchmark_id": job.identifier, "cell": cell}
        self.log.publish(job.identifier, "cell", data, cells_measured=measured)

    def _say(self, job: BenchmarkJob, said: Said) -> None:
        data = {"benchmark_id": job.identifier, "level": said.level, "message": said.message}
        if said.level == "warning":
            job.record.warnings.append(said.message)
        self.log.publish(job.identifier, "log", data, warnings=job.record.warnings)

    def end(self, job: BenchmarkJob, outcome: Outcome) -> None:
        if job.reason == "cancelled":  # promised to a client before it ended by itself
            outcome = Outcome("cancelled")
        results = job.results
        if results is not None and outcome.state != "succeeded":
            results = {**self.engine.assembled(results, job.cells), "seconds": job.seconds}
        self.log.transition(job.identifier, outcome.state, results=results, **outcome.fields)
        say(job.identifier, outcome, kind="benchmark")

    def leave(self, job: BenchmarkJob) -> None:
        """Nothing: all that was measured is in the record."""

    def promise(self, job: BenchmarkJob) -> None:
        self.store.update_benchmark(job.identifier, cancel_asked=True)

    def cut_off(self, job: BenchmarkJob, *, begun: bool) -> Outcome:
        return _interrupted()

    def move(self, places: Mapping[str, int]) -> None:
        self.log.move(places)

    def state_of(self, identifier: str) -> str:
        return self.store.benchmark_tail(identifier)[0]

    def results(self, benchmark_id: str) -> Json | None:
        """What has been measured so far."""
        results, (state, _) = self.store.results_of(benchmark_id), self.store.benchmark_tail(benchmark_id)
        if results is None or state in BENCHMARK_ENDS:
            return results
        return self.engine.assembled(results, self.store.cells_of(benchmark_id))

    # What a former server left

    def left_over(self, cause: str | None = None) -> list[BenchmarkJob]:
        """End what was measured when a server ended, with what it had measured; those that wait, oldest first.

        `cause`: of that end, where it is known.
        """
        with closing(self.store.each_benchmark(state="running")) as found:
            running = [record for _, record in found]
        for record in reversed(running):
            self._end_active(record, cause)
        with closing(self.store.each_benchmark(state="queued")) as found:
            waiting = [record for _, record in found]
        return [BenchmarkJob(record=record) for record in reversed(waiting)]

    def _end_active(self, record: BenchmarkRecord, cause: str | None) -> None:
        outcome = Outcome("cancelled") if record.cancel_asked else _interrupted(cause)
        results = self.results(record.benchmark_id)
        self.store.by_all_means(
            lambda: self.log.transition(record.benchmark_id, outcome.state, results=results, **outcome.fields)
        )
        say(record.benchmark_id, outcome, kind="benchmark")


def _interrupted(cause: str | None = None) -> Outcome:
    """The end of a benchmark that the server's own end cut off. It does not go on: what a later server measures was
    measured under other conditions.
    """
    error = f"interrupted: {cause or 'the server stopped'} while this benchmark was measured; what it had is kept"
    return Outcome("interrupted", {"error": f"{error}. {AGAIN}"})


def _known(advanced: Advanced) -> Json:
    return {name: value for name, value in asdict(advanced).items() if value is not None}


def _shown_in(log: BenchmarkLog, job: BenchmarkJob) -> Callable[[Json], None]:
    """What shows where a benchmark is to those who follow."""
    return lambda report: log.progress(job.identifier, {"benchmark_id": job.identifier, **report, **job.standing()})
