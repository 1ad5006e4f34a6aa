"""The accelerator at hand, the versions in use, and where compiled programs are kept."""

from __future__ import annotations

import gc
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from nets import memory


def devices() -> list[dict[str, Any]]:
    """Every local device: id, platform (`cpu`, `gpu`, `tpu`) and kind (`NVIDIA H100 80GB HBM3`)."""
    return [{"id": d.id, "platform": d.platform, "kind": d.device_kind} for d in jax.local_devices()]


def device_description() -> str:
    """The device that training runs on, in words."""
    device = jax.local_devices()[0]
    kind = processor() if device.platform == "cpu" else device.device_kind
    return f"{device.platform}: {kind}"


def free_device_memory() -> int | None:
    """Bytes that an accelerator with memory of its own can still give; None where training uses the host's."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0)) if "bytes_limit" in stats else None


def processor() -> str:
    """The CPU's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = ""
    return name or platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Of everything that decides about numbers and speed."""
    packages = ("lamina", "jax", "jaxlib", "flax", "optax", "numpy")
    return {**{name: version(name) for name in packages}, "python": platform.python_version()}


def prepare_process() -> None:
    """What makes this process train and answer fast. Once, before JAX is first used and threads are started."""
    # Programs on a CPU run where they are called: a small one answers sooner, by a third for one image, and training
    # loses nothing, its dispatches being long.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    memory.keep()
    gc.freeze()  # what was imported stays, and each full collection takes 40 ms to find that out, twice while compiling


def keep_compiled_programs(folder: Path) -> None:
    """Store compiled programs under `folder`, so that a restart does not compile them again."""
    folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
