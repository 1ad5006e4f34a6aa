"""For all tests: what the marker `timed` does, and bytecode that is kept.

`timed`: a promise about seconds is measured anew, by the whole test, before it counts as broken.
"""

from __future__ import annotations

import os
import sys

import pytest

# Where an image sets this, each of the many servers and commands that tests start would compile all modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

TRIES = 3
PAUSE = 3.0  # seconds, in which what held the machine up may end; after the second try twice as long


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("timed"):
            item.add_marker(pytest.mark.flaky(reruns=TRIES - 1, reruns_delay=PAUSE, reruns_delay_backoff_factor=2))
