"""The losses of single steps, told of every n-th: few enough to be kept with the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nets.hyperparams.hyperparams import Hyperparams
from nets.training.sampling import samples_per_step
from nets.training.sums import Sums

MOST_STEPS = 2000  # told of a run


@dataclass(frozen=True)
class StepLoss:
    """One step. step: counted from 1 over all epochs; loss: the mean over its batch, before its update.

    learning_rate: that of the update.
    """

    epoch: int
    step: int
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class StepLosses:
    """Which steps a run tells of. train: how many samples it trains on."""

    hyperparams: Hyperparams
    train: int

    @property
    def batch(self) -> int:
        return samples_per_step(self.hyperparams, self.train)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.train // self.batch)

    @property
    def every(self) -> int | None:
        """Of every n-th step, n raised where there would be more than `MOST_STEPS`; None: of none."""
        asked = self.hyperparams.log_every
        return None if asked is None else max(asked, self.least)

    @property
    def least(self) -> int:
        """The smallest n."""
        return -(-self.hyperparams.epochs * self.steps_per_epoch // MOST_STEPS)

    def of(self, sums: Sums, *, first: int, epoch: int, rate: Callable[[int], float]) -> Iterator[StepLoss]:
        """Those among the batches of an epoch from index `first` on. rate: the learning rate of a step."""
        every = self.every
        for place, loss in enumerate(sums.losses[first:] if every else (), first):
            step = (epoch - 1) * self.steps_per_epoch + place + 1
            if every and step % every == 0:
                samples = min(self.batch, self.train - place * self.batch)
                counted = (sums.weights[place] or 1.0) if sums.weights else samples
                yield StepLoss(epoch, step, loss / counted, rate(step))
