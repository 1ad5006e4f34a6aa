"""SIGKILL at random moments of real training: whatever a client was told is there afterwards, and goes on."""

from __future__ import annotations

import collections
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.state.records import Json
from tests.backend.samples import MLP
from tests.robustness.hosts import CNN, Follower, Host, body, outcome
from tests.robustness.witness import Clerk, Witness

KILLS = 26  # of each of the two sequences
EPOCHS = 16
SEQUENCES = [  # two, so that two cores do them side by side
    (1, body(MLP, epochs=EPOCHS)),
    (
        2,
        body(
            CNN,
            epochs=EPOCHS,
            precision="bfloat16",
            keep_best=True,
            optimizer={"type": "sgd", "lr": 0.05, "momentum": 0.9},
        ),
    ),
]
Moment = Callable[[random.Random, Follower, Path], None]


def loading(rng: random.Random, run: Follower, folder: Path) -> None:
    run.await_phase("loading")
    time.sleep(rng.uniform(0, 0.8))


def compiling(rng: random.Random, run: Follower, folder: Path) -> None:
    run.await_phase("compiling")
    time.sleep(rng.uniform(0, 0.8))


def training(rng: random.Random, run: Follower, folder: Path) -> None:
    run.await_epoch(rng.randrange(1, EPOCHS))
    time.sleep(rng.uniform(0, 0.02))


def writing_a_state(rng: random.Random, run: Follower, folder: Path) -> None:
    run.await_epoch(rng.randrange(0, EPOCHS - 1))
    _watch(run, folder, ".training.msgpack")
    time.sleep(rng.uniform(0, 0.004))


def writing_weights(rng: random.Random, run: Follower, folder: Path) -> None:
    run.await_epoch(EPOCHS - 2)
    _watch(run, folder, rng.choice((".weights.msgpack.new", "weights.msgpack.new", ".run.json", "run.json")))
    time.sleep(rng.uniform(0, 0.004))


def ending(rng: random.Random, run: Follower, folder: Path) -> None:
    run.await_epoch(EPOCHS)
    time.sleep(rng.uniform(0, 0.03))


def _watch(run: Follower, folder: Path, beginning: str) -> None:
    """Back when a file of this name appears, or the run has ended."""
    while run.is_alive() and not run.over():
        try:
            with os.scandir(folder) as entries:
                if any(entry.name.startswith(beginning) for entry in entries):
                    return
        except FileNotFoundError:
            pass
        time.sleep(0.0002)


MOMENTS: dict[str, tuple[int, Moment]] = {  # with how many of the kills of a sequence
    "loading": (3, loading),
    "compiling": (4, compiling),
    "training": (7, training),
    "writing a state": (5, writing_a_state),
    "writing weights": (4, writing_weights),
    "ending": (3, ending),
}


