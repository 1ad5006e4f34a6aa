"""Runs, models and benchmarks deleted: records first, so that a crash leaves only files, which `lamina gc` finds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from backend.errors import ApiError, not_found
from backend.inference.predictors import Predictors
from backend.state.checkpoints import Checkpoints
from backend.state.errors import Promoted, StillActive, UnknownRecord
from backend.state.store import Store
from backend.training.job import Kind
from backend.training.runs import Runs

logger = logging.getLogger("lamina.models")


@dataclass(frozen=True)
class Deletion:
    """Deletes for good."""

    store: Store
    checkpoints: Checkpoints
    runs: Runs
    predictors: Predictors

    def model(self, model_id: str) -> list[str]:
        """Delete a model, its runs, and their files; the ids of those runs. 409 while one of them is active."""
        try:
            run_ids = self.store.delete_model(model_id)
        except UnknownRecord:
            raise not_found("model", model_id, listing="/api/models") from None
        except StillActive as error:
            raise self._active(error.run_id, f"Run {error.run_id} of model {model_id}") from None
        self._remove_files(run_ids)
        return run_ids

    def run(self, run_id: str, *, with_model: bool = False) -> bool:
        """Delete a run and its files. 409 while it is active, and while a model has its weights.

        with_model: and its model, if that was made for the run alone and has no other; whether that was so.
        """
        try:
            model_id = self.store.delete_run(run_id, with_model=with_model)
        except UnknownRecord:
            raise not_found("run", run_id, listing="/api/runs") from None
        except StillActive:
            raise self._active(run_id, f"Run {run_id}") from None
        except Promoted as error:
            cure = (
                "promote another run of the model, empty it with POST /api/models and "
                f'{{"model_id": "{error.model_id}", "trained": false, "saved_model_path": null}}, or delete it'
            )
            raise ApiError(409, f"Model {error.model_id} is promoted from run {run_id}; {cure}") from None
        self._remove_files([run_id])
        return model_id is not None

    def benchmark(self, benchmark_id: str) -> None:
        """Delete a benchmark with all that it measured. 409 while it is active."""
        try:
            self.store.delete_benchmark(benchmark_id)
        except UnknownRecord:
            raise not_found("benchmark", benchmark_id, listing="/api/benchmarks") from None
        except StillActive:
            raise self._active(benchmark_id, f"Benchmark {benchmark_id}", kind="benchmark") from None

    def _active(self, identifier: str, who: str, *, kind: Kind = "run") -> ApiError:
        if self.runs.cancelling() == identifier:
            return ApiError(409, f"{who} is being cancelled; send this again when it has ended")
        cure = f"wait until it has ended, or cancel it with POST /api/{kind}s/{identifier}/cancel"
        return ApiError(409, f"{who} is still active; {cure}")

    def _remove_files(self, run_ids: Sequence[str]) -> None:
        self.predictors.forget(run_ids)
        for run_id in run_ids:
            try:
                self.checkpoints.remove(run_id)
            except OSError as error:  # the records are gone: the files are garbage, not a reason to fail
                logger.warning("the files of deleted run %s stay until `lamina gc`: %s", run_id, error)
