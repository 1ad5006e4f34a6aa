"""What was measured of a device."""

from nets.calibration.calibration import Calibration


def test_a_device_without_measurements_has_no_rates() -> None:
    assert not Calibration(device_kind="cpu").rates
