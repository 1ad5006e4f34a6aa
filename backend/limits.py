"""What one run may take of the machine, as the settings have it."""

from __future__ import annotations

from dataclasses import dataclass

from nets.architecture import Architecture
from nets.datasets import DatasetInfo
from nets.errors import SpecError
from nets.estimate import available_memory, check_memory
from nets.hyperparams import Hyperparams


class LimitReached(Exception):
    """A run needs more than it may take now. What it has reached stays: it may go on when there is more."""


@dataclass(frozen=True)
class Limits:
    """`memory_gb`: 10^9 bytes, 0 for whatever is free. `compile_seconds`: 0 for any time."""

    memory_gb: int = 0
    compile_seconds: int = 600

    def memory(self) -> int:
        """Bytes that a run may take now."""
        return available_memory(self.memory_gb * 10**9)

    def check_memory(self, architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo) -> None:
        """LimitReached where a run that has been accepted no longer fits."""
        try:
            check_memory(architecture, hyperparams, info, available=self.memory())
        except SpecError as error:
            raise LimitReached(str(error)) from None

    def check_compiling(self, seconds: float) -> None:
        """LimitReached where a run has been compiled for too long."""
        if self.compile_seconds and seconds > self.compile_seconds:
            raise LimitReached(
                f"compiling this network takes longer than the {self.compile_seconds} s that are allowed: "
                "use fewer layers, or start the server with a higher --max-compile-seconds"
            )
