"""The average of the weights at the ends of epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from nets.averages.average import RunningAverage, Tree, moved
from nets.spec.fields import Boolean, Spec, Whole


class Swa(Spec):
    """Stochastic weight averaging: the plain mean of the weights at the end of each epoch. Izmailov et al., 2018;
    `torch.optim.swa_utils.AveragedModel`, but that running statistics of norms are averaged, not computed anew.
    """

    from_epoch: Annotated[Whole, Field(ge=1)] = Field(
        description="The first epoch whose weights count; up to it the run is evaluated as without."
    )
    evaluate: Boolean = Field(
        default=True,
        description="Whether the averaged weights are validated, kept, tested and saved, in place of the others.",
    )

    aliases: ClassVar[Mapping[str, str]] = {"swa_start": "from_epoch", "start_epoch": "from_epoch"}

    def structure(self) -> Swa:
        """What compiled programs depend on: that there is such an average."""
        return Swa(from_epoch=1)


def after(average: RunningAverage, tree: Tree) -> RunningAverage:
    """The average once it has seen the weights at the end of one more epoch."""
    return RunningAverage(average.seen + 1, moved(average, tree, 1 / (average.seen + 1)))
