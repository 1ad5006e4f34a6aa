"""What can be trained on, as a server and the command line tell it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from backend.commands import devices, exits
from backend.state.lock import own
from backend.training import measuring as module
from nets.calibration import calibration
from nets.calibration.peaks import Peaks
from nets.process.devices import default_device
from tests.backend.conftest import Trained, parts

PEAKS = Peaks({"float32": 2.17e11, "bfloat16": 4.2e11}, 5.6e10)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time is taken to measure."""
    for where in (module, devices):
        monkeypatch.setattr(where, "measured_peaks", lambda *_, **__: PEAKS)
        monkeypatch.setattr(
            where, "with_rates", lambda made, *_, **__: replace(made, rates={"cpu": {"train.step": 1.0}})
        )


@pytest.mark.usefixtures("quick")
def test_every_device_is_told_with_what_is_known_of_it(trained: Trained) -> None:
    found = trained.client.get("/api/devices").json
    assert found["default"] == "cpu:0" and found["host"]["processor"]["cores"] >= 1 and found["host"]["jax"]
    device = next(each for each in found["devices"] if each["default"])
    assert (device["id"], device["platform"], device["memory"]["of"]) == ("cpu:0", "cpu", "host")
    assert device["data_sheet"]["float32"]["flops_per_second"] is None and device["data_sheet"]["float32"]["reason"]
    measured = device["measured_peak"]
    assert (measured["float32"] is None) == (measured["reason"] is not None)


@pytest.mark.usefixtures("quick")
def test_a_measurement_is_asked_for_again_and_refused_beside_a_run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()
    asked = client.post("/api/devices/calibrate", json={"device": "cpu"})
    assert (asked.status_code, asked.json) == (202, {"measuring": ["cpu:0"]})
    wrong = client.post("/api/devices/calibrate", json={"device": "CPU:0"}).json["errors"]
    assert [(each["pointer"], each["code"], each["got"], each["suggestion"]) for each in wrong] == [
        ("/device", "not_one_of", "CPU:0", "cpu:0")
    ]
    monkeypatch.setattr(parts(app).runs, "busy", lambda: "r_1")
    refused = client.post("/api/devices/calibrate")
    assert refused.status_code == 409 and "r_1" in refused.json["error"]


@pytest.mark.usefixtures("quick")
def test_the_command_measures_once_and_tells_programs_what_a_server_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert devices.here(tmp_path, calibrate=False, as_json=True) == exits.OK
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == trained.client.get("/api/devices").json.keys()
    assert found["devices"][0]["measured_peak"]["float32"] == 2.17e11
    assert devices.here(tmp_path, calibrate=True, as_json=True) == exits.OK
    kept = calibration.kept(tmp_path / "calibration", default_device())
    assert kept and kept.rates == {"cpu": {"train.step": 1.0}} and kept.peaks
    capsys.readouterr()
    with own(tmp_path, patience=0.0):  # a server: what was measured is read, and nothing is measured beside its runs
        assert devices.here(tmp_path, calibrate=False, as_json=False) == exits.OK
        table = capsys.readouterr().out
        assert "217 GFLOP/s" in table and "420 GFLOP/s" in table and "56 GB/s" in table
        assert devices.here(tmp_path, calibrate=True, as_json=False) == exits.USAGE
        assert "ask it with --url" in capsys.readouterr().err


def test_the_share_of_the_data_sheet_stands_beside_what_is_measured() -> None:
    row = devices.row_of(
        {
            "id": "gpu:0",
            "kind": "NVIDIA H100 PCIe",
            "default": True,
            "memory": {"total_bytes": 85_000_000_000, "usable_bytes": None, "free_bytes": None},
            "measured_peak": {
                "float32": 40.8e12,
                "bfloat16": None,
                "bandwidth": 1.9e12,
            },
            "data_sheet": {"float32": {"flops_per_second": 51e12}, "bfloat16": {"flops_per_second": 756.5e12}},
        },
        sheet=True,
    )
    assert row == [
        "gpu:0 *",
        "NVIDIA H100 PCIe",
        "85.0 GB",
        "-",
        "40.8 TFLOP/s",
        "80 %",
        "-",
        "-",
        "1.9 TB/s",
    ]
