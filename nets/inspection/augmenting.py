"""What the augmentations of a run take, before any has run: seconds and bytes."""

from __future__ import annotations

from nets.augment.mixing import Mix
from nets.training.workload import Workload

FLOAT = 4
COMPILING = 0.4  # seconds of two cores for each
ONES_OWN = 1.0  # of the images, what the network is given in place of the bytes of the data set


def seconds(workload: Workload, samples: int) -> float:
    """Of so many training samples. Other devices than CPUs take no time for it that would be seen."""
    if workload.platform != "cpu":
        return 0.0
    values = samples * workload.graph.input.size
    return sum(each.nanoseconds * each.rounds for each in workload.objective.augment) * values * 1e-9


def compiling(workload: Workload) -> float:
    """Seconds until they are compiled."""
    return COMPILING * len(workload.objective.augment)


def held(workload: Workload) -> int:
    """Bytes of the images of a part of a batch on their way, at most."""
    augment = workload.objective.augment
    if not augment:
        return 0
    twice = 2 if any(isinstance(each, Mix) for each in augment) and workload.part < workload.batch else 1
    images = ONES_OWN + max(each.held for each in augment)
    return int(FLOAT * twice * images * workload.part * workload.graph.input.size)
