"""Whether architecture, hyperparameters and data set go together: what no part can tell on its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from nets.architecture.architecture import Architecture
from nets.architecture.graph import INPUT, Graph, Node
from nets.augment import Augmentation
from nets.datasets import DatasetInfo
from nets.errors import UNSAID, Change, Code, Path, Problem, SpecError
from nets.hyperparams.hyperparams import Hyperparams
from nets.kernels import Choice
from nets.metrics.accuracy import TopK
from nets.process.device import cores
from nets.spec.values import Kind, Value
from nets.training import members
from nets.training.loss_fit import loss_misfits
from nets.training.pace import LONGEST_STEP, sample_seconds
from nets.training.sampling import split_sizes
from nets.training.workload import workload_on

SIDES = ("input_channels", "input_height", "input_width")
SAMPLES: Mapping[Kind, str] = {
    "image": "an image",
    "features": "a row of features",
    "sequence": "a sequence",
    "tokens": "a row of tokens",
}


def check_fit(architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo) -> None:
    """SpecError with every reason why this network cannot be trained on this data set."""
    problems = list(misfits(architecture, hyperparams, info))
    if problems:
        raise SpecError(problems)


def misfits(architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo) -> Iterator[Problem]:
    yield from unlike(architecture.graph.input, info)
    graph = architecture.graph
    if graph.classes != len(info.classes) and not hyperparams.loss.embeds:
        yield wrong_end(architecture, info)
    yield from far_from_the_samples(graph)
    if hyperparams.test_time_augmentation and graph.input.kind != "image":
        rule = f"is for images, and {info.name} has {SAMPLES[graph.input.kind].split()[-1]}; leave it out"
        path = ("hyperparams", "test_time_augmentation")
        yield Problem(path, rule, "conflict", expected=None, got=hyperparams.test_time_augmentation)
    yield from too_many(hyperparams, info, ("hyperparams", "metrics"))
    yield from members.misfits(hyperparams, graph)
    yield from unfit_augmentations(hyperparams.augment, info, ("hyperparams", "augment"))
    train, validation = split_sizes(hyperparams, info.train_size)
    yield from loss_misfits(architecture, hyperparams, info, train=train)
    if train >= 1:
        yield from single_values(architecture, hyperparams, train, validation)
    if train < 1 or validation < 1:
        part = "validation" if train else "training"
        detail = (
            f"leaves no {part} samples: {train} to train and {validation} to validate of "
            f"{train + validation} drawn; change train_split or raise max_samples"
        )
        yield share_of(hyperparams, detail, train + validation)


def too_many(hyperparams: Hyperparams, info: DatasetInfo, path: Path) -> Iterator[Problem]:
    """Metrics of more classes than there are. path: of their list."""
    classes = len(info.classes)
    for place, metric in enumerate(hyperparams.metrics):
        if isinstance(metric, TopK) and metric.k > classes:
            rule = f"must be at most {classes} for the {classes} classes of {info.name}, got {metric.k}"
            cure = f'send {{"type": "top_k", "k": {classes}}} or less, or leave it out'
            expected = {"type": "integer", "minimum": 1, "maximum": classes}
            yield Problem((*path, place, "k"), f"{rule}; {cure}", "out_of_range", expected=expected, got=metric.k)


def unlike(given: Value, info: DatasetInfo) -> Iterator[Problem]:
    """What a network takes and the samples of a data set are not."""
    wanted = info.value
    if given.kind == wanted.kind == "image":
        for field, own, theirs in zip(SIDES, given.shape, wanted.shape, strict=True):
            if own != theirs:
                rule = f"must be {theirs} for {info.name} (its images are {wanted.described()}), got {own}"
                yield Problem(("architecture", field), rule, "mismatch", expected=theirs, got=own)
    elif (given.kind, given.shape) != (wanted.kind, wanted.shape):
        rule = f"must be {list(wanted.shape)} for {info.name}, each sample of which is {SAMPLES[wanted.kind]}"
        detail, came = f"{rule}, got {SAMPLES[given.kind]}: {list(given.shape)}", list(given.shape)
        yield Problem(("architecture", "input_shape"), detail, "mismatch", expected=list(wanted.shape), got=came)
    elif (given.vocabulary or 0) < (wanted.vocabulary or 0):
        rule = f"must be at least {wanted.vocabulary} for {info.name}, got {given.vocabulary}"
        least = {"type": "integer", "minimum": wanted.vocabulary}
        path = ("architecture", "input_vocabulary")
        yield Problem(path, rule, "mismatch", expected=least, got=given.vocabulary)


def far_from_the_samples(graph: Graph) -> Iterator[Problem]:
    """Layers that start from samples, which other layers change before they come there."""
    for node in graph.nodes:
        if node.layer.from_samples and node.inputs != (INPUT,):
            rule = f"{node.place} starts from the training samples, so it must read the network's input itself"
            path = (*node.path, "init")
            cure = "leave init out, or put the layer first"
            yield Problem(path, f"{rule}; {cure}", "conflict", expected="default", got="whitening")


def unfit_augmentations(augment: Sequence[Augmentation], info: DatasetInfo, path: Path) -> Iterator[Problem]:
    """Augmentations of what is no image, and of colours that are none."""
    wanted = info.value
    if augment and wanted.kind != "image":
        rule = f"needs images, and each sample of {info.name} is {SAMPLES[wanted.kind]}; leave it out"
        yield Problem(path, rule, "mismatch", expected={"type": "array", "maxItems": 0}, fix=(Change("remove", path),))
        return
    for number, each in enumerate(augment):
        if each.colours and wanted.channels not in (1, 3):
            rule = f"{each.type} needs images of 3 channels, and those of {info.name} have {wanted.channels}; remove it"
            yield Problem((*path, number), rule, "mismatch", fix=(Change("remove", (*path, number)),))


def wrong_end(architecture: Architecture, info: DatasetInfo) -> Problem:
    """Other outputs than there are classes, at the field that says how many, or the layer that ends the network."""
    graph, wanted = architecture.graph, len(info.classes)
    rule = f"the network must end in {wanted} outputs for the {wanted} classes of {info.name}, got {graph.classes}"
    node = widening(graph)
    if node.layer.width is None:
        return Problem(graph.last.path, rule, "mismatch")
    item = architecture.written_at(node.path)
    said = item.said.get(node.layer.width) if item and item.shown == item.path else None
    path = (*node.path, said or node.layer.width)
    if (node.gives.kind, node.gives.size) != ("features", graph.classes):  # it takes more than this field
        return Problem(path, rule, "mismatch")
    fix = (Change("replace", path, wanted),) if said else ()
    return Problem(path, rule, "mismatch", expected=wanted, got=graph.classes, fix=fix)


def widening(graph: Graph) -> Node:
    """The layer that says how many outputs there are, or that the network ends in."""
    node = graph.last
    while node.layer.width is None and len(node.inputs) == 1 and node.inputs[0] != INPUT:
        node = graph.by_id[node.inputs[0]]
    return node


def batch_of(hyperparams: Hyperparams, detail: str, code: Code, bounds: Mapping[str, int]) -> Problem:
    """A batch_size out of these bounds."""
    expected = {"type": "integer", **bounds}
    return Problem(("hyperparams", "batch_size"), detail, code, expected=expected, got=hyperparams.batch_size)


def share_of(hyperparams: Hyperparams, detail: str, drawn: int, *, least: int = 1) -> Problem:
    """A train_split that leaves fewer than `least` of the samples drawn to train on, or none to validate."""
    share = {"type": "number", "minimum": math.nextafter(least / drawn, 1), "exclusiveMaximum": 1}
    expected = share if drawn > least else UNSAID  # no share of so few does: there have to be more
    path = ("hyperparams", "train_split")
    return Problem(path, detail, "mismatch", expected=expected, got=hyperparams.train_split)


def check_pace(
    architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo, *, kernels: Choice = "auto"
) -> None:
    """SpecError for a dispatch that nobody could stop for seconds: a cancel would be answered, and the run go on."""
    workload = workload_on(architecture, hyperparams, info, kernels=kernels)
    each = sample_seconds(workload.unstacked.network)
    if workload.platform == "cpu":  # the rates are those of two cores; parts are cut alike on any number of them
        each *= 2 / cores()
    if each * workload.part <= LONGEST_STEP:
        return
    most = int(LONGEST_STEP / each)
    whole = hyperparams.loss.type if hyperparams.loss.embeds else "batch normalisation"
    unstoppable = f"and a cancel could not interrupt it; {LONGEST_STEP:g} s are allowed"
    if most < 1:
        problem = f"one image takes about {each:.1f} s forward and back, {unstoppable}. Use fewer or smaller layers"
        raise SpecError([Problem(("architecture", "layers"), problem, "too_costly")])
    detail = (
        f"must be at most {most} for this network, got {hyperparams.batch_size}: a step of {workload.part} images "
        f"takes about {each * workload.part:.1f} s, which {whole} needs at once, {unstoppable}"
    )
    raise SpecError([batch_of(hyperparams, detail, "too_costly", {"minimum": 1, "maximum": most})])


def norms(architecture: Architecture) -> Iterator[tuple[str, int]]:
    """Every layer that looks across the batch, as a person names it, and how many values of a channel an image has."""
    for node in architecture.graph.nodes:
        if node.layer.across_batch:
            yield node.place, node.positions


def single_values(
    architecture: Architecture, hyperparams: Hyperparams, train: int, validation: int
) -> Iterator[Problem]:
    """Norms that would have nothing to normalise: where every batch holds one value of a channel, as PyTorch has it."""
    norm = next((norm for norm, values in norms(architecture) if values == 1), None)
    if norm is None or min(hyperparams.batch_size, train) > 1:
        return
    rule = f"{norm} has a single value per channel in every batch, so there is nothing to normalise"
    if hyperparams.batch_size == 1:
        yield batch_of(hyperparams, f"must be at least 2: {rule}, got 1", "out_of_range", {"minimum": 2})
    else:
        detail = f"leaves one training sample: {rule}; raise max_samples or train_split"
        yield share_of(hyperparams, detail, train + validation, least=2)
