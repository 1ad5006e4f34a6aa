"""The accelerator at hand, the versions in use, and where compiled programs are kept."""

from __future__ import annotations

import gc
import os
import platform
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
from jax._src import compilation_cache
from jax._src.compilation_cache_interface import CacheInterface

from nets.errors import NoDevice
from nets.process import allocator, code_cache

# By the flags of /proc/cpuinfo, the most able first.
VECTOR_UNITS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512 BF16",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
    "avx": "AVX",
    "sve": "SVE",
    "asimd": "NEON",
}


def require_device() -> None:
    """NoDevice unless the device that training would run on can be used; JAX itself says so at the first array."""
    try:
        jax.block_until_ready(jax.device_put(np.zeros(1, np.float32)))
    except Exception as error:  # a RuntimeError, or an AssertionError without words
        reason = str(error).partition("\n")[0].partition(" (set JAX_PLATFORMS")[0].rstrip(".") or type(error).__name__
        if asked := os.environ.get("JAX_PLATFORMS"):
            cure = "install what it needs, name another, or unset it"
            raise NoDevice(f"no device: JAX_PLATFORMS={asked} cannot be used here ({reason}); {cure}") from None
        raise NoDevice(f"no device: JAX finds none that can be used ({reason})") from None


def device_description(device: jax.Device | None = None) -> str:
    """A device, by default the one that trains by default, in words: all of it that decides how sums are rounded."""
    device = device or jax.local_devices()[0]
    if device.platform != "cpu":
        return f"{device.platform}: {device.device_kind}"
    count = cores()
    return ", ".join(filter(None, (f"cpu: {processor()}", vector_unit(), f"{count} core{'s' * (count != 1)}")))


def cores() -> int:
    """How many this process may use. XLA cuts sums by their number."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def vector_unit() -> str:
    """The most able one of the CPU, where Linux tells it."""
    flags = set(_told_of_processor("flags", "Features").split())
    return next((words for flag, words in VECTOR_UNITS.items() if flag in flags), "")


def processor() -> str:
    """The CPU's name, where the system tells it."""
    return _told_of_processor("model name") or platform.processor() or platform.machine()


def _told_of_processor(*names: str) -> str:
    """The first of these that Linux tells of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(names)), "")


def versions() -> dict[str, str]:
    """Of everything that decides about numbers and speed."""
    packages = ("lamina", "jax", "jaxlib", "flax", "optax", "numpy")
    return {**{name: version(name) for name in packages}, "python": platform.python_version()}


def prepare_process() -> None:
    """What makes this process train and answer fast. Once, before JAX is first used and threads are started."""
    # Programs on a CPU run where they are called: a small one answers sooner, by a third for one image, and training
    # loses nothing, its dispatches being long.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    allocator.keep()
    gc.freeze()  # what was imported stays, and each full collection takes 40 ms to find that out, twice while compiling


def keep_compiled_programs(folder: Path) -> None:
    """Keep compiled programs and kernels in `folder`, so that a restart does not compile them again.

    Raises `code_cache.Untrusted` where that would not be safe; then nothing is kept.
    """
    code_cache.keep_in(None)
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    # XLA takes a program for the instructions of another CPU as well, and it is killed by the first of them. One for
    # another number of cores cuts sums otherwise: what a run gives would depend on who ran before it.
    shelf = code_cache.Shelf(folder, made_for=f"{processor()} x {cores()} {_told_of_processor('flags', 'Features')}")
    shelf.require()
    code_cache.keep_in(shelf)
    # JAX's own cache follows links, and takes whatever lies under the right name, whoever put it there.
    compilation_cache.get_file_cache = lambda path: (_Programs(path), path)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update(
        "jax_persistent_cache_min_compile_time_secs", 0.03
    )  # the smallest networks take three times as long
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


class _Programs(CacheInterface):
    """Where JAX keeps its programs."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)  # for JAX to name it in its log

    def get(self, key: str) -> bytes | None:
        return code_cache.get(f"{key}-cache")

    def put(self, key: str, value: bytes) -> None:
        code_cache.put(f"{key}-cache", value)
