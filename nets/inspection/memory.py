"""How much memory a run needs, before any of it is allocated."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nets.architecture.architecture import Architecture
from nets.datasets import DatasetInfo
from nets.errors import UNSAID, Problem, SpecError
from nets.hyperparams.hyperparams import Hyperparams
from nets.inspection.augmenting import held
from nets.kernels import Choice
from nets.kernels.schedule import schedule
from nets.training.pace import drawn
from nets.training.sampling import split_sizes
from nets.training.update import Update
from nets.training.workload import Workload, workload_on

FLOAT = 4
SHARE = 0.9  # of what is free; the rest is for everybody else
# Bytes that compiling takes: any network, each layer, each convolution of another shape and each further one of a known
# shape, each norm, each draw of random numbers. A convolution whose kernels are machine code of ours takes a third.
# Measured with 2 to 256 layers; the same network takes 108 to 136 MB from one process to the next.
PROGRAMS, A_LAYER, A_CONVOLUTION, A_COPY, A_NORM, A_DRAW = 128 << 20, 1 << 20, 24 << 20, 3 << 20, 4 << 20, 5 << 20
DENSE_DRAWS = 200 << 20  # any number of them in a network without images, for which XLA's newer generator is used
NATIVE = 3
# What copies of weights that come and go leave between them, which nothing else quite fills.
HOLES = 1.35
# The memory of one step's values is seldom taken again whole by the next: what was allocated meanwhile stands in it.
AGAIN = 2.2
# Random bits of an image and what they are made of, of each value of a layer that draws them.
DRAWN = 8
# Of what a convolution keeps and works with in a step, evaluation needs so much.
FORWARD = 0.65

# What is expected, beside what is claimed: fitted to the peaks of the 23 networks of tests/nets/test_memory.py, and
# those of compiling to 18 more. The compiler's own, each kind of convolution, each norm of each program that trains or
# evaluates, each layer that draws, and of the claimed weights what is in use at once.
COMPILER, A_KIND, A_NORMED, DRAWING, IN_USE = 94e6, 0.33e6, 9e6, 12e6, 0.81
# Values between stages, those that random bits are drawn for, and images of norms, each as often as it is there.
BETWEEN, WITH_DRAWS, NORMED = 1.87, 1.93, 0.06
# Of what convolutions keep and work with: by themselves for each channel, in groups, all others.
KEPT, WORKING = {"depthwise": 1.6, "groups": 1.22, "one": 5.25}, {"depthwise": 2.51, "groups": 0.18, "one": 0.55}
AFTER = 0.93  # of the compiler's memory, what is not used again by the first step


@dataclass(frozen=True)
class Memory:
    """Bytes that a run needs, by what they hold."""

    weights: int  # parameters and gradients; or, after an epoch, what is copied of the parameters to be kept
    optimizer: int  # its state
    activations: int  # of the images that go through at a time, with the patches of their convolutions
    samples: int
    programs: int  # to compile

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.activations + self.samples + self.programs


def memory_needed(
    architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo, *, kernels: Choice = "auto"
) -> Memory:
    """An estimate that leans to the high side."""
    train, validation = split_sizes(hyperparams, info.train_size)
    workload = workload_on(architecture, hyperparams, info, kernels=kernels)
    sample = info.sample_bytes + FLOAT
    trained = _weights(architecture, hyperparams, gathered=workload.part < workload.batch)
    optimizer = int(HOLES * FLOAT * architecture.parameters * Update.of(hyperparams, architecture.graph).slots)
    return Memory(
        weights=trained - optimizer,
        optimizer=optimizer,
        activations=_activations(workload),
        # As they are read, as those that are drawn are put together, and on the device.
        samples=(2 * (train + validation + info.test_size) + info.train_size + info.test_size) * sample,
        programs=_programs(workload),
    )


def memory_expected(
    architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo, *, kernels: Choice = "auto"
) -> Memory:
    """What a run's peak is expected to be, where `memory_needed` says what it stays below."""
    claim = memory_needed(architecture, hyperparams, info, kernels=kernels)
    workload = workload_on(architecture, hyperparams, info, kernels=kernels)
    activations, kinds = _expected_activations(workload)
    nodes, compiled = workload.graph.nodes, 3 if workload.tail else 2
    norms, draws = sum(n.layer.across_batch for n in nodes), sum(n.layer.draws for n in nodes)
    programs = COMPILER + A_KIND * kinds + A_NORMED * compiled * norms + DRAWING * draws
    optimizer = int(FLOAT * architecture.parameters * Update.of(hyperparams, architecture.graph).slots)
    return Memory(
        weights=max(0, int(IN_USE * (claim.weights + claim.optimizer)) - optimizer),
        optimizer=optimizer,
        activations=max(0, int(activations - (1 - AFTER) * programs)),
        samples=claim.samples,
        programs=int(programs),
    )


