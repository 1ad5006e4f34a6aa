"""What is computed beside passes over samples: products of an optimizer, and metrics on the host."""

from __future__ import annotations

from nets.architecture.graph import Graph
from nets.hyperparams.hyperparams import Hyperparams
from nets.training.update import Update
from nets.training.workload import Workload

SECONDS = 0.011e-9  # of two cores with AVX-512 for an operation in a product of matrices by XLA
WAITING = 30e-6  # of the products of a matrix, however small it is


def of_each(of: Hyperparams | Update, graph: Graph) -> list[float]:
    """Operations of a step of an optimizer in products of matrices, by array."""
    arrays = [(name, each.shape) for node in graph.nodes for name, each in node.arrays.parameters.items()]
    return [of.optimizer.products([each]) for each in arrays]


def products(of: Hyperparams | Update, graph: Graph) -> float:
    """Those of all arrays."""
    return sum(of_each(of, graph))


def stepping(workload: Workload, samples: int) -> float:
    """Seconds of these in so many training samples. Other devices than CPUs take no time that would be seen."""
    if workload.platform != "cpu":
        return 0.0
    each = [many for many in of_each(workload.update, workload.graph) if many]
    return -(-samples // workload.batch) * (sum(each) * SECONDS + len(each) * WAITING)


def measuring(hyperparams: Hyperparams, classes: int, samples: int) -> float:
    """Seconds of the metrics of so many samples, on the host."""
    return sum(each.nanoseconds for each in hyperparams.metrics) * 1e-9 * samples * classes
