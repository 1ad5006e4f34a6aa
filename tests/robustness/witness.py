"""A client that remembers everything it was ever told, and looks after a crash whether all of it is still there."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator

from backend.client import Client, LaminaError
from backend.state.records import Json
from nets.architecture.read import parse_architecture
from nets.checkpoint import load_weights
from tests.robustness.hosts import Follower, Host

ENDS = ("succeeded", "failed", "cancelled")
STEADY = ("model_id", "name", "description", "created_at", "architecture", "hyperparams", "trained", "saved_run_id")
ENDED_WITH = ("run.json", "training.msgpack", "weights.msgpack")


class Witness:
    """What a host's servers have told. `check` compares it with what the present one tells."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.events: dict[str, dict[int, tuple[str, Json]]] = {}
        self.superseded: set[tuple[str, int]] = set()  # terminal events of runs that were resumed
        self.records: dict[str, Json] = {}  # of ended runs
        self.models: dict[str, Json] = {}
        self.answers: dict[str, Json] = {}  # of each run to one image
        self.followers: list[Follower] = []
        self.facts = 0  # compared so far

    def follow(self, run_id: str) -> Follower:
        follower = Follower(self.host.client, run_id)
        self.followers.append(follower)
        return follower

    def hear_out(self) -> None:
        """Take over what the followers were told; their streams have ended or broken off."""
        for follower in self.followers:
            follower.join(timeout=60)
            assert not follower.is_alive(), "a stream goes on after its server's end"
            self.events.setdefault(follower.run_id, {}).update(follower.told)
        self.followers.clear()

    def resumes(self, run_id: str) -> None:
        """A run that is about to be resumed: its record changes, and its terminal event is superseded."""
        self.records.pop(run_id, None)
        self.superseded.add((run_id, max(self.events[run_id])))

    # After a crash

    def check(self, rng: random.Random) -> None:
        """Everything told is there, unchanged, and whatever else is there fits to it."""
        client = self.host.client
        runs = {run["run_id"]: run for run in all_runs(client)}
        for run_id, record in self.records.items():
            self.same(runs[run_id], record)
        for run_id, run in runs.items():
            if run["state"] in ENDS:
                self._check_stream(client, run)
                self.records[run_id] = run
        self._check_models({model["model_id"]: model for model in client.get("/api/models")})
        self._check_files(runs)
        succeeded = [run for run in runs.values() if run["state"] == "succeeded"]
        for run in [*succeeded[:1], *rng.sample(succeeded, min(2, len(succeeded)))]:
            self._check_answer(client, run)

    def same(self, now: object, told: object) -> None:
        self.facts += 1
        assert now == told

    def _check_stream(self, client: Client, run: Json) -> None:
        """The stream ends, its ids have no gaps, all told events are in it, and the metrics are those of the record."""
        run_id = run["run_id"]
        heard = [event for event in client.events(f"/api/runs/{run_id}/events") if event.id]
        assert [int(event.id) for event in heard] == list(range(1, len(heard) + 1))
        now = {int(event.id): (event.name, event.data) for event in heard}
        for ident, (name, data) in self.events.get(run_id, {}).items():
            newly = (run_id, ident) in self.superseded and data.get("state") != "interrupted"
            if newly and now[ident][1]["state"] == "interrupted":
                data = {**data, "state": "interrupted", "superseded": True, "was": data["state"]}
            self.same(now[ident], (name, data))
        name, last = now[len(heard)]
        assert (name, last["state"], last["error"]) == ("state", run["state"], run["error"])
        assert sum(event.name == "state" and event.data["state"] in ENDS for event in heard) == 1
        assert [event.data for event in heard if event.name == "metric"] == run["metrics"]
        assert [metric["epoch"] for metric in run["metrics"]] == list(range(1, run["epoch"] + 1))
        self.events[run_id] = now

    def _check_models(self, models: dict[str, Json]) -> None:
        for model_id, told in self.models.items():
            now = models[model_id]
            self.same({name: now[name] for name in STEADY}, {name: told[name] for name in STEADY})
            assert now["runs_total"] >= told["runs_total"]
            assert (now["highest_accuracy"] or 0) >= (told["highest_accuracy"] or 0)
            assert (now["last_trained_at"] or "") >= (told["last_trained_at"] or "")
        self.models = models

    def _check_files(self, runs: dict[str, Json]) -> None:
        """Weights are those of succeeded runs, with the recorded hash; no part of a file is left."""
        for folder in self.host.state_dir.glob("r_*"):
            run = runs[folder.name]
            entries = sorted(entry.name for entry in folder.iterdir())
            if run["state"] == "succeeded":
                assert entries == sorted(ENDED_WITH)
            elif run["state"] in ENDS:
                assert entries == ["training.msgpack"]
        for run_id, run in runs.items():
            if run["state"] == "succeeded":
                weights = self.host.weights(run_id)
                load_weights(weights, parse_architecture(run["architecture"]), sha256=run["weights_sha256"])
                described = json.loads(weights.with_name("run.json").read_text())
                self.same(described["weights_sha256"], run["weights_sha256"])

    def _check_answer(self, client: Client, run: Json) -> None:
        """The weights answer as they did when the run ended, to the last digit as when they were asked first."""
        sample = run["sample_predictions"][0]
        pixels = [value / 255 for row in sample["grid"] for value in row]
        answer = client.post("/api/infer", {"run_id": run["run_id"], "pixels": pixels})
        assert answer["label"] == sample["prediction"]
        assert abs(max(answer["probabilities"]) - sample["confidence"]) < 0.02  # which bfloat16 may have measured
        self.same(answer, self.answers.setdefault(run["run_id"], answer))


