"""Doubts about layers and their order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from nets.architecture.graph import Node
from nets.doubts.case import Case, passes_on
from nets.doubts.doubt import Doubt

SURE = 0.999  # a probability that no loss asks more of
REMOVE = "remove it: the loss takes any numbers as logits, and applies softmax itself"


def softmax_twice(case: Case) -> Iterator[Doubt]:
    for node in case.scores:
        if node.layer.probabilities:
            reason = f"the loss gets what went through a {node.layer.type} already"
            reason += ", and two cost about 10 points of accuracy"
            cure = "put softmax in its place, as the last layer"
            cure = "keep a single one, as the last layer" if node.layer.reads else cure
            yield Doubt("softmax_twice", node.path, reason, cure)


def softmax_before_end(case: Case) -> Iterator[Doubt]:
    for node in case.nodes:
        if not node.layer.probabilities or node.part or node in case.logits:
            continue
        readers = list(case.readers(node))
        if readers and not all(reader.layer.gates for reader in readers):
            reason = f"a {node.layer.type} before the end makes the values of each sample sum to 1"
            reason += ", and lets little through"
            yield Doubt("softmax_before_end", node.path, reason, "use relu here, and softmax as the last layer alone")


def bounded_logits(case: Case) -> Iterator[Doubt]:
    """Both ends of the range are bounds: a class can never be sure."""
    for node in case.scores:
        low, high = node.layer.limits
        if not node.layer.probabilities and not node.part and math.isfinite(high - low):
            surest = 1 / (1 + (case.classes - 1) * math.exp(low - high))
            if surest > SURE:
                continue
            limit = f"no class of {case.classes} gets a probability above {surest:.2g}"
            reason = f"{node.layer.type} keeps the logits from {low:g} to {high:g}, where {limit}"
            yield Doubt("bounded_logits", node.path, reason, REMOVE)


def relu_on_logits(case: Case) -> Iterator[Doubt]:
    """One end is: the classes beyond it get no gradient."""
    for node in case.scores:
        low, high = node.layer.limits
        if not node.part and math.isfinite(low) and not math.isfinite(high):
            reason = f"{node.layer.type} cuts off the logits below {low:g}, whose classes get no gradient then"
            yield Doubt("relu_on_logits", node.path, reason, REMOVE)


def linear_after_linear(case: Case) -> Iterator[Doubt]:
    for node in case.nodes:
        if node.layer.linear_map and not grouped_map(node) and collapses(case, node):
            reason = "with no activation before it, it and the layer that it reads compute what one of them could"
            cure = "put an activation such as relu between them, or leave one out"
            yield Doubt("linear_after_linear", node.path, reason, cure)


def collapses(case: Case, node: Node) -> bool:
    """Whether a linear map reads another one, which nothing else reads."""
    assert case.graph
    for before in case.way_back(node.inputs[0]):
        if len(case.graph.readers[before.id]) > 1:
            return False
        if not passes_on(before):
            return before.layer.linear_map and not grouped_map(before)
    return False


def grouped_map(node: Node) -> bool:
    """Whether channels are mapped by themselves: a factor of a cheaper convolution, which is meant to be linear."""
    return any(at.groups > 1 for _, at, _ in node.layer.convolutions(*node.takes))


def dropout_before_norm(case: Case) -> Iterator[Doubt]:
    for node in case.nodes:
        drops = node.layer.keeps_values and node.cost.drawn and not node.layer.idle
        if drops and any(reader.layer.across_batch for reader in case.readers(node, random=False)):
            reason = (
                "dropout straight before a batch norm changes the variance that the norm keeps for evaluation, "
                "which has no dropout (Li et al., 2019)"
            )
            yield Doubt("dropout_before_norm", node.path, reason, "put it behind the norm and its activation")


def bias_before_norm(case: Case) -> Iterator[Doubt]:
    """Arrays that several layers share have to be useless in all places."""
    useless: dict[str, bool] = {}
    owners: dict[str, Node] = {}
    for node in case.nodes:
        if node.layer.linear_map and "bias" in node.layer.arrays(*node.takes).parameters:
            owner = node.shares or node.id
            readers = list(case.readers(node, random=False))
            cancelled = bool(readers) and all(reader.layer.across_batch for reader in readers)
            useless[owner] = useless.get(owner, True) and cancelled
            owners.setdefault(owner, node)
    for owner, node in owners.items():
        path = (*node.path, "bias")
        if useless[owner] and (not node.part or case.said(path)):
            reason = "the batch norm behind it subtracts the bias again, and adds one of its own"
            yield Doubt("bias_before_norm", path, reason, "set bias to false")


def of_fields(rule: str) -> Callable[[Case], Iterator[Doubt]]:
    """What layers say of their own fields by one rule."""

    def find(case: Case) -> Iterator[Doubt]:
        for node in case.nodes:
            for found in node.layer.doubts():
                if found.rule == rule:
                    yield Doubt(found.rule, (*node.path, found.field), found.reason, found.cure)

    return find
