"""What is compiled, and read, before anybody asks to train: stored definitions, and the one that was trained last."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from backend.state.attempts import READING, Attempts
from backend.state.errors import UnreadableRecord
from backend.state.records import ModelRecord
from backend.state.store import Store
from backend.training.default_dataset import PREFERRED, DefaultDataset
from backend.training.limits import Limits
from backend.training.warmer import Warmer
from nets import datasets
from nets.architecture.read import parse_architecture
from nets.datasets import DatasetInfo
from nets.errors import DataError, SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inspection.seconds import compile_seconds
from nets.kernels import Choice
from nets.training.workload import Workload, workload_on

WARM_SECONDS = 30.0  # what takes longer to compile is not compiled ahead: the run of another would wait for it


@dataclass(frozen=True)
class CompileAhead:
    """Wishes to the warmer."""

    warmer: Warmer
    attempts: Attempts
    limits: Limits
    default_dataset: DefaultDataset
    kernels: Choice

    def definition(self, model: ModelRecord) -> None:
        """Make a stored definition ready to be trained, if it has an architecture."""
        if model.architecture is not None:
            self.warmer.warm(lambda: self.workload_of(model))

    def newest(self, store: Store) -> None:
        """Make the definition that was trained last ready to be trained again, as it was before a restart.

        Not that of a run which never came to the end of an epoch: it may be what ended the last server. Where nothing
        was trained yet, the data set that most begin with is read, if it is at hand.
        """
        newest = store.list_runs(limit=1, metrics=False)  # now: later it might be a run that has just begun

        def workload() -> Workload | None:
            model = None
            with suppress(UnreadableRecord):
                model = store.get_model(newest[0].model_id) if newest and newest[0].epoch else None
            if model and model.architecture:
                return self.workload_of(model)
            if datasets.is_cached(PREFERRED, self.default_dataset.data_dir):
                with suppress(DataError):  # which a run will tell its client
                    self._read(PREFERRED)
            return None

        self.warmer.warm(workload)

    def workload_of(self, model: ModelRecord) -> Workload | None:
        """What a run of a stored definition would compile, its data set read on the way; None where it cannot run."""
        try:
            architecture, hyperparams = parse_architecture(model.architecture), parse_hyperparams(model.hyperparams)
            if compile_seconds(architecture) > WARM_SECONDS:
                return None
            name = hyperparams.dataset_type or self.default_dataset.choose()[0]
            info = datasets.info(name)
            self.limits.check(architecture, hyperparams, info, kernels=self.kernels)
            if datasets.is_cached(name, self.default_dataset.data_dir):
                if (read := self._read(name)) is None:
                    return None
                info = read
        except (SpecError, DataError):
            return None
        return workload_on(architecture, hyperparams, info, kernels=self.kernels)

    def _read(self, name: str) -> DatasetInfo | None:
        """Read a data set that is at hand; None where that has ended a server. Raises DataError."""
        with self.attempts.of(READING, depends_on=name) as allowed:
            return datasets.load(name, self.default_dataset.data_dir).info if allowed else None
