"""All that the compiled programs of a run depend on, and how large one dispatch of them is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nets.architecture.architecture import Architecture
from nets.architecture.graph import Graph
from nets.datasets import DTYPES, DatasetInfo
from nets.errors import BrokenRule, SpecError
from nets.hyperparams.hyperparams import Hyperparams
from nets.kernels import Choice, Plan, plan_for
from nets.network import Network, numbers_of
from nets.process.devices import find, name_of
from nets.training.filing import Filing, Stacks, shapes_joined
from nets.training.objective import Objective
from nets.training.pace import BACKWARD, DISPATCH_SECONDS, sample_seconds, samples_at_most
from nets.training.sampling import samples_per_step, split_sizes
from nets.training.stacks import stacks_of
from nets.training.state import Data, RunNumbers, TrainState
from nets.training.steps import Steps
from nets.training.update import Update, shapes_of

MAX_CHUNK, MAX_ROWS = 1024, 65_536
LARGE_EVALUATION = 256  # samples evaluated at a time where the plan does not ask for fewer
FIRST_EVALUATION = 1024  # samples evaluated before any evaluation has been timed, at most


@dataclass(frozen=True)
class Workload:
    """What a run computes, but for its numbers. Runs with equal workloads share their compiled programs."""

    graph: Graph  # its structure
    update: Update  # its structure
    objective: Objective  # its structure
    precision: str
    platform: str
    device: str  # its name
    kernels: Choice
    batch: int
    tail: int  # size of the last batch where it needs a program of its own, else 0
    samples: int  # rows on the device
    classes: int = 0  # of the data: as many as the network has logits, unless it ends in an embedding
    micro: int | None = None  # samples of a batch that was asked for, where `batch` is several of these
    stacked: Stacks | None = None  # what `stacks` are; None: what the rest of the workload allows

    @property
    def steps(self) -> Steps:
        """Those of all batches but perhaps the last one of an epoch."""
        steps = self.unstacked
        return replace(steps, network=replace(steps.network, stacks=self.stacks))

    @cached_property
    def unstacked(self) -> Steps:
        """The same for arrays that lie each by itself."""
        plan = plan_for(self.platform, training=True, precision=self.precision, kernels=self.kernels)
        return Steps(Network(self.graph, plan), self.update, self.objective, self.platform, self.micro)

    @cached_property
    def stacks(self) -> Stacks:
        """The nodes whose arrays lie one after the other on the device."""
        if self.stacked is not None:
            return self.stacked
        steps = self.unstacked
        return stacks_of(steps.network, self.update, self.objective, batch=steps.part(self.batch))

    @property
    def filing(self) -> Filing:
        """How what a run holds is filed."""
        return Filing.of(self.graph, self.stacks)

    def steps_on(self, batch: int) -> Steps:
        """Those that train on batches of this size: the last one of an epoch may be computed in its own way."""
        return replace(self.steps, network=replace(self.steps.network, plan=self.plan_on(batch)))

    def plan_on(self, batch: int) -> Plan:
        """What computes batches of this size while training."""
        plan = self.unstacked.network.plan
        return plan.seldom if batch and batch == self.tail else plan

    @property
    def place(self) -> jax.Device:
        """The device that computes it."""
        return find(self.device)

    @property
    def chunk(self) -> int:
        """The most steps that one dispatch can hold."""
        return longest_chunk(self.batch)

    @property
    def evaluation_batch(self) -> int:
        """Samples evaluated at a time."""
        network = self.unstacked.network
        if self.objective.loss.embeds:
            return self.batch  # by whose samples each is compared
        return min(network.plan.evaluation_batch or LARGE_EVALUATION, samples_at_most(network, forward=True))

    def first_chunk(self) -> int:
        """How many steps to dispatch before any has been timed."""
        step = sample_seconds(self.unstacked.network) * (self.part if self.cut else self.batch)
        return max(1, int(DISPATCH_SECONDS / step))

    def first_evaluation(self) -> int:
        """How many batches to evaluate before any has been timed."""
        seconds = sample_seconds(self.unstacked.network) / BACKWARD * self.evaluation_batch
        return max(1, min(FIRST_EVALUATION // self.evaluation_batch, int(DISPATCH_SECONDS / seconds)))

    @property
    def part(self) -> int:
        """How many samples go forward and back at a time."""
        return self.unstacked.part(self.batch)

    @property
    def cut(self) -> bool:
        """Whether a step is several dispatches: one for some parts of its batch each, and one for the update."""
        return self.unstacked.cut(self.batch)

    @property
    def rest(self) -> int:
        """Where a step is cut: the size of the part of the last batch that is shorter, for which there is a program."""
        return self.tail % self.part if self.cut else 0

    def data(self) -> Data:
        """The samples as shapes."""
        value = self.graph.input
        inputs: Any = jax.ShapeDtypeStruct((self.samples, *value.canonical), DTYPES[value.kind])
        labels: Any = jax.ShapeDtypeStruct((self.samples,), jnp.int32)
        return Data(inputs, labels)

    def numbers(self) -> RunNumbers:
        """Some numbers of such a run."""
        objective = self.objective.numbers(np.ones(self.classes, np.int64))
        return RunNumbers(numbers_of(self.graph), self.update.numbers(), objective, jax.random.key(0))

    def state(self) -> TrainState:
        """The state of such a run as shapes, as it lies on the device."""
        found: TrainState = self.filing.together(state_shapes(self.graph, self.update), shapes_joined)
        return found


def workload_on(
    architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo, *, kernels: Choice = "auto"
) -> Workload:
    """The workload of a run on a data set of these sizes."""
    train, validation = split_sizes(hyperparams, info.train_size)
    samples = train + validation + info.test_size
    classes = len(info.classes) if hyperparams.loss.embeds else 0
    return workload_of(architecture, hyperparams, train=train, samples=samples, kernels=kernels, classes=classes)


def workload_of(
    architecture: Architecture,
    hyperparams: Hyperparams,
    *,
    train: int,
    samples: int,
    kernels: Choice = "auto",
    classes: int = 0,
) -> Workload:
    """The workload of a run that trains on `train` of `samples` rows on the device. classes: 0 for those of the end."""
    batch, device = samples_per_step(hyperparams, train), device_of(hyperparams)
    return Workload(
        graph=architecture.graph.structure,
        update=Update.of(hyperparams, architecture.graph).structure(),
        objective=Objective.of(hyperparams, architecture).structure(),
        precision=hyperparams.precision,
        platform=device.platform,
        device=name_of(device),
        kernels=kernels,
        batch=batch,
        # Padding would enter the statistics of a norm over the batch: such networks see the true last batch.
        tail=train % batch if architecture.graph.normalises else 0,
        samples=samples,
        classes=classes or architecture.graph.classes,
        micro=hyperparams.batch_size if hyperparams.batch_size < batch else None,
    )


def device_of(hyperparams: Hyperparams) -> jax.Device:
    """Where such a run trains; SpecError where that is not here."""
    try:
        return find(hyperparams.device)
    except BrokenRule as rule:
        problem = rule.at(("hyperparams", "device"))
        raise SpecError([replace(problem, got=hyperparams.device)]) from None


def longest_chunk(batch: int) -> int:
    """Batches that one dispatch can hold: their row numbers are sent along with it."""
    return min(max(1, MAX_ROWS // batch), MAX_CHUNK)


def shapes(graph: Graph) -> dict[str, Any]:
    """`nets.network.initial_variables` as shapes."""
    return {
        collection: {
            layer: {name: jax.ShapeDtypeStruct(p.shape, jnp.float32) for name, p in arrays.items()}
            for layer, arrays in layers.items()
        }
        for collection, layers in graph.arrays().items()
    }


def state_shapes(graph: Graph, update: Update) -> TrainState:
    """The state of a run as shapes."""
    variables = shapes(graph)
    opt_state = shapes_of(update, variables["params"])
    step: Any = jax.ShapeDtypeStruct((), np.int32)
    averages = jax.eval_shape(update.averages, variables)
    return TrainState(variables["params"], variables["batch_stats"], opt_state, step, averages)
