"""Where a run goes on, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.training.job import goes_on_with, unlike
from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.process.device import device_description
from nets.training.workload import device_of
from tests.backend.samples import a_run
from tests.nets.fake_devices import CPU, H100, L4, place

ON_L4 = parse_hyperparams({"device": "gpu:1"})


def test_a_run_goes_on_where_it_began_else_on_the_default_device_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place(monkeypatch, H100, L4, CPU)
    begun = replace(a_run(), started_at="2026-11-01T00:00:00+00:00", device="gpu: NVIDIA L4", device_id="gpu:1")
    assert goes_on_with(begun, ON_L4) == ON_L4 and unlike(begun, ON_L4) == []
    place(monkeypatch, CPU)
    assert device_of(goes_on_with(begun, ON_L4)) is CPU
    (warning,) = unlike(begun, ON_L4)
    assert f"device was gpu: NVIDIA L4 and is {device_description()}, device_id was gpu:1 and is cpu:0" in warning


def test_a_run_that_has_not_begun_asks_for_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch, CPU)
    waiting = a_run()
    with pytest.raises(
        SpecError, match=r"hyperparams\.device: must be one of cpu, cpu:0, the devices here, got \"gpu:1\""
    ):
        device_of(goes_on_with(waiting, ON_L4))
    assert unlike(waiting, ON_L4) == []
