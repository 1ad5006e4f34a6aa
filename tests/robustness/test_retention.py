"""`lamina serve --keep-runs`: a queue trains through while old runs go, and what others need stays."""

from __future__ import annotations

import pytest

from tests.backend.samples import MLP, eventually
from tests.robustness.hosts import Host, body, outcome


@pytest.mark.slow
def test_old_runs_go_while_a_queue_trains(host: Host) -> None:
    host.start()
    first = host.finish(host.train(body(MLP, epochs=3))["run_id"])
    whole = outcome(first)
    host.client.post(f"/api/models/{first['model_id']}/save", {"run_id": first["run_id"]})
    old = host.finish(host.train(body(MLP, epochs=3))["run_id"])["run_id"]
    host.stop()
    host.changes["keep_runs"] = 2
    host.start()
    ids = [host.train({**body(MLP, epochs=3), "queue": True})["run_id"] for _ in range(6)]
    ids.append(host.train({"resume_from": old, "hyperparams": {"epochs": 5}, "queue": True})["run_id"])
    assert all(outcome(host.finish(run_id)) == whole for run_id in ids[-3:-1])
    assert host.finish(ids[-1])["state"] == "succeeded", "what it continues was there for as long as it waited"
    kept = {first["run_id"], *ids[-2:]}
    eventually(lambda: {run["run_id"] for run in host.client.get("/api/runs")["runs"]} == kept, within=30)
    eventually(lambda: {path.name for path in host.state_dir.glob("r_*")} == kept, within=30)
    lines, reason = host.lines, "it is none of the 2 that ended last (--keep-runs)"
    eventually(lambda: sum(reason in line for line in list(lines)) == 6, what="line for each deletion")
    assert host.client.get("/api/health")["retention"] == {"keep_runs": 2, "keep_days": 0}
