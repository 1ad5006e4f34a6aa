"""Runs that were cancelled, killed or continued end on the bits of one that was left in peace, across servers."""

from __future__ import annotations

import pytest

from backend.state.records import Json
from tests.robustness.hosts import CNN, Follower, Host, body, outcome

EPOCHS = 40
WHOLE = body(CNN, epochs=EPOCHS, max_samples=1000, precision="bfloat16", keep_best=True)


def after_epoch(host: Host, run_id: str, epoch: int) -> Follower:
    follower = Follower(host.client, run_id)
    follower.await_epoch(epoch)
    return follower


def part(whole: Json, first: int) -> Json:
    """The outcome of a run that did only the epochs from `first` on."""
    return {**whole, "metrics": whole["metrics"][first - 1 :]}


def files(host: Host, run_id: str) -> list[str]:
    return sorted(entry.name for entry in (host.state_dir / run_id).iterdir())


@pytest.mark.slow
def test_a_run_may_be_cancelled_killed_and_continued(host: Host) -> None:
    host.start()
    whole = outcome(host.finish(host.train(WHOLE)["run_id"]))

    cancelled = host.train(WHOLE)["run_id"]
    after_epoch(host, cancelled, 2)
    host.client.post(f"/api/train/{cancelled}/cancel")
    assert host.finish(cancelled)["state"] == "cancelled"
    assert files(host, cancelled) == ["training.msgpack"]
    host.kill()
    host.start()
    host.client.post(f"/api/runs/{cancelled}/resume")
    after_epoch(host, cancelled, 5)
    host.kill()  # an interrupted run that had been cancelled
    host.start()
    host.client.post(f"/api/runs/{cancelled}/resume")
    assert outcome(host.finish(cancelled)) == whole

    short = {**WHOLE, "hyperparams": {**WHOLE["hyperparams"], "epochs": 3}}
    source = host.finish(host.train(short)["run_id"])["run_id"]
    host.stop()
    host.start()
    more = {"resume_from": source, "hyperparams": {"epochs": EPOCHS}}
    continued = host.train(more)["run_id"]
    after_epoch(host, continued, 2)
    host.kill()
    host.start()
    host.client.post(f"/api/runs/{continued}/resume")
    record = host.finish(continued)
    assert outcome(record) == part(whole, 4)
    assert (record["resumed_from"], record["metrics"][0]["epoch"]) == (source, 4)
    again = host.finish(host.train(more)["run_id"])  # the source is as it was
    assert outcome(again) == part(whole, 4)
    for run_id in (cancelled, source, continued):  # of all epochs, the state of the last one: resume_from needs it
        assert files(host, run_id) == ["run.json", "training.msgpack", "weights.msgpack"]
