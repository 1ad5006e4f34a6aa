"""Doubts about what stands around an optimizer."""

from __future__ import annotations

from collections.abc import Iterator

from nets.doubts.case import Case
from nets.doubts.doubt import EPSILON, Doubt
from nets.optimizers import RmsProp
from nets.training.members import all_frozen


def momentum_beside_rms(case: Case) -> Iterator[Doubt]:
    if case.hyperparams is None or not isinstance(optimizer := case.hyperparams.optimizer, RmsProp):
        return
    times, usual = 1 / (1 - optimizer.momentum), optimizer.usual_lr[1]
    if optimizer.momentum and optimizer.lr * times > usual * (1 + EPSILON):
        reason = f"momentum counts with rmsprop too: {optimizer.momentum:g} makes its steps {times:.3g} times as long"
        cure = f"leave it out, or begin with an lr of {usual / times:.2g}"
        yield Doubt("momentum_beside_rms", ("hyperparams", "optimizer", "momentum"), reason, cure)


def idle_group(case: Case) -> Iterator[Doubt]:
    if case.hyperparams is None:
        return
    for place, group in enumerate(case.hyperparams.groups):
        path = ("hyperparams", "groups", place)
        if group.lr == group.weight_decay == 1:
            yield Doubt(
                "idle_group", path, "factors of 1 change nothing", "give it an lr or a weight_decay, or remove it"
            )
        elif case.graph is not None and all_frozen(case.hyperparams, group.layers, case.graph):
            yield Doubt(
                "idle_group", path, "frozen names all of its layers, which stay as they are", "remove one of the two"
            )


def no_weight_decay(case: Case) -> Iterator[Doubt]:
    if case.hyperparams is None:
        return
    optimizer = case.hyperparams.optimizer
    if any(getattr(optimizer, name) for name in optimizer.decays):
        return
    has = f"{optimizer.type} has a weight_decay of 0" if optimizer.decays else f"{optimizer.type} has no weight decay"
    reason = f"{has}, so that this changes nothing"
    cure = "give the optimizer a weight_decay, or leave it out" if optimizer.decays else "leave it out"
    if case.hyperparams.weight_decay_exclude is not None:
        yield Doubt("no_weight_decay", ("hyperparams", "weight_decay_exclude"), reason, cure)
    for place, group in enumerate(case.hyperparams.groups):
        if group.weight_decay != 1:
            yield Doubt("no_weight_decay", ("hyperparams", "groups", place, "weight_decay"), reason, cure)
