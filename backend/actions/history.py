"""What runs have taken: what a prediction for one of the same structure is made from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

import msgspec

from backend.state.records import Detail, RunRecord
from backend.state.selection import Selection
from backend.state.store import Store
from nets import datasets
from nets.architecture.read import parse_architecture
from nets.errors import NetsError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inspection.seconds import LAST, Measured, structure_of
from nets.process.environment import machine
from nets.training.sampling import split_sizes
from nets.training.workload import workload_on

LOOKED_AT = 200  # of the latest runs
TOLD: tuple[Detail, ...] = ("architecture", "timing", "compilation", "environment")


def history(store: Store, *, parameters: int) -> list[Measured]:
    """Runs that may have the structure of a network with so many parameters, the latest first."""
    return list(islice(_measured(store, parameters), LAST))


def _measured(store: Store, parameters: int) -> Iterator[Measured]:
    for run in store.runs_at(store.select(Selection(states=("succeeded",)), limit=LOOKED_AT), TOLD):
        here = run.environment and run.environment["machine"] == machine()
        if here and run.parameters == parameters and run.timing and run.timing["median_epoch_seconds"]:
            told = msgspec.json.encode([run.architecture, run.hyperparams])
            if sizes := structure(told, run.dataset, run.device_id, run.kernels):
                yield Measured(*sizes, run.timing["median_epoch_seconds"], *waited(run))


def waited(run: RunRecord) -> tuple[float | None, float | None]:
    """How long for its programs: where all of them were compiled anew, and where all were read from the disk."""
    kind = run.compilation["kind"] if run.compilation else None
    return run.compile_seconds if kind == "cold" else None, run.compile_seconds if kind == "disk" else None


@lru_cache(LOOKED_AT)
def structure(told: bytes, dataset: str, device: str | None, kernels: str) -> tuple[str, int, int] | None:
    """The structure of a run, and how many samples trained and validated; None where it cannot be read any more."""
    architecture, hyperparams = msgspec.json.decode(told)
    try:
        info = datasets.info(dataset)
        wanted = parse_hyperparams(hyperparams).model_copy(update={"device": device})
        workload = workload_on(parse_architecture(architecture), wanted, info, kernels=kernels)  # type: ignore[arg-type]
    except NetsError:
        return None
    return (structure_of(workload), *split_sizes(wanted, info.train_size))
