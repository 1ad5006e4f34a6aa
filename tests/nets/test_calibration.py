"""What was measured of a device, and where it is kept."""

from dataclasses import replace
from pathlib import Path

import jax

from nets.calibration.calibration import Calibration, keep, kept, path_of


def test_what_was_measured_is_read_again(tmp_path: Path) -> None:
    device = jax.local_devices()[0]
    assert kept(tmp_path, device) is None
    made = replace(Calibration.blank(device), peaks={"float32": 1e11}, rates={"float32": {"step": 1e-5}})
    keep(tmp_path / "calibration", made)
    assert kept(tmp_path / "calibration", device) == made


def test_of_another_machine_or_damaged_it_is_not_used(tmp_path: Path) -> None:
    device = jax.local_devices()[0]
    path = path_of(tmp_path, device)
    keep(tmp_path, replace(Calibration.blank(device), key="cpu-000000000000")).rename(path)
    assert kept(tmp_path, device) is None
    for text in ("", "[]", "{}", '{"schema": "lamina-calibration/1"}'):
        path.write_text(text)
        assert kept(tmp_path, device) is None
