"""What one run may take of the machine, as the settings have it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass, replace

import jax
import psutil

from backend import control_groups
from nets.architecture.architecture import Architecture
from nets.architecture.read import MAX_LAYERS
from nets.datasets import DatasetInfo
from nets.errors import Problem, SpecError
from nets.hyperparams.hyperparams import Hyperparams
from nets.inspection.memory import check_memory
from nets.kernels import Choice
from nets.process import allocator
from nets.process.device_memory import PREALLOCATE, free_device_memory, free_for_another
from nets.process.devices import default_device, name_of
from nets.training.check import check_fit, check_pace
from nets.training.workload import device_of


class LimitReached(Exception):
    """A run needs more than it may take now. What it has reached stays: it may go on when there is more."""


@dataclass(frozen=True)
class Limits:
    """`memory_gb`: 10^9 bytes, 0 for whatever is free. `compile_seconds`: 0 for any time. `queue`: runs that wait."""

    memory_gb: int = 0
    compile_seconds: int = 600
    queue: int = 100
    layers: int = MAX_LAYERS

    def memory(self, device: jax.Device | None = None, *, apart: bool = False) -> int:
        """Bytes that a run may take now: of the host, and of the device where that has its own.

        apart: in a process of its own, beside what this one holds of the device.
        """
        free = (free_for_another if apart else free_device_memory)(device or default_device())
        asked = [self.memory_gb * 10**9] if self.memory_gb else []
        found = [*free_host_memory(), *asked, *([] if free is None else [free])]
        return max(0, min(found))

    def check(
        self,
        architecture: Architecture,
        hyperparams: Hyperparams,
        info: DatasetInfo,
        *,
        kernels: Choice,
        apart: bool = False,
    ) -> None:
        """SpecError unless such a run fits together, and into memory where it trains, and can be cancelled in time.

        apart: it is made by a process of its own.
        """
        check_fit(architecture, hyperparams, info)
        device = device_of(hyperparams)
        available = self.memory(device, apart=apart)
        try:
            check_memory(architecture, hyperparams, info, available=available, kernels=kernels)
        except SpecError as error:
            raise SpecError([on(device, problem) for problem in error.problems]) if apart else error from None
        check_pace(architecture, hyperparams, info, kernels=kernels)

    def check_memory(
        self, architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo, *, kernels: Choice
    ) -> None:
        """LimitReached where a run that has been accepted no longer fits."""
        try:
            check_memory(
                architecture, hyperparams, info, available=self.memory(device_of(hyperparams)), kernels=kernels
            )
        except SpecError as error:
            raise LimitReached(str(error)) from None

    def check_compiling(self, seconds: float) -> None:
        """LimitReached where a run has been compiled for too long."""
        if self.compile_seconds and seconds > self.compile_seconds:
            raise LimitReached(
                f"compiling this network takes longer than the {self.compile_seconds} s that are allowed: "
                "use fewer layers, or start the server with a higher --max-compile-seconds"
            )


def on(device: jax.Device, problem: Problem) -> Problem:
    """A lack of memory, with where it is, and the cure where this process may hold most of it."""
    held = f", or start the server with {PREALLOCATE}=false, so that it holds less" if device.platform == "gpu" else ""
    return replace(problem, detail=f"on {name_of(device)}, {problem.detail}{held}")


def free_host_memory() -> Iterator[int]:
    """Bytes that each of what limits this process leaves it: the machine, its control groups, `ulimit -v` and `-d`."""
    yield int(psutil.virtual_memory().available)
    yield from control_groups.free()
    now = psutil.Process().memory_info()
    for limit, used in ((resource.RLIMIT_AS, now.vms), (resource.RLIMIT_DATA, getattr(now, "data", 0))):
        most = resource.getrlimit(limit)[0]
        if most != resource.RLIM_INFINITY:
            yield most - used + allocator.unused()
