"""What a run is computed with, so that another one can tell a difference by it: told of no path and of no name."""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import os
import platform
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax
import psutil

from nets.facts import Device, Environment, Processor
from nets.process.device import cores, processor, vector_unit

ROOT = Path("/")
# Libraries that compute, or decide how, beside those in `device.versions`.
LIBRARIES = (
    *("llvmlite", "jax-cuda12-plugin", "jax-cuda13-plugin", "nvidia-cublas-cu12", "nvidia-cudnn-cu12"),
    *("nvidia-cublas", "nvidia-cudnn-cu13", "jax-rocm7-plugin", "libtpu"),
)
# Environment variables that change how a run is computed, but for those that say where something lies, or who one is.
FLAGS = re.compile(
    r"(XLA|JAX|LIBTPU)_\w+|CUDA_VISIBLE_DEVICES|NVIDIA_TF32_OVERRIDE|(OMP|MKL|OPENBLAS)_NUM_THREADS|NPROC"
)
PRIVATE = re.compile(r"DIR|PATH|FILE|ADDRESS|HOST|URL|TOKEN|KEY|SECRET|PASSWORD|CREDENTIAL|NAME")
PLACE = re.compile(r"""[^\s,;=:'"]*[/\\~][^\s,;'"]*""")  # a word of a value that may be a path
LONGEST = 2000  # characters of a value


def environment(which: jax.Device | None = None) -> Environment:
    """All of it. Some is read once in the life of the process. which: trains; else the default device does."""
    return {
        "machine": machine(),
        "processor": cpu(),
        "threads": threads(),
        "ram_bytes": ram(),
        "os": system(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "device": device(which or jax.local_devices()[0]),
        "libraries": libraries(),
        "flags": flags(os.environ),
    }


def cpu() -> Processor:
    """The processor, and what of it this process may use."""
    return {
        "model": processor(),
        "vector_unit": vector_unit() or None,
        "cores": cores(),
        "cores_of_machine": os.cpu_count() or cores(),
        "quota": quota(),
    }


@cache
def machine(root: Path = ROOT) -> str | None:
    """Tells this machine from others: a hash of the system's own id, as machine-id(5) asks for, else of its start."""
    for name in ("etc/machine-id", "proc/sys/kernel/random/boot_id"):
        found = _text(root / name)
        if found and found != "uninitialized":
            return hmac.new(found.encode(), b"lamina", hashlib.sha256).hexdigest()[:16]
    return None


def quota(root: Path = ROOT) -> float | None:
    """The least that control groups (version 2) allow, from this process's own up to the root, in cores."""
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        own = Path(line.partition("::")[2].lstrip("/"))
        for group in (own, *own.parents) if line.startswith("0::") else ():
            limit, _, period = _text(root / "sys/fs/cgroup" / group / "cpu.max").partition(" ")
            if limit.isdecimal() and int(period or 0):
                found.append(int(limit) / int(period))
    return min(found, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def threads() -> int:
    """In XLA's pool, which Lamina's own kernels use as well: one for each core, unless NPROC says how many."""
    asked = os.environ.get("NPROC", "")
    return int(asked) if asked.isdecimal() and int(asked) else cores()


@cache
def ram() -> int | None:
    """Bytes of the machine."""
    try:
        return int(psutil.virtual_memory().total)
    except (OSError, RuntimeError):
        return None


@cache
def system() -> str:
    """The operating system, as it calls itself."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.mac_ver()[0]}".strip()


@cache
def device(which: jax.Device) -> Device:
    """What trains, with the software below JAX."""
    told = str(getattr(which.client, "platform_version", ""))
    memory = which.memory_stats() if which.platform != "cpu" else None
    return {
        "platform": which.platform,
        "kind": which.device_kind if which.platform != "cpu" else processor(),
        "count": len(jax.local_devices(backend=which.platform)),
        "memory_bytes": int(memory["bytes_limit"]) if memory and "bytes_limit" in memory else None,
        "driver": driver() if which.platform == "gpu" else None,
        "cuda": cuda(told),
    }


def cuda(told: str) -> str | None:
    """The version in what JAX's client says of its platform, such as `cuda 12090`."""
    found = re.search(r"\bcuda (\d+)", told, re.IGNORECASE)
    number = int(found[1]) if found else 0
    return f"{number // 1000}.{number % 1000 // 10}" if number >= 1000 else None


def driver(root: Path = ROOT) -> str | None:
    """The version of NVIDIA's driver: from its library where that is there, else from the kernel's module."""
    if root == ROOT and (version := _driver_by_library()):
        return version
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", _text(root / "proc/driver/nvidia/version"))
    return found[1] if found else None


def _driver_by_library() -> str | None:
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        if library.nvmlInit_v2():
            return None
        text = ctypes.create_string_buffer(80)
        failed = library.nvmlSystemGetDriverVersion(text, ctypes.c_uint(len(text)))
        library.nvmlShutdown()
    except (OSError, AttributeError):
        return None
    return None if failed else text.value.decode("ascii", "replace") or None


@cache
def libraries() -> dict[str, str]:
    """Those of LIBRARIES that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def flags(environ: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """Environment variables of XLA, JAX and CUDA that are set; `<path>` in the place of what may be one."""
    wanted = (name for name in sorted(environ) if FLAGS.fullmatch(name) and not PRIVATE.search(name))
    return {name: printable(PLACE.sub("<path>", environ[name]))[:LONGEST] for name in wanted if environ[name]}


def printable(text: str) -> str:
    """Any bytes that an environment may hold, as text that any encoding can carry."""
    return text.encode("ascii", "backslashreplace").decode()
