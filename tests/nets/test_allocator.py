"""What training frees stays with the process, and goes back when it is told to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nets.process import allocator

BLOCK = 256 << 20
SCRIPT = f"""
import ctypes, os, resource
import numpy as np
import psutil
from nets.process import allocator

def faults_of_a_block():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty({BLOCK}, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def on_advised_addresses():
    libc, inside = allocator._glibc(), False  # NumPy would ask for huge pages by itself
    start = libc.malloc({BLOCK})
    middle = start + {BLOCK} // 2
    for line in open("/proc/self/smaps"):
        name, *words = line.split()
        if not name.endswith(":"):
            first, last = (int(end, 16) for end in name.split("-"))
            inside = first <= middle < last
        elif inside and name == "VmFlags:":
            libc.free(start)
            return "hg" in words

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])  # many would not keep it
allocator.keep()
advised = on_advised_addresses()
first, again = faults_of_a_block(), faults_of_a_block()
held = psutil.Process().memory_info().rss
allocator.release()
left = psutil.Process().memory_info().rss
print(again, held - left, int(advised and on_advised_addresses()))
"""


@pytest.mark.skipif(allocator._glibc() is None, reason="glibc alone is told anything")
def test_a_block_is_zeroed_once_and_given_back_when_told() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    faults, released, advised = map(int, done.stdout.split())
    assert faults < 100, "the second block takes the pages of the first"
    assert released > BLOCK // 2
    assert advised, "huge pages are asked for where blocks are taken from, from the start and after what was given back"


@pytest.mark.skipif(allocator._glibc() is None, reason="glibc alone is told anything")
@pytest.mark.parametrize(("processors", "few"), [(2, True), (4, True), (5, False), (16, False)])
def test_few_processors_share_one_heap(monkeypatch: pytest.MonkeyPatch, processors: int, few: bool) -> None:
    monkeypatch.setattr(allocator.os, "sched_getaffinity", lambda pid: set(range(processors)))
    assert allocator.few_processors() == few
