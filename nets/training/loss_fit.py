"""Whether a loss goes with a network and a data set."""

from __future__ import annotations

from collections.abc import Iterator

from nets.architecture.architecture import Architecture
from nets.architecture.graph import Graph
from nets.datasets import DatasetInfo
from nets.errors import Change, Path, Problem
from nets.hyperparams.hyperparams import Hyperparams
from nets.layers import LAYERS
from nets.losses import Loss
from nets.losses.entropy import NO_CLASS, OfClasses
from nets.losses.likelihood import PoissonNll
from nets.regularizers import OfActivity
from nets.spec.allowed import one_of
from nets.spec.fields import shown
from nets.spec.words import closest
from nets.training.members import unmatched
from nets.training.regularized import Regularized

LOSS: Path = ("hyperparams", "loss")


def loss_misfits(
    architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo, *, train: int
) -> Iterator[Problem]:
    """Every reason why the loss cannot be computed. train: how many samples are trained on."""
    loss, graph = hyperparams.loss, architecture.graph
    yield from other_ends(loss, graph, info)
    yield from unknown_outputs(architecture, hyperparams)
    yield from of_no_layer(graph, hyperparams)
    yield from wrong_lengths(loss, info)
    yield from unknown_class(loss, info)
    yield from wrong_values(loss, graph)
    yield from mixed_places(hyperparams)
    batch = min(hyperparams.batch_size, train)
    if 0 < batch < loss.pairs:
        detail = (
            f"must be at least {loss.pairs}: {loss.type} compares the samples of a batch with each other, got {batch}"
        )
        expected, path = {"type": "integer", "minimum": loss.pairs}, ("hyperparams", "batch_size")
        yield Problem(path, detail, "out_of_range", expected=expected, got=hyperparams.batch_size)


def mixed_places(hyperparams: Hyperparams) -> Iterator[Problem]:
    """Samples made of two, which are of no one class to be compared by."""
    for number, each in enumerate(hyperparams.augment):
        if each.mixes and hyperparams.loss.embeds:
            path: Path = ("hyperparams", "augment", number)
            rule = f"{each.type} makes samples of two classes, and {hyperparams.loss.type} compares samples of one"
            yield Problem(path, f"{rule}; remove it", "conflict", fix=(Change("remove", path),))


def wrong_lengths(loss: Loss, info: DatasetInfo) -> Iterator[Problem]:
    """Lists that have not one number for each class."""
    classes = len(info.classes)
    for name in loss.per_class:
        value = getattr(loss, name)
        if isinstance(value, tuple) and len(value) != classes:
            detail = f"must have {classes} numbers, one for each class of {info.name}, got {len(value)}"
            expected = {"type": "array", "minItems": classes, "maxItems": classes}
            yield Problem((*LOSS, name), detail, "mismatch", expected=expected, got=list(value))


def unknown_class(loss: Loss, info: DatasetInfo) -> Iterator[Problem]:
    """A class to be ignored that there is not."""
    if not isinstance(loss, OfClasses) or loss.ignore_index == NO_CLASS or 0 <= loss.ignore_index < len(info.classes):
        return
    most = len(info.classes) - 1
    detail = f"must be a class of {info.name}, 0 to {most}, or {NO_CLASS} for none, got {loss.ignore_index}"
    expected = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": most}, {"const": NO_CLASS}]}
    yield Problem((*LOSS, "ignore_index"), detail, "out_of_range", expected=expected, got=loss.ignore_index)


def wrong_values(loss: Loss, graph: Graph) -> Iterator[Problem]:
    """Outputs of other numbers than the loss can be computed of."""
    for end in graph.ends:
        layer = end.layer
        found = f"the network ends in {layer.type}" if end is graph.last else f"an output is {end.place}"
        if loss.wants == "log_probabilities" and (not layer.reads or layer.probabilities):
            wanted = next(name for name, cls in LAYERS.items() if cls.reads and not cls.probabilities)
            cure = f"end {'the network' if end is graph.last else 'it'} with {wanted}"
            cure = f"{cure}, or use cross_entropy, which takes logits" if loss.type == "nll" else cure
            fix = (Change("replace", (*end.path, "type"), wanted),) if layer.reads else ()
            detail = f"{loss.type} needs logarithms of probabilities, but {found}; {cure}"
            yield Problem(LOSS, detail, "misfit", fix=fix)
        if isinstance(loss, PoissonNll) and not loss.log_input and layer.limits[0] < 0:
            detail = (
                f"false needs rates, which are not below 0, but {found}; end it with softplus, or set log_input to true"
            )
            fix = (Change("replace", (*LOSS, "log_input"), True),)
            yield Problem((*LOSS, "log_input"), detail, "misfit", expected=True, got=False, fix=fix)


def other_ends(loss: Loss, graph: Graph, info: DatasetInfo) -> Iterator[Problem]:
    """Outputs beside the first that have not one number for each class."""
    for end in graph.ends[1:]:
        if end.gives.channels != len(info.classes) and not loss.embeds:
            rule = f"{end.place} is an output, and must give one number for each of the {len(info.classes)} classes"
            yield Problem(end.path, f"{rule} of {info.name}, got {end.gives.channels}", "mismatch")


def unknown_outputs(architecture: Architecture, hyperparams: Hyperparams) -> Iterator[Problem]:
    """Weights of outputs that there are not."""
    place: Path = ("hyperparams", "output_weights")
    for name in hyperparams.output_weights or {}:
        if name in architecture.outputs:
            continue
        if not architecture.outputs:
            rule = "needs a network that names several outputs; name them in architecture.outputs, or leave it out"
            yield Problem(place, rule, "conflict", got=hyperparams.output_weights, fix=(Change("remove", place),))
            return
        near = closest(name, architecture.outputs)
        hint = f" Did you mean {shown(near[0])}?" if near else ""
        rule = f"is not an output of the network.{hint} Its outputs: {', '.join(architecture.outputs)}"
        yield Problem((*place, name), rule, "unknown_name", expected=one_of(architecture.outputs))
    if hyperparams.output_weights and not any(
        hyperparams.output_weights.get(name, 1.0) for name in architecture.outputs
    ):
        yield Problem(place, "must have a weight above 0, got only 0", "out_of_range", got=hyperparams.output_weights)


def of_no_layer(graph: Graph, hyperparams: Hyperparams) -> Iterator[Problem]:
    """Regularizers of layers that there are not."""
    for number, each in enumerate(hyperparams.regularizers):
        what = "that computes something" if isinstance(each, OfActivity) else "with weights for products"
        names = Regularized.of(each.model_copy(update={"layers": ("*",)}), graph).nodes
        yield from unmatched(each.layers, names, ("hyperparams", "regularizers", number, "layers"), what=what)
