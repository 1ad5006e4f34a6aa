"""What the marker `timed` does: a promise about seconds is measured anew, by the whole test, before it counts as broken."""

from __future__ import annotations

import pytest

TRIES = 3
PAUSE = 3.0  # seconds, in which what held the machine up may end; after the second try twice as long


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("timed"):
            item.add_marker(pytest.mark.flaky(reruns=TRIES - 1, reruns_delay=PAUSE, reruns_delay_backoff_factor=2))
