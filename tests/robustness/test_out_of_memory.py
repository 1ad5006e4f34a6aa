"""A control group that is too small: what the system kills is told as that, and the server goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from backend.control_groups import VERSION_1, groups
from backend.state.deaths import OUT_OF_MEMORY
from tests.robustness.hosts import Host, body

LIMIT = 1500 << 20
# It takes memory until the victim is killed for it.
HOG = """
import sys
print("is there", flush=True)
victim, taken = sys.stdin.readline().strip(), []
with open(f"/proc/{victim}/oom_score_adj", "w") as file:
    file.write("1000")
while True:
    open(f"/proc/{victim}/stat").close()
    taken.append(b"x" * (1 << 20))
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of its own for what the test starts, where the machine allows one."""
    files, above = next(groups(), (None, Path("/none")))
    folder = above / f"lamina-{uuid4().hex[:8]}"
    try:
        folder.mkdir()
        limit = "memory.limit_in_bytes" if files == VERSION_1 else "memory.max"
        (folder / limit).write_text(str(LIMIT))
    except OSError as reason:
        pytest.skip(f"no control group can be made here: {reason}")
    yield folder
    folder.rmdir()


@pytest.mark.slow
def test_a_worker_killed_for_want_of_memory_says_so(tmp_path: Path, group: Path) -> None:
    host = Host(tmp_path)
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    procs = group / "cgroup.procs"
    here = next(folder for _, folder in groups()) / "cgroup.procs"
    procs.write_text(str(os.getpid()))
    try:
        host.start()
        hog = subprocess.Popen([sys.executable, "-c", HOG], text=True, **pipes)
    finally:
        here.write_text(str(os.getpid()))
    with hog:
        assert hog.stdout and hog.stdout.readline()
        started = host.train(body([{"type": "linear", "out": 10}], epochs=100_000))
        url = started["events_url"]
        next(event for event in host.client.events(url) if event.name == "metric")
        assert host.server is not None
        (worker,) = psutil.Process(host.server.process.pid).children()
        hog.communicate(f"{worker.pid}\n")
    record = host.finish(started["run_id"])
    assert record["error"].startswith(f"interrupted: {OUT_OF_MEMORY}, while this run was in epoch ")
    assert [warning for warning in host.client.get("/api/health")["warnings"] if OUT_OF_MEMORY in warning]
    assert [line for line in host.server.lines if f"the worker process died: {OUT_OF_MEMORY}" in line]
    host.stop()
