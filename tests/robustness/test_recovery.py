"""`lamina serve --resume-interrupted`: what the end of a server cut off goes on by itself, to the last bit."""

from __future__ import annotations

import pytest

from tests.backend.samples import MLP
from tests.robustness.hosts import Follower, Host, body, outcome

WHOLE = body(MLP, epochs=30)


def logs(host: Host, run_id: str) -> list[str]:
    events = list(host.client.events(f"/api/runs/{run_id}/events"))
    return [event.data["message"] for event in events if event.name == "log"]


@pytest.mark.slow
def test_runs_that_were_cut_off_go_on_by_themselves_in_their_order(host: Host) -> None:
    host.changes["resume_interrupted"] = True
    host.start()
    whole = outcome(host.finish(host.train(WHOLE)["run_id"]))
    first, second, cancelled = (host.train({**WHOLE, "queue": True})["run_id"] for _ in range(3))
    host.client.post(f"/api/train/{cancelled}/cancel")
    Follower(host.client, first).await_epoch(3)
    host.kill()
    host.start()
    Follower(host.client, first).await_epoch(8)
    host.kill_worker()
    Follower(host.client, first).await_epoch(14)
    host.stop()
    host.start()
    assert outcome(host.finish(first)) == outcome(host.finish(second)) == whole
    assert host.run(cancelled)["state"] == "cancelled"
    assert host.run(first)["completed_at"] < host.run(second)["started_at"]
    assert sum(message.startswith("resumed by itself") for message in logs(host, first)) == 3


@pytest.mark.slow
def test_a_run_that_ends_one_server_after_the_other_is_left(host: Host) -> None:
    host.changes["resume_interrupted"] = True
    host.start()
    run_id = host.train(body(MLP, epochs=2, max_samples=1500, batch_size=2))["run_id"]  # an epoch takes a second
    waiting = host.train({**body(MLP, epochs=2), "queue": True})["run_id"]
    for _ in range(2):
        Follower(host.client, run_id).await_phase("loading")
        host.kill()
        host.start()
    assert host.finish(waiting)["state"] == "succeeded"
    record = host.run(run_id)
    assert (record["state"], record["resumable"]) == ("failed", True)
    assert "it stays interrupted, since it may be what ends the server" in record["warnings"][-1]
