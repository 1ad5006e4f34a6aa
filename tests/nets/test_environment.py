"""What a run is computed with: two machines differ by it, and nobody learns where anything lies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from nets.facts import Environment
from nets.process import environment as module
from nets.process.environment import cuda, driver, environment, flags, machine, quota, threads


def test_it_is_what_the_document_says() -> None:
    told = environment()
    TypeAdapter(Environment).validate_python(told, strict=True)
    assert told["processor"]["cores"] <= told["processor"]["cores_of_machine"] or told["threads"]
    assert told["ram_bytes"] and told["os"] and told["kernel"] and told["device"]["count"] >= 1
    assert "/" not in json.dumps({**told, "os": ""}).replace("GNU/", "")


def test_flags_that_compute_are_told_and_places_are_not() -> None:
    told = flags(
        {
            "XLA_FLAGS": "--xla_cpu_enable_fast_math=false --xla_dump_to=/home/me/dump,x --xla_y='~/a' --xla_z=../b",
            "JAX_ENABLE_X64": "1",
            "JAX_COMPILATION_CACHE_DIR": "/home/me/cache",
            "JAX_COORDINATOR_ADDRESS": "lab.example:1",
            "LAMINA_TOKEN": "secret",
            "LAMINA_STATE_DIR": "/srv",
            "CUDA_VISIBLE_DEVICES": "1",
            "JAX_PLATFORMS": "",
            "PATH": "/bin",
            "JAX_LOG": "caf\udce9",
        }
    )
    assert told == {
        "CUDA_VISIBLE_DEVICES": "1",
        "JAX_ENABLE_X64": "1",
        "JAX_LOG": "caf\\udce9",
        "XLA_FLAGS": "--xla_cpu_enable_fast_math=false --xla_dump_to=<path>,x --xla_y='<path>' --xla_z=<path>",
    }


def test_machines_are_told_apart_and_not_named(tmp_path: Path) -> None:
    def of(name: str, **files: str) -> str | None:
        for path, text in files.items():
            file = tmp_path / name / {"id": "etc/machine-id", "boot": "proc/sys/kernel/random/boot_id"}[path]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return machine(tmp_path / name)

    one, other, empty = of("a", id="5" * 32), of("b", id="6" * 32), of("c", id="\n", boot="7")
    assert len({one, other, empty}) == 3 and one and "5555" not in one and empty
    assert of("d") is None


def test_control_groups_limit_the_time_of_cores(tmp_path: Path) -> None:
    assert quota(tmp_path) is None
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("5:cpu:/x\n0::/lab/job\n")
    own = tmp_path / "sys/fs/cgroup/lab/job"
    own.mkdir(parents=True)
    (own / "cpu.max").write_text("max 100000\n")
    assert quota(tmp_path) is None
    (own.parent / "cpu.max").write_text("150000 100000\n")
    assert quota(tmp_path) == 1.5


@pytest.mark.parametrize(
    ("told", "version"),
    [("PJRT C API\ncuda 12090", "12.9"), ("cuda 13000", "13.0"), ("", None), ("rocm 60300", None), ("cuda 0", None)],
)
def test_the_version_of_cuda(told: str, version: str | None) -> None:
    assert cuda(told) == version


def test_the_version_of_the_driver(tmp_path: Path) -> None:
    assert driver(tmp_path) is None
    folder = tmp_path / "proc/driver/nvidia"
    folder.mkdir(parents=True)
    line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (root@b)\nGCC 12.3.0"
    (folder / "version").write_text(line)
    assert driver(tmp_path) == "570.86.15"
    assert module.driver() is None or driver() == module.driver()


def test_threads_are_those_of_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NPROC", raising=False)
    usual = threads()
    monkeypatch.setenv("NPROC", "3")
    assert threads() == 3
    monkeypatch.setenv("NPROC", "many")
    assert threads() == usual >= 1
