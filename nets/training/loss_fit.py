"""Whether a loss goes with a network and a data set."""

from __future__ import annotations

from collections.abc import Iterator

from nets.architecture.graph import Graph
from nets.datasets import DatasetInfo
from nets.errors import Change, Path, Problem
from nets.hyperparams.hyperparams import Hyperparams
from nets.layers import LAYERS
from nets.losses import Loss
from nets.losses.entropy import NO_CLASS, OfClasses
from nets.losses.likelihood import PoissonNll

LOSS: Path = ("hyperparams", "loss")


def loss_misfits(graph: Graph, hyperparams: Hyperparams, info: DatasetInfo, *, train: int) -> Iterator[Problem]:
    """Every reason why the loss cannot be computed. train: how many samples are trained on."""
    loss = hyperparams.loss
    if loss.embeds:
        yield Problem(LOSS, f"{loss.type} is not trained with yet; use cross_entropy", "mismatch")
    yield from wrong_lengths(loss, info)
    yield from unknown_class(loss, info)
    yield from wrong_values(loss, graph)
    batch = min(hyperparams.batch_size, train)
    if 0 < batch < loss.pairs:
        detail = (
            f"must be at least {loss.pairs}: {loss.type} compares the samples of a batch with each other, got {batch}"
        )
        expected, path = {"type": "integer", "minimum": loss.pairs}, ("hyperparams", "batch_size")
        yield Problem(path, detail, "out_of_range", expected=expected, got=hyperparams.batch_size)


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
    """A network that ends in other numbers than the loss can be computed of."""
    last = graph.last
    if loss.wants == "log_probabilities" and (not last.layer.reads or last.layer.probabilities):
        wanted = next(name for name, cls in LAYERS.items() if cls.reads and not cls.probabilities)
        cure = f"end the network with {wanted}"
        cure = f"{cure}, or use cross_entropy, which takes logits" if loss.type == "nll" else cure
        detail = f"{loss.type} needs logarithms of probabilities, but the network ends in {last.layer.type}; {cure}"
        fix = (Change("replace", (*last.path, "type"), wanted),) if last.layer.reads else ()
        yield Problem(LOSS, detail, "misfit", fix=fix)
    if isinstance(loss, PoissonNll) and not loss.log_input and last.layer.limits[0] < 0:
        cure = "end it with softplus, or set log_input to true"
        detail = f"false needs rates, which are not below 0, but the network ends in {last.layer.type}; {cure}"
        fix = (Change("replace", (*LOSS, "log_input"), True),)
        yield Problem((*LOSS, "log_input"), detail, "misfit", expected=True, got=False, fix=fix)
