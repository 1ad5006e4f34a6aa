"""Networks kept in memory."""

from __future__ import annotations

from backend.inference.predictors import Predictors
from backend.state.checkpoints import Checkpoints
from tests.backend.conftest import Trained, parts


def test_only_the_recently_used_networks_are_kept(trained: Trained) -> None:
    services = parts(trained.app)
    run = services.store.get_run(trained.run_id)
    assert run is not None
    kept = Predictors(Checkpoints(services.settings.state_dir), capacity=1)
    first = kept.load(run)
    assert kept.load(run) is first and kept.kept(run.run_id) is first
    kept.forget([run.run_id])
    assert kept.kept(run.run_id) is None and kept.load(run) is not first
