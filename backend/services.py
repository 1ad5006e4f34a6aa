"""The parts of a running server: one of each, made and ended here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from backend.actions.deletion import Deletion
from backend.actions.retention import Retention
from backend.config import Settings
from backend.events.benchmark_log import BenchmarkLog
from backend.events.capacity import DOWNLOADS, Places
from backend.events.delivery import Delivery
from backend.events.log import EventLog
from backend.inference.predictors import Predictors
from backend.state.attempts import Attempts
from backend.state.checkpoints import Checkpoints
from backend.state.deaths import Deaths
from backend.state.files import CALIBRATION_FOLDER, PROGRAMS_FOLDER
from backend.state.records import Json
from backend.state.sizes import StateSize
from backend.state.store import STORE_FILE, Store
from backend.state.writable import Writing
from backend.telemetry import Telemetry
from backend.training import checkout
from backend.training.benchmark_handler import BenchmarkHandler
from backend.training.benchmarks import Benchmarks
from backend.training.compile_ahead import CompileAhead
from backend.training.default_dataset import DefaultDataset
from backend.training.engine import Engine
from backend.training.library import Library
from backend.training.limits import Limits
from backend.training.measuring import Measuring
from backend.training.outcome import without_paths
from backend.training.runs import Runs
from backend.training.warmer import Warmer
from nets.process.code_cache import Untrusted
from nets.process.device import keep_compiled_programs, prepare_process
from nets.training.cache import ProgramCache

Ear = Callable[[str, Json, Json], None]  # for the name and data of an event, and what the run's record got with it

logger = logging.getLogger("lamina.server")


@dataclass(frozen=True, kw_only=True)
class Services:
    """Who makes them closes them."""

    settings: Settings
    deaths: Deaths
    store: Store
    log: EventLog
    delivery: Delivery
    telemetry: Telemetry
    checkpoints: Checkpoints
    runs: Runs
    benchmarks: Benchmarks
    attempts: Attempts
    programs: ProgramCache
    warmer: Warmer
    compile_ahead: CompileAhead
    measuring: Measuring
    predictors: Predictors
    retention: Retention
    state_size: StateSize
    default_dataset: DefaultDataset
    limits: Limits
    streams: Places  # for event streams
    downloads: Places
    writing: Writing
    warnings: list[str]  # of the start, for health
    started: float = field(default_factory=time.monotonic)

    def close(self) -> None:
        """Stop the active run and end every event stream; the state on disk is complete afterwards."""
        self.retention.stop()
        self.warmer.close()
        self.runs.shutdown()
        self.retention.close()
        self.log.close()
        self.benchmarks.log.close()
        self.delivery.close()
        self.store.close()


def start(
    settings: Settings,
    *,
    deaths: Deaths | None = None,
    default_dataset: DefaultDataset | None = None,
    programs: ProgramCache | None = None,
    engine: Engine | None = None,
) -> Services:
    """All of them, with the training thread running.

    `deaths`: of servers that this one replaces. `programs`: those that are compiled already. `engine`: of benchmarks.
    """
    prepare_process()
    with ExitStack() as undo:
        store = Store(settings.state_dir / STORE_FILE)
        undo.callback(store.close)
        delivery = Delivery()
        undo.callback(delivery.close)
        warnings = keep_programs(settings.state_dir / PROGRAMS_FOLDER)
        store.verify()
        store.keep_reserve()
        services = _made(
            settings,
            store,
            delivery,
            deaths=deaths or Deaths(settings.state_dir),
            default_dataset=default_dataset or DefaultDataset(settings.data_dir),
            programs=ProgramCache() if programs is None else programs,
            engine=engine or Library(settings.state_dir, settings.data_dir),
            warnings=warnings,
        )
        services.runs.start()
        store.moved_to(services.checkpoints.root.name)
        undo.pop_all()
    checkout.begin()
    services.warmer.start()
    services.retention.start()
    services.state_size.known()  # so that the first who asks is told
    delivery.start(training=services.runs.at_work)
    services.compile_ahead.newest(store)
    return services


def _made(
    settings: Settings,
    store: Store,
    delivery: Delivery,
    *,
    deaths: Deaths,
    default_dataset: DefaultDataset,
    programs: ProgramCache,
    engine: Engine,
    warnings: list[str],
) -> Services:
    """One of each, none of them begun."""
    state_dir, telemetry = settings.state_dir, Telemetry()
    checkpoints, attempts = Checkpoints(state_dir), Attempts(state_dir)
    warmer = Warmer(attempts, programs)
    ears: list[Ear] = [telemetry.hear]
    log = EventLog(store, wake=delivery.wake, told=lambda *event: _tell(ears, event))
    benchmark_log = BenchmarkLog(store, wake=delivery.wake, ended=lambda: retention.look())
    limits = Limits(
        settings.max_memory_gb, settings.max_compile_seconds, queue=settings.max_queue, layers=settings.max_layers
    )
    measuring = BenchmarkHandler(store, benchmark_log, engine, warmer, programs)
    runs = _runs(settings, store, log, checkpoints, warmer, limits, measuring)
    predictors = Predictors(checkpoints, kernels=settings.kernels)
    deletion = Deletion(store, checkpoints, runs, predictors)
    retention = Retention(store, deletion, keep_runs=settings.keep_runs, keep_days=settings.keep_days)
    ears.append(retention.hear)
    return Services(
        settings=settings,
        deaths=deaths,
        store=store,
        log=log,
        delivery=delivery,
        telemetry=telemetry,
        checkpoints=checkpoints,
        runs=runs,
        benchmarks=Benchmarks(runs, measuring),
        attempts=attempts,
        programs=programs,
        warmer=warmer,
        compile_ahead=CompileAhead(warmer, attempts, limits, default_dataset, settings.kernels),
        measuring=Measuring(state_dir / CALIBRATION_FOLDER, warmer, attempts),
        predictors=predictors,
        retention=retention,
        state_size=StateSize(state_dir),
        default_dataset=default_dataset,
        limits=limits,
        streams=Places(settings.max_streams),
        downloads=Places(DOWNLOADS),
        writing=Writing(store, state_dir),
        warnings=warnings,
    )


def _runs(
    settings: Settings,
    store: Store,
    log: EventLog,
    checkpoints: Checkpoints,
    warmer: Warmer,
    limits: Limits,
    benchmarks: BenchmarkHandler,
) -> Runs:
    return Runs(
        store,
        log,
        checkpoints,
        data_dir=settings.data_dir,
        programs=benchmarks.programs,
        warmer=warmer,
        limits=limits,
        benchmarks=benchmarks,
        resume_interrupted=settings.resume_interrupted,
    )


def _tell(ears: list[Ear], event: tuple[str, Json, Json]) -> None:
    for hear in ears:
        hear(*event)


def keep_programs(folder: Path) -> list[str]:
    """Keep compiled programs in `folder`, or say why not: a server without them is slower to begin, and no worse."""
    try:
        keep_compiled_programs(folder)
    except Untrusted as reason:
        warning = f"compiled programs are not kept, and each start compiles them again: {reason}"
        logger.warning(warning)
        return [without_paths(warning)]  # whoever asks how the server is needs no token
    return []
