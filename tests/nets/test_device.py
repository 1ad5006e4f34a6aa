"""What is told of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nets.process.device import VECTOR_UNITS, device_description

ON_ONE_CORE = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from nets.process.device import device_description
print(device_description())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone binds processes to cores")
def test_the_device_names_what_decides_about_rounding() -> None:
    """The processor, its vectors, and how many cores this process may use: not how many there are."""
    command = [sys.executable, "-W", "error", "-c", ON_ONE_CORE]
    one = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.strip()
    here, count = device_description(), len(os.sched_getaffinity(0))
    assert one.endswith(", 1 core")
    assert here == (one if count == 1 else one.removesuffix("1 core") + f"{count} cores")
    flags = Path("/proc/cpuinfo").read_text().split()
    assert any(words in here for flag, words in VECTOR_UNITS.items() if flag in flags) or not flags
