"""How long a benchmark takes: told before it, corrected by what it has measured, never at its end before its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from nets.benchmarks.bodies import read_bodies
from nets.benchmarks.pace import EPOCHS, LEAST, PEAKS, STARTING, Kind, Pace
from nets.benchmarks.protocol import plan_of, spots
from tests.nets.benchmark_results import example


@pytest.fixture
def now() -> list[float]:
    return [0.0]


def pace_of(now: list[float], repeats: int = 2, target: float | None = 0.9) -> Pace:
    bodies = {body.name: body for body in read_bodies(["mlp", "lenet"], Path("nowhere"))}
    plan = plan_of(precisions=["float32"], repeats=repeats, target=target)
    warm: list[Kind] = ["warm"] * (repeats - 1)
    kinds: list[Kind] = ["cold", *warm, "target"]
    waiting = [(spot, kind) for kind in kinds for spot in spots(list(bodies), ["cpu:0"], plan)]
    return Pace(plan, bodies, {"cpu:0": example()["devices"][0]}, waiting, [], clock=lambda: now[0])


def test_what_is_left_is_told_before_and_becomes_what_others_took(now: list[float]) -> None:
    pace = pace_of(now)
    before = pace.left()
    assert 6 * STARTING < before < 120
    pace.unknown.append("cpu:0")
    assert pace.left() == before + PEAKS
    pace.unknown.clear()
    first = pace.waiting[0]
    pace.begin(first)
    now[0] += 100.0
    pace.end()
    assert pace.expected(first) == 100.0
    assert pace.left() > 5 * before  # what is alike takes as long
    last = pace.waiting[-1]
    assert last[1] == "target" and pace.expected(last) > pace.guessed(last) > STARTING + EPOCHS * 1e-3


def test_a_bar_never_turns_back_and_is_full_at_the_end_alone(now: list[float]) -> None:
    pace, told = pace_of(now), [0.0]
    while pace.waiting:
        pace.begin(pace.waiting[0])
        for _ in range(20):  # the last are targets, which take longer than expected
            now[0] += 1.0
            pace.at(0.01)
            assert pace.left() >= LEAST
            told.append(pace.fraction())
        pace.end()
    assert told == sorted(told) and told[-2] < 1.0
    assert pace.left() == 0.0 and pace.fraction() == 1.0


def test_what_failed_is_not_waited_for(now: list[float]) -> None:
    pace = pace_of(now)
    spot, _ = first = pace.waiting[0]
    pace.begin(first)
    pace.drop(spot)
    pace.end()
    assert {job[0].body for job in pace.waiting} == {"lenet"}
