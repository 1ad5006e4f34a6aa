"""Limits of control groups are seen wherever they stand: own group or any above it, version 1 or 2, with a namespace or without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from backend.control_groups import free, out_of_memory_kills

V2 = "35 24 0:30 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "35 31 0:32 {shown} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
OTHER = "36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"


def machine(root: Path, own: str, mounts: str, **files: Mapping[str, object]) -> Path:
    """A made-up /proc and /sys. `files`: by folder under /sys/fs/cgroup, `__` for a slash and `top` for itself."""
    proc = root / "proc/self"
    proc.mkdir(parents=True)
    (proc / "cgroup").write_text(own)
    (proc / "mountinfo").write_text(mounts)
    for name, contents in files.items():
        folder = root / "sys/fs/cgroup" / ("" if name == "top" else name.replace("__", "/"))
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            (folder / file.replace("__", ".")).write_text(f"{content}\n")
    return root


def v2(most: object, used: int, cached: int = 0, **more: object) -> dict[str, object]:
    stat = f"anon 1\ninactive_file {cached}\nactive_file 7"
    return {"memory__max": most, "memory__current": used, "memory__stat": stat, **more}


def v1(most: int, used: int, cached: int = 0, least: int = 9223372036854771712) -> dict[str, object]:
    stat = f"inactive_file 3\nhierarchical_memory_limit {least}\ntotal_inactive_file {cached}"
    return {"memory__limit_in_bytes": most, "memory__usage_in_bytes": used, "memory__stat": stat}


@pytest.mark.parametrize(
    ("top", "left"),
    [
        (v2(1000, 700, 200), [500]),
        (v2(500, 700), [0]),
        (v2("max", 700), []),
        (v2("max", 700, memory__high=900), [200]),
        (v2("nonsense", 700), []),
        ({}, []),
    ],
)
def test_a_container_sees_its_own_group_at_the_root(tmp_path: Path, top: dict[str, object], left: list[int]) -> None:
    assert free(machine(tmp_path, "0::/\n", V2, top=top)) == left


def test_a_group_of_systemd_and_every_one_above_it_count(tmp_path: Path) -> None:
    groups = {"system.slice__lamina.service": v2(900, 100), "system.slice": v2(700, 300, 50), "top": {}}
    assert free(machine(tmp_path, "0::/system.slice/lamina.service\n", V2, **groups)) == [800, 450]


def test_version_1_counts_beside_version_2(tmp_path: Path) -> None:
    unlimited = 9223372036854771712
    own = "9:name=systemd:/\n4:cpu,memory:/docker/ab c\n0::/\n"
    groups = {
        "memory__docker__ab c": v1(unlimited, 200, 40),
        "memory__docker": v1(1000, 300),
        "memory": v1(unlimited, 1),
    }
    mounts = V2 + OTHER + V1.format(shown="/")
    assert free(machine(tmp_path, own, mounts, **groups)) == [700]


def test_a_container_of_version_1_is_named_as_outside_and_seen_at_the_root(tmp_path: Path) -> None:
    mounts = V1.format(shown="/docker/ab\\040c")
    root = machine(tmp_path, "4:memory:/docker/ab c\n", mounts, memory=v1(1000, 200, 40, least=900))
    assert free(root) == [900 - 200 + 40], "the limit of a group above, which is not to be seen, counts as well"


def test_a_group_outside_of_what_is_shown_is_none(tmp_path: Path) -> None:
    assert free(machine(tmp_path, "0::/../other\n", V2, top=v2(1000, 400))) == [600]


def test_no_groups_are_no_limits(tmp_path: Path) -> None:
    assert free(tmp_path) == []
    assert out_of_memory_kills(tmp_path) == 0


def test_kills_are_counted_by_the_own_group_before_the_machine(tmp_path: Path) -> None:
    one = machine(tmp_path / "1", "0::/a\n", V2, a={"memory__events": "low 0\noom 5\noom_kill 3"}, top={})
    two = machine(tmp_path / "2", "4:memory:/\n", V1.format(shown="/"), memory={"memory__oom_control": "oom_kill 2"})
    bare = machine(tmp_path / "3", "0::/\n", V2)
    for root in (one, two, bare):
        (root / "proc/vmstat").write_text("nr_free_pages 12\noom_kill 7\n")
    assert [out_of_memory_kills(root) for root in (one, two, bare)] == [3, 2, 7]