def all_runs(client: Client) -> Iterator[Json]:
    """Every run with all that is kept of it."""
    path = "/api/runs?include=metrics,sample_predictions,architecture"
    page = client.get(path)
    yield from page["runs"]
    while page["next"] is not None:
        page = client.get(f"{path}&before={page['next']}")
        yield from page["runs"]


class Clerk(threading.Thread):
    """A client that changes and promotes models, one request after the other, until the server is gone.

    What was answered is told; what was sent last may or may not have happened.
    """

    def __init__(self, witness: Witness, number: int, promotable: list[Json]) -> None:
        super().__init__(daemon=True)
        self.client, self.witness = witness.host.client, witness
        self.number, self.promotable = number, promotable
        self.told: dict[str, Json] = {}  # the answers, by model
        self.sent: tuple[str, Json] | None = None  # in flight
        self.answers = 0
        self.stopped = False
        self.start()

    def run(self) -> None:
        try:
            while not self.stopped:
                self._note()
                for run in self.promotable:
                    self._promote(run)
                time.sleep(0.01)
        except LaminaError:
            return  # the server is gone

    def _note(self) -> None:
        model_id = f"m_note_{self.number}"
        fields = {"name": f"note {self.number}", "description": f"written {self.answers} times"}
        self._ask("/api/models", model_id, {"model_id": model_id, **fields}, fields)

    def _promote(self, run: Json) -> None:
        fields = {"name": f"promotion {self.answers} of kill {self.number}"}
        expected = {**fields, "trained": True, "saved_run_id": run["run_id"]}
        self._ask(f"/api/models/{run['model_id']}/save", run["model_id"], {"run_id": run["run_id"], **fields}, expected)

    def _ask(self, path: str, model_id: str, body: Json, expected: Json) -> None:
        self.sent = model_id, expected
        self.client.post(path, body)
        self.told[model_id] = expected
        self.sent = None
        self.answers += 1

    def check(self) -> None:
        """Every answered request has happened; after this the witness knows the outcome of the last one."""
        self.stopped = True  # where only the worker was killed, the next one answers
        self.join(timeout=60)
        assert not self.is_alive()
        models = {model["model_id"]: model for model in self.witness.host.client.get("/api/models")}
        for model_id in {*self.told, *([self.sent[0]] if self.sent else [])}:
            self._check_model(models.get(model_id), model_id)

    def _check_model(self, now: Json | None, model_id: str) -> None:
        possible = [self.told[model_id]] if model_id in self.told else [self.witness.models.get(model_id)]
        if self.sent and self.sent[0] == model_id:
            possible.append(self.sent[1])
        matching = [told for told in possible if told is None or now and told.items() <= now.items()]
        assert matching, f"{now} is none of {possible}"
        self.witness.facts += 1
        if now is not None:
            self.witness.models[model_id] = now
