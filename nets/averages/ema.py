"""The exponential moving average of the weights over the steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Int
from pydantic import Field

from nets.averages.average import RunningAverage, Tree, moved
from nets.spec.fields import Boolean, Real, Whole
from nets.spec.traced import Traced, TracedSpec


class Ema(TracedSpec):
    """An exponential moving average of the weights over the steps: `torch.optim.swa_utils.AveragedModel` with
    `get_ema_avg_fn` and `use_buffers`. The first average is the weights after the first step that counts, and the
    running statistics of norms are averaged like weights.
    """

    decay: Annotated[Real, Field(ge=0, lt=1), Traced()] = Field(
        default=0.999,
        description="Share of the average that stays at each update; 1 - `decay` is that of the new weights.",
    )
    warmup: Boolean = Field(
        default=False,
        description="Whether the average after n updates decays by no more than (1 + n) / (10 + n), so that the first "
        "weights are soon forgotten, as TensorFlow's `ExponentialMovingAverage` with `num_updates`.",
    )
    every_steps: Annotated[Whole, Field(ge=1, le=1_000_000), Traced()] = Field(
        default=1, description="Steps of the optimizer from one update of the average to the next."
    )
    evaluate: Boolean = Field(
        default=True,
        description="Whether the averaged weights are validated, kept, tested and saved, in place of the others.",
    )

    aliases: ClassVar[Mapping[str, str]] = {"use_warmup": "warmup"}

    def structure(self) -> Ema:
        """What a compiled program depends on; which weights are evaluated is not part of it."""
        return super().structure().model_copy(update={"evaluate": True})

    def after(
        self, average: RunningAverage, tree: Tree, step: Int[Array, ""], n: Mapping[str, Array]
    ) -> RunningAverage:
        """The average once it has seen the weights that step number `step`, from 0, led to."""
        decay = n["decay"]
        if self.warmup:
            decay = jnp.minimum(decay, (1 + average.seen) / (10 + average.seen))
        due = (step + 1) % n["every_steps"].astype(jnp.int32) == 0
        share = jnp.where(due, jnp.where(average.seen == 0, 1, 1 - decay), 0)
        return RunningAverage(average.seen + due, moved(average, tree, share))
