"""Rules remember what those before them saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nets.hyperparams.hyperparams import parse_hyperparams
from nets.training.events import EpochEnd
from nets.training.fit import fit
from nets.training.rules import Json, Values, restore, states
from nets.training.run import Run
from nets.training.snapshot import load_snapshot, save_snapshot
from tests.nets.builders import network, stripes

NET = network({"type": "linear", "out": 3})


@dataclass
class Seen:
    """A rule that remembers the validation losses."""

    losses: list[float] = field(default_factory=list)
    name: str = "seen"

    def see(self, values: Values) -> None:
        self.losses.append(values["val_loss"])

    def state(self) -> Json:
        return {"losses": self.losses.copy()}

    def go_on(self, state: Json) -> None:
        self.losses = list(state["losses"])


def test_one_without_a_state_begins() -> None:
    old, new, other = Seen([0.5]), Seen(), Seen([], "other")
    restore([new, other], states([old]))
    assert (new.losses, other.losses) == ([0.5], [])


def test_rules_see_each_epoch_and_go_on_from_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Seen] = []

    class Watched(Run):
        def rules(self) -> list[Seen]:
            made.append(Seen())
            return [made[-1]]

    monkeypatch.setattr("nets.training.fit.Run", Watched)
    h, data = parse_hyperparams({"epochs": 3}), stripes()
    for event in fit(NET, h, data):
        if isinstance(event, EpochEnd) and event.epoch == 2:
            save_snapshot(tmp_path / "state", event.take())
    list(fit(NET, h, data, resume=load_snapshot(tmp_path / "state", NET, h)))
    whole, resumed = made
    assert len(whole.losses) == 3 and resumed.losses == whole.losses
