"""What a pass over samples has come to so far, on the host."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import jax

from nets.errors import TrainingError
from nets.training.state import Totals

ADVICE = "try a smaller learning rate (hyperparams.optimizer.lr), a batchnorm layer, or fewer layers"


@dataclass
class Sums:
    """A pass over samples so far, on the host."""

    losses: list[float] = field(default_factory=list)  # per batch
    correct: int = 0
    samples: int = 0
    weights: list[float] = field(default_factory=list)  # per batch; none where all samples count alike
    so_far: float = 0.0  # of the losses, rounded as it goes: for who looks on
    weight_so_far: float = 0.0

    def add(self, totals: Totals, count: int, place: str) -> None:
        """Read a chunk of `count` batches, which waits for it. TrainingError where its loss left the finite numbers."""
        losses, correct, samples, weights = jax.device_get(totals)
        for step, loss in enumerate(losses[:count].tolist(), len(self.losses) + 1):
            if not math.isfinite(loss):
                raise TrainingError(f"training diverged: the loss was {loss} in {place}, step {step}; {ADVICE}")
            self.losses.append(loss)
            self.so_far += loss
        if weights is not None:
            self.weights += weights[:count].tolist()
            self.weight_so_far += math.fsum(self.weights[-count:])
        self.correct += int(correct)
        self.samples += int(samples)

    @property
    def mean_loss(self) -> float:
        """Exact, so the same however the pass was cut into chunks. 0 where no sample counts."""
        return math.fsum(self.losses) / ((math.fsum(self.weights) or 1.0) if self.weights else self.samples)

    @property
    def running_loss(self) -> float:
        """About `mean_loss`, without adding everything up anew."""
        return self.so_far / ((self.weight_so_far or 1.0) if self.weights else self.samples)

    @property
    def accuracy(self) -> float:
        return self.correct / self.samples