def _expected_activations(workload: Workload) -> tuple[float, int]:
    """Bytes of a part of a batch by the stages that compute it, and how many kinds of convolution there are."""
    graph, plan, images = workload.graph, workload.unstacked.network.plan, workload.part
    values = float(held(workload))
    working: dict[str, int] = {}
    known = set()
    for stage in schedule(graph, plan, batch=images, train=True):
        values += BETWEEN * FLOAT * images * stage.nodes[-1].times * stage.nodes[-1].gives.size
        for node in stage.nodes:
            values += WITH_DRAWS * DRAWN * images * drawn(node)
            values += NORMED * FLOAT * images * node.times * node.takes[0].size * node.layer.across_batch
            for kernel, at, size in node.layer.convolutions(*node.takes):
                found = plan.footprint(kernel, at, size, images * node.times)
                kind = "one" if at.groups == 1 else "depthwise" if at.groups == kernel[3] else "groups"
                values += KEPT[kind] * found.kept
                working[kind] = max(working.get(kind, 0), found.working)
                known.add((kernel, at, size))
    return values + sum(WORKING[kind] * most for kind, most in working.items()), len(known)


def _programs(workload: Workload) -> int:
    nodes = workload.graph.nodes
    known = [one for node in nodes for one in node.layer.convolutions(*node.takes)]
    convolution = A_CONVOLUTION // (NATIVE if workload.unstacked.network.plan.native_for(workload.part) else 1)
    norms = sum(node.layer.across_batch for node in nodes)
    draws = sum(node.layer.draws for node in nodes)
    of_convolutions = len(set(known)) * convolution + (len(known) - len(set(known))) * A_COPY
    of_draws = A_DRAW * draws + (DENSE_DRAWS if draws and not known else 0)
    return PROGRAMS + A_LAYER * len(nodes) + of_convolutions + A_NORM * norms + of_draws


def _weights(architecture: Architecture, hyperparams: Hyperparams, *, gathered: bool) -> int:
    """With the state of the optimizer. gathered: whether gradients of parts of a batch are added up."""
    arrays = [math.prod(p.shape) for layer in architecture.graph.arrays()["params"].values() for p in layer.values()]
    state, best = 1 + Update.of(hyperparams, architecture.graph).slots, int(hyperparams.kept_by is not None)
    # The first step: what the weights were drawn into, their gradients, and updates or operands made of weights.
    begins = state + best + 3 + gathered
    # Going on from a file: its bytes, the arrays in it, and the largest of these once more on its way.
    resumes = 2 * (state + best) + max(arrays) / sum(arrays)
    return int(HOLES * FLOAT * architecture.parameters * max(begins, resumes))


def _activations(workload: Workload) -> int:
    """Of the images that go through at a time."""
    evaluated = _of_images(workload, workload.evaluation_batch, training=False)
    return int(AGAIN * max(_of_images(workload, workload.part, training=True) + held(workload), evaluated))


def _of_images(workload: Workload, images: int, *, training: bool) -> int:
    """Their values and what convolutions take beside them; of evaluation the widest layer alone."""
    graph, plan = workload.graph, workload.unstacked.network.plan
    values, widest, kept, working = graph.input.size, 0, 0, 0
    for node in graph.nodes:
        values += node.cost.held + DRAWN * drawn(node)
        widest = max(widest, node.cost.padded + node.cost.held)
        for kernel, at, size in node.layer.convolutions(*node.takes):
            found = plan.footprint(kernel, at, size, images * node.times)
            kept += found.kept
            working = max(working, found.working + (0 if training else found.kept))
    if not training:
        return FLOAT * images * widest + int(FORWARD * working)
    return FLOAT * images * (values + widest) + kept + working


def check_memory(
    architecture: Architecture,
    hyperparams: Hyperparams,
    info: DatasetInfo,
    *,
    available: int,
    kernels: Choice = "auto",
) -> None:
    """SpecError where a run would not fit into `available` bytes, with the numbers."""
    need = memory_needed(architecture, hyperparams, info, kernels=kernels)
    if need.total <= available * SHARE:
        return
    largest = "layers" if need.weights + need.optimizer >= need.activations else "batch_size"
    path = ("architecture", "layers") if largest == "layers" else ("hyperparams", "batch_size")
    raise SpecError(
        [
            Problem(
                path,
                f"needs {need.total / 1e9:.1f} GB of parameters, optimizer state and activations; "
                f"{available * SHARE / 1e9:.1f} GB are available. Use smaller layers or a smaller batch",
                "too_costly",
                expected=UNSAID if largest == "layers" else {"type": "integer", "maximum": hyperparams.batch_size - 1},
                got=UNSAID if largest == "layers" else hyperparams.batch_size,
            )
        ]
    )
