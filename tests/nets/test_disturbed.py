"""Repeats that other work disturbed are named, and cells whose repeats differ."""

from __future__ import annotations

from nets.benchmarks.disturbed import disturbed, of_repeats, of_spread
from nets.benchmarks.protocol import Spot
from nets.process.quiet import Usage
from tests.nets.benchmark_results import example

SPOT = Spot("mlp", "cpu:0", "float32", 64)


def test_a_repeat_beside_which_others_worked_is_named() -> None:
    before = Usage(total=100.0, busy=50.0, steal=1.0, own=10.0)
    alone = Usage(total=110.0, busy=59.0, steal=1.0, own=19.0)
    beside = Usage(total=110.0, busy=59.0, steal=1.0, own=16.0)
    robbed = Usage(total=110.0, busy=55.0, steal=1.5, own=15.0)
    assert disturbed(SPOT, 0, before, alone) is None
    assert disturbed(SPOT, 0, before, None) is None
    found = [one for each in (beside, robbed) if (one := disturbed(SPOT, 4, before, each))]
    assert [round(one.share, 2) for one in found] == [0.3, 0.05]
    (sentence,) = of_repeats(found, 30)
    assert "2 of 30 repeats (30% in repeat 5 of mlp, cpu:0, float32, batch 64; 5% in" in sentence
    (sentence,) = of_repeats(found, 3)
    assert "2 of 3 repeats (30% at most)" in sentence
    assert of_repeats([], 30) == []


def test_repeats_that_differ_earn_a_warning() -> None:
    cells = example()["cells"]
    assert of_spread(cells) == []
    speed = cells[0]["samples_per_second"]
    assert speed is not None
    speed["low"] = 0.64 * speed["median"]
    (sentence,) = of_spread(cells)
    assert f"±36% for {cells[0]['body']}, cpu:0" in sentence and "--repeats" in sentence
