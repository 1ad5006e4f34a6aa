"""The machine of a benchmark, as results tell it."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from nets.benchmarks.machine import default_name, machine, quiet_of
from nets.benchmarks.results import Machine, Quiet
from nets.process.quiet import After, before
from tests.nets.fake_devices import CPU, H100, L4, put_nvml


def test_this_machine_fits_the_schema() -> None:
    start = before(sleep=lambda _: None)
    told = machine(None, start=start)
    TypeAdapter(Machine).validate_python(told, strict=True)
    assert told["name"].endswith(("core", "cores")) or "cpu" not in told["environment"]["device"]["platform"]
    assert told["quiet"]["load_average"] == start.load_average and told["quiet"]["steal"] is None
    assert machine("lab", start=start)["name"] == "lab"


def test_a_machine_with_a_gpu_is_named_by_it_and_tells_its_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    put_nvml(
        monkeypatch,
        **{
            "nvmlDeviceGetClockInfo": 1785,
            "nvmlDeviceGetMaxClockInfo": 1980,
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
        },
    )
    told = machine(None, devices=(H100, CPU), start=before(sleep=lambda _: None))
    assert (told["name"], told["power_limit_watts"]) == ("NVIDIA H100 80GB HBM3", 700.0)
    assert (told["clocks"]["gpu"], told["clocks"]["gpu_most"]) == (1785.0, 1980.0)
    assert default_name((H100, H100, L4, CPU)) == "2 x NVIDIA H100 80GB HBM3, NVIDIA L4"


def test_what_happened_while_measuring_is_added_at_the_end() -> None:
    start = before(sleep=lambda _: None)
    told = quiet_of(start, After(0.3, 0.1, ["other processes used 30%", *start.warnings]))
    TypeAdapter(Quiet).validate_python(told, strict=True)
    assert told["steal"] == 0.1 and told["busy"] == start.busy
    assert told["warnings"] == [*start.warnings, "other processes used 30%"]
