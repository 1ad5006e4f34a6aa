"""The network that a request names, found among runs and models and loaded."""

from __future__ import annotations

from dataclasses import dataclass

from backend.errors import ApiError, not_found
from backend.inference.predictors import Loaded, Predictors
from backend.state.checkpoints import Checkpoints
from backend.state.errors import UnknownRecord
from backend.state.records import Json, RunRecord
from backend.state.store import Store
from backend.training.runs import Runs
from nets.architecture.read import parse_architecture
from nets.errors import CheckpointError, SpecError, set_to


@dataclass(frozen=True)
class Networks:
    """Those of succeeded runs."""

    store: Store
    checkpoints: Checkpoints
    runs: Runs
    predictors: Predictors

    def find(self, run_id: str | None, model_id: str | None) -> Loaded:
        """The network that a request names; the quick way asks nothing but whether the weights are there."""
        if run_id is None:
            assert model_id is not None
            run_id = self._run_of_model(model_id)
        if (loaded := self.predictors.kept(run_id)) is None:
            run = self.store.get_run(run_id, metrics=False)
            if run is None:
                raise not_found("run", run_id, listing="/api/runs")
            loaded = self.load(run)
        if model_id is not None and loaded.model_id != model_id:
            rule = f"Run {run_id} belongs to model {loaded.model_id}, not to {model_id}"
            sentence = f"{rule}; send one of the two"
            raise ApiError(400, sentence, [set_to(loaded.model_id, ("model_id",), sentence, got=model_id)])
        return loaded

    def load(self, run: RunRecord) -> Loaded:
        """The network of a run. ApiError 409 without weights, CheckpointError where they are damaged, and
        `UnknownRecord` where the run is deleted meanwhile: its record is taken before its files.
        """
        try:
            self.require_weights(run)
            return self.predictors.load(run)
        except (ApiError, CheckpointError):
            if self.store.get_run(run.run_id, metrics=False) is None:
                raise UnknownRecord(run.run_id) from None
            self.require_weights(run)
            raise

    def _run_of_model(self, model_id: str) -> str:
        """The promoted run of a model, else its latest succeeded one."""
        model = self.store.get_model(model_id)
        if model is None:
            raise not_found("model", model_id, listing="/api/models")
        if model.saved_run_id is not None:
            return model.saved_run_id
        if model.latest_run is None:
            raise ApiError(409, f"Model {model_id} has no succeeded run; train it with POST /api/train first")
        run = self.store.get_run(model.latest_run["run_id"], metrics=False)
        if run is None:
            raise UnknownRecord(model.latest_run["run_id"])
        if not _same_network(run.architecture, model.architecture):
            cure = "train it with POST /api/train, or send the run_id to predict with"
            raise ApiError(409, f"The definition of model {model_id} differs from that of its latest run; {cure}")
        return run.run_id

    def require_weights(self, run: RunRecord) -> None:
        """409 unless the run succeeded and its weights are on the disk."""
        if run.state != "succeeded":
            state = self.runs.in_words(run)
            raise ApiError(409, f"Run {run.run_id} is {state}; only a succeeded run has weights to use")
        if not self.checkpoints.weights(run.run_id).is_file():
            raise ApiError(409, f"The weights of run {run.run_id} are gone from the disk; train the model again")


def _same_network(trained: Json, stored: Json | None) -> bool:
    """Whether two definitions mean the same, whatever names their fields were sent by."""
    if trained == stored:
        return True
    try:
        return stored is not None and parse_architecture(trained) == parse_architecture(stored)
    except SpecError:  # written by another version of Lamina, which knew other rules
        return False
