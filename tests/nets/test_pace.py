"""How long dispatches take, and what they may hold."""

from __future__ import annotations

import itertools

import pytest

from nets.hyperparams.hyperparams import parse_hyperparams
from nets.training.events import Progress
from nets.training.fit import fit
from nets.training.pace import Pace, even_part
from tests.nets.builders import TINY_CNN, network, stripes


def test_dispatches_grow_to_their_time_at_most_doubled_at_once() -> None:
    pace = Pace(4)
    pace.timed(4, 0.01)
    assert pace.steps == 8
    pace.timed(8, 0.4)
    assert pace.steps == 2 and pace.seconds_per_step == 0.05


def test_parts_of_a_long_step_hold_few_rows_that_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for batch, most in itertools.product((5, 17, 64, 65, 100, 1000), (1, 2, 8, 16, 48, 240)):
        part = even_part(batch, most)
        assert 1 <= part <= most and -(-batch // part) <= -(-batch // most)
        assert -(-batch // part) * (part - 16) < batch
    # 64 images: two parts of 32, and not 48 with 16; the last batch, of 16 images, is one part, and not two.
    monkeypatch.setattr("nets.training.steps.samples_at_most", lambda network: 48)
    for module in ("nets.training.pace", "nets.training.workload"):
        monkeypatch.setattr(f"{module}.DISPATCH_SECONDS", 1e-9)  # a part in each dispatch
    h = parse_hyperparams({"batch_size": 64, "epochs": 1, "max_samples": None, "train_split": 0.8})
    training = [
        e for e in fit(network(*TINY_CNN), h, stripes(100)) if isinstance(e, Progress) and e.phase == "training"
    ]
    assert len(training) == 2 + 1 + 1, "and once more at the end"
