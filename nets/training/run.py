"""What stays the same while a run trains."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

from nets.architecture.architecture import Architecture
from nets.architecture.graph import INPUT, Graph
from nets.datasets import Dataset
from nets.hyperparams.hyperparams import Hyperparams
from nets.kernels import Choice
from nets.network import Variables, numbers_of, seed_key
from nets.training.arrays import joined
from nets.training.horizon import Horizon
from nets.training.learning_rate import LearningRate, plateau_of
from nets.training.objective import Objective
from nets.training.rules import Rule
from nets.training.sampling import Split
from nets.training.state import Data, RunNumbers
from nets.training.update import Update
from nets.training.workload import Workload, workload_on

EVALUATION_COST = 1 / 3  # of a training step: no backward pass
STANDARDISED_BY = 10_000  # training samples, at most, that say what mean and deviation are


class Run:
    """Its data, its workload and its numbers. Rows on the device: training, then validation, then test samples."""

    def __init__(
        self,
        architecture: Architecture,
        hyperparams: Hyperparams,
        dataset: Dataset,
        split: Split,
        *,
        kernels: Choice = "auto",
    ) -> None:
        self.architecture = architecture
        self.hyperparams = hyperparams
        self.dataset = dataset
        sizes = np.cumsum([0, len(split.train), len(split.validation), len(dataset.test_labels)])
        self.train, self.validation, self.test = (np.arange(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        self.workload: Workload = workload_on(architecture, hyperparams, dataset.info, kernels=kernels)
        drawn = np.concatenate([split.train, split.validation])
        self.labels = np.concatenate([dataset.train_labels[drawn], dataset.test_labels]).astype(np.int32)
        self.data = Data(
            jax.device_put(joined(dataset.train_inputs, drawn, dataset.test_inputs)), jax.device_put(self.labels)
        )
        self.counts = np.bincount(dataset.train_labels[split.train], minlength=len(dataset.info.classes))
        self.typical = dataset.train_inputs[split.train[:STANDARDISED_BY]]
        self.epoch_work = len(self.train) + EVALUATION_COST * len(self.validation)
        self.update = Update.of(hyperparams, architecture.graph)
        self.horizon = Horizon.of(hyperparams, -(-len(self.train) // self.workload.batch))

    @property
    def work(self) -> float:
        """All passes over samples, in training samples, unless a rule ends them."""
        whole, steps = divmod(self.horizon.steps, self.horizon.steps_per_epoch)
        rest = steps * self.workload.batch + EVALUATION_COST * len(self.validation) if steps else 0
        return whole * self.epoch_work + rest + EVALUATION_COST * len(self.test)

    def rules(self) -> Sequence[Rule]:
        """Those that look at each epoch of the run, with nothing seen."""
        return [rule for rule in [plateau_of(self.hyperparams)] if rule is not None]

    def numbers(self, rate: LearningRate) -> RunNumbers:
        """The numbers of the run, and the key of all that is random in its steps."""
        # Weights are drawn from the seed's own key; dropout from a key beside it.
        key = jax.random.fold_in(seed_key(self.hyperparams.seed), 0x64726F70)
        objective, steps = Objective.of(self.hyperparams, self.architecture), -(-len(self.train) // self.workload.batch)
        numbers = objective.numbers(self.counts, steps_per_epoch=steps)
        update = self.update.numbers(rate.inputs(), steps_per_epoch=rate.span.steps_per_epoch)
        return RunNumbers(numbers_of(self.architecture.graph), update, numbers, key)


def started_from(samples: np.ndarray, graph: Graph, variables: Variables) -> Variables:
    """Fresh variables, and in place of some those that start from training samples."""
    owners = [node for node in graph.nodes if node.layer.from_samples and not node.shares]
    if not owners:
        return variables
    seen = samples.astype(np.float32) / np.float32(255 if samples.dtype == np.uint8 else 1)
    if graph.standardises:
        seen = (seen - variables["batch_stats"][INPUT]["mean"]) / variables["batch_stats"][INPUT]["std"]
    more = {node.id: {**variables["params"][node.id], **node.layer.started(seen)} for node in owners}
    return {**variables, "params": {**variables["params"], **more}}