class Sequence:
    """Kill after kill over one state directory. `pending`: runs that were cut off and not yet finished."""

    def __init__(self, host: Host, body: Json, rng: random.Random) -> None:
        self.host, self.body, self.rng = host, body, rng
        self.witness = Witness(host)
        self.reference: Json = {}
        self.pending: list[str] = []
        self.counted: collections.Counter[str] = collections.Counter()

    def train(self, **fields: bool) -> Follower:
        """Start a run, at once unless it is to wait, and follow it."""
        return self.witness.follow(self.host.train({**self.body, **fields})["run_id"])

    def resume(self, run_id: str, **fields: bool) -> Follower:
        self.witness.resumes(run_id)
        accepted = self.host.client.post(f"/api/runs/{run_id}/resume", fields)
        assert accepted["run_id"] == run_id
        return self.witness.follow(run_id)

    def learn(self) -> None:
        """How a run ends that nothing cuts off."""
        record = self.host.finish(self.train().run_id)
        assert record["state"] == "succeeded", record["error"]
        self.reference = outcome(record)

    def finish_pending(self) -> None:
        """Resume everything that was cut off: it ends as if it had not been."""
        for run_id in self.pending:
            self.resume(run_id, queue=True)
        for run_id in self.pending:
            self.compare(self.host.finish(run_id))
            self.counted["resumed to the end"] += 1
        self.pending.clear()

    def compare(self, record: Json) -> None:
        assert outcome(record) == self.reference

    def kill_at(self, name: str, *, number: int, worker_only: bool, fresh: bool) -> None:
        """Train, kill, start again and look. `fresh`: the next server compiles for as long as the first one."""
        if name not in ("loading", "compiling"):  # which happen once in a server's life
            self.finish_pending()
        target, others = self.begin()
        succeeded = [run for run in self.witness.records.values() if run["state"] == "succeeded"]
        clerk = Clerk(self.witness, number, self.rng.sample(succeeded, min(3, len(succeeded))))
        MOMENTS[name][1](self.rng, target, self.host.state_dir / target.run_id)
        if worker_only:
            self.host.kill_worker()
        else:
            self.host.kill()
        self.witness.hear_out()
        if not worker_only:
            if fresh:
                shutil.rmtree(self.host.state_dir / "compiled")
            self.host.start()
        self.look(target.run_id, others, clerk)
        self.counted[f"{name}, {'worker' if worker_only else 'server'}"] += 1
        self.counted["answers to the clerk"] += clerk.answers

    def begin(self) -> tuple[Follower, list[str]]:
        """The run to be cut off, a new one or a resumed one, which begins at once; and runs that wait behind it."""
        if self.pending and self.rng.random() < 0.5:
            self.counted["cut off again"] += 1
            target = self.resume(self.pending.pop())
        else:
            target = self.train()
        if self.rng.random() < 0.25:
            return target, [self.train(queue=True).run_id]
        return target, []

    def look(self, target: str, others: list[str], clerk: Clerk) -> None:
        """After a crash: what was cut off says so, what waited is done, and everything told is there."""
        records = [self.host.finish(run_id) for run_id in (target, *others)]
        ends = [record["state"] for record in records]
        expected = ["succeeded"], ["failed"], ["succeeded"] * 2, ["failed", "succeeded"], ["succeeded", "failed"]
        assert ends in expected, [record["error"] for record in records]
        clerk.check()
        self.witness.check(self.rng)
        for run_id in (target, *others):
            self.look_at(self.host.run(run_id))

    def look_at(self, record: Json) -> None:
        """Of a run that was there at the crash: it has ended well or was cut off, by its own account."""
        run_id = record["run_id"]
        if record["state"] == "succeeded":
            self.counted["ended well"] += 1
            self.compare(record)
            return
        assert (record["state"], record["resumable"]) == ("failed", True)
        assert record["error"].startswith("interrupted: the server stopped while this run was in epoch")
        assert record["saved_model_path"] is None
        told = [metric for name, metric in self.witness.events[run_id].values() if name == "metric"]
        assert record["metrics"] == told
        status, sentence = self.host.refused("/api/infer", {"run_id": run_id, "pixels": [0.0] * 784})
        assert (status, sentence) == (409, f"Run {run_id} is failed; only a succeeded run has weights to use")
        self.pending.append(run_id)
        self.counted["cut off"] += 1


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "sent"), SEQUENCES, ids=["mlp", "cnn"])
def test_a_kill_at_any_moment_loses_nothing(host: Host, seed: int, sent: Json) -> None:
    rng = random.Random(seed)
    plan = [name for name, (count, _) in MOMENTS.items() for _ in range(count)]
    assert len(plan) == KILLS
    rng.shuffle(plan)
    sequence = Sequence(host, sent, rng)
    host.start()
    sequence.learn()
    for number, name in enumerate(plan):
        print(f"seed {seed}, kill {number + 1}: {name}")
        fresh = "compiling" in plan[number + 1 : number + 2]
        sequence.kill_at(name, number=number, worker_only=not fresh and rng.random() < 0.2, fresh=fresh)
    sequence.finish_pending()
    host.stop()
    sequence.witness.hear_out()
    host.start()
    sequence.witness.check(rng)
    print(f"seed {seed}: {sequence.witness.facts} facts compared, {dict(sequence.counted)}")
    assert sequence.counted["cut off"] >= KILLS // 2
