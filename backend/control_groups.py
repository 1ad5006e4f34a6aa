"""The control groups of Linux that this process is in: how much memory they leave it, and whom they killed for it.

A limit may stand in any group from this process's own up to the root, in either version: a container sees its own at
the root, systemd and containers without a namespace of their own name theirs in /proc/self/cgroup.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

ROOT = Path("/")
NO_LIMIT = 1 << 62  # version 1 writes the largest multiple of a page for none


@dataclass(frozen=True)
class Files:
    """What one version calls things. `limits`: beyond the first one processes are killed."""

    limits: tuple[str, ...]
    used: str
    reclaimable: str  # in memory.stat, with groups below
    effective: str  # in memory.stat: the least limit of this group and those above it, seen or not
    kills: str


VERSION_1 = Files(
    ("memory.limit_in_bytes",),
    "memory.usage_in_bytes",
    "total_inactive_file",
    "hierarchical_memory_limit",
    "memory.oom_control",
)
# Above memory.high a group is made to wait until it hardly moves.
VERSION_2 = Files(("memory.max", "memory.high"), "memory.current", "inactive_file", "", "memory.events")


def free(root: Path = ROOT) -> list[int]:
    """Bytes that are free under each limit."""
    return [bytes_free for files, folder in groups(root) if (bytes_free := _free(files, folder)) is not None]


def out_of_memory_kills(root: Path = ROOT) -> int:
    """How many processes of this group the system has killed for want of memory; of the machine, without groups."""
    counters = ((folder / files.kills) for files, folder in groups(root))
    for path in chain(counters, [root / "proc/vmstat"]):
        if (kills := _numbers(path).get("oom_kill")) is not None:
            return kills
    return 0


def groups(root: Path = ROOT) -> Iterator[tuple[Files, Path]]:
    """Folders of the groups that count this process's memory, its own before those above it."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, own = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            mounts, files = _mounts(root, lambda kind, _: kind == "cgroup2"), VERSION_2
        elif "memory" in controllers.split(","):
            mounts, files = _mounts(root, lambda kind, options: kind == "cgroup" and "memory" in options), VERSION_1
        else:
            continue
        for shown, mount in mounts:
            parts = PurePosixPath(own).relative_to(shown).parts if PurePosixPath(own).is_relative_to(shown) else ()
            parts = () if ".." in parts else parts  # outside of what this process can see
            yield from ((files, mount.joinpath(*parts[:depth])) for depth in range(len(parts), -1, -1))


def _mounts(root: Path, wanted: Callable[[str, list[str]], bool]) -> Iterator[tuple[str, Path]]:
    """Where a hierarchy is to be seen: (the group at the top of what is shown, the folder)."""
    for line in _lines(root / "proc/self/mountinfo"):
        place, _, what = line.partition(" - ")
        fields, kinds = place.split(" "), what.split(" ")
        if len(fields) > 4 and len(kinds) > 2 and wanted(kinds[0], kinds[2].split(",")):
            shown, folder = (re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), name) for name in fields[3:5])
            yield shown, root / folder.lstrip("/")


def _free(files: Files, folder: Path) -> int | None:
    """Bytes that are free in one group; None where it has no limit. What its files fill is given back when needed."""
    stat = _numbers(folder / "memory.stat")
    limits = [float(stat.get(files.effective, math.inf)), *(_limit(folder / name) for name in files.limits)]
    used = _limit(folder / files.used)
    if min(limits) >= NO_LIMIT or math.isinf(used):
        return None
    return max(0, int(min(limits)) - int(used) + stat.get(files.reclaimable, 0))


def _limit(path: Path) -> float:
    try:
        return float(path.read_text().replace("max", "inf"))
    except (OSError, ValueError):
        return math.inf


def _numbers(path: Path) -> dict[str, int]:
    words = (line.split() for line in _lines(path))
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, ValueError):
        return []
