"""What training frees stays with the process, and goes back when it is told to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nets import memory

BLOCK = 256 << 20
SCRIPT = f"""
import ctypes, os, resource
import numpy as np
import psutil
from nets import memory

def faults_of_a_block():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty({BLOCK}, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])  # many would not keep it
memory.keep()
first, again = faults_of_a_block(), faults_of_a_block()
held = psutil.Process().memory_info().rss
memory.release()
left = psutil.Process().memory_info().rss
print(again, held - left)
"""


@pytest.mark.skipif(memory._glibc() is None, reason="glibc alone is told anything")
def test_a_block_is_zeroed_once_and_given_back_when_told() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    faults, released = map(int, done.stdout.split())
    assert faults < 100, "the second block takes the pages of the first"
    assert released > BLOCK // 2


@pytest.mark.skipif(memory._glibc() is None, reason="glibc alone is told anything")
@pytest.mark.parametrize(("processors", "few"), [(2, True), (4, True), (5, False), (16, False)])
def test_few_processors_share_one_heap(monkeypatch: pytest.MonkeyPatch, processors: int, few: bool) -> None:
    monkeypatch.setattr(memory.os, "sched_getaffinity", lambda pid: set(range(processors)))
    assert memory.few_processors() == few
