"""Runs that were cancelled, killed or continued end on the bits of one that was left in peace, across servers."""

from __future__ import annotations

import random
import time

import pytest

from backend.state.records import Json
from tests.robustness.hosts import CNN, Follower, Host, body, outcome

EPOCHS = 40
EVERYTHING: Json = {
    "epochs": EPOCHS,
    "max_samples": 1000,
    "accumulate": 2,
    "ema": {"decay": 0.9, "warmup": True, "every_steps": 3},
    "swa": {"from_epoch": 5},
    "early_stopping": {"metric": "f1", "patience": 12, "min_delta": 0.02},
    "target": {"metric": "val_loss", "value": 0.9, "stop": False},
    "metrics": ["f1"],
    "loss": {"type": "cross_entropy", "label_smoothing": 0.1},
    "augment": [{"type": "random_crop", "padding": 2}, {"type": "mixup", "alpha": 0.4}],
    "gradient_clip_norm": 1.0,
    "lookahead": {},
}
COSINE = {"type": "cosine", "warmup_epochs": 1.5}
PLATEAU = {"type": "reduce_on_plateau", "patience": 1, "factor": 0.5, "threshold": 0.05}
WHOLE = body(CNN, epochs=EPOCHS, max_samples=1000, precision="bfloat16", keep_best=True)


def after_epoch(host: Host, run_id: str, epoch: int) -> Follower:
    follower = Follower(host.client, run_id)
    follower.await_epoch(epoch)
    return follower


def part(whole: Json, first: int) -> Json:
    """The outcome of a run that did only the epochs from `first` on."""
    return {**whole, "metrics": whole["metrics"][first - 1 :]}


def everything_of(record: Json) -> Json:
    """The outcome with what ended the run and when it reached its target, but for the time that it took."""
    ends = {name: {**(record[name] or {}), "seconds": 0} for name in ("stopped_by", "target_reached")}
    return {**outcome(record), **ends, "test_metrics": record["test_metrics"]}


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


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [COSINE, PLATEAU], ids=lambda each: each["type"])
def test_a_run_with_everything_on_is_killed_at_random_moments(host: Host, schedule: Json) -> None:
    """Averages, accumulation, schedule or plateau, augmentation, mixup and patience go on where they were, to the bit."""
    sent = body(CNN, **EVERYTHING, lr_schedule=schedule)
    host.start()
    whole = host.finish(host.train(sent)["run_id"])
    assert whole["state"] == "succeeded" and whole["epoch"] >= 8, whole["error"]
    moments = random.Random(23)
    run_id = host.train(sent)["run_id"]
    for epoch in sorted(moments.sample(range(1, whole["epoch"] - 1), 2)):
        after_epoch(host, run_id, epoch)
        time.sleep(moments.uniform(0, 0.1))
        host.kill()
        host.start()
        if not host.ended(run_id):
            host.finish(run_id)
        if host.run(run_id)["resumable"]:
            host.client.post(f"/api/runs/{run_id}/resume")
    assert everything_of(host.finish(run_id)) == everything_of(whole)
