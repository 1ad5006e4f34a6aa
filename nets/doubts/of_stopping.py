"""Doubts about what ends a run, and about averages of its weights."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nets.doubts.case import Case
from nets.doubts.doubt import Doubt
from nets.training.sampling import steps_per_epoch

FIRST = 0.1  # of the first weights in an average at the end: from there on it is told
PLACE = "hyperparams"


def patience(case: Case) -> Iterator[Doubt]:
    h = case.hyperparams
    if h is None or h.early_stopping is None or h.early_stopping.patience < h.epochs:
        return
    reason = f"a run of {h.epochs} epochs has no {h.early_stopping.patience} in a row that are worse than one before"
    cure = f"a patience of {max(1, h.epochs // 5)}, or more epochs" if h.epochs > 1 else "more epochs"
    yield Doubt("patience", (PLACE, "early_stopping", "patience"), f"{reason}, so this ends no run", cure)


def worse_is_better(case: Case) -> Iterator[Doubt]:
    if case.hyperparams is None:
        return
    for field in ("early_stopping", "target", "lr_schedule"):
        part = getattr(case.hyperparams, field)
        metric, goal = getattr(part, "metric", None), getattr(part, "goal", None)
        if metric is None or goal in (None, usual := case.hyperparams.watched[metric]):
            continue
        reason = f"{goal} takes the worse values of {metric} for the better ones"
        yield Doubt("worse_is_better", (PLACE, field, "goal"), reason, f"send {usual}, or leave it out")


def first_weights(case: Case) -> Iterator[Doubt]:
    h = case.hyperparams
    if h is None or h.ema is None or case.train is None:
        return
    steps = h.epochs * steps_per_epoch(h, case.train)
    steps = min(steps, h.max_steps or steps)
    updates, path = steps // h.ema.every_steps, (PLACE, "ema")
    if not updates:
        reason = f"the {steps} steps of the run end before the first update of the average"
        yield Doubt("first_weights", (*path, "every_steps"), reason, "an every_steps of 1")
        return
    share = h.ema.decay ** (updates - 1)
    if h.ema.warmup or share < FIRST:
        return
    cure = f"a decay of at most {math.floor(1000 * FIRST ** (1 / (updates - 1))) / 1000:g}, " if updates > 1 else ""
    reason = f"after {updates} updates {share:.0%} of the average still are the weights of the first of them"
    yield Doubt("first_weights", (*path, "decay"), reason, f"{cure}warmup, or more epochs")


def no_limit(case: Case) -> Iterator[Doubt]:
    h = case.hyperparams
    if h is None or h.max_steps is None or case.train is None:
        return
    steps = h.epochs * steps_per_epoch(h, case.train)
    if h.max_steps > steps:
        reason = f"{h.max_steps} is more than the {steps} steps of all {h.epochs} epochs, so it ends no run"
        yield Doubt("no_limit", (PLACE, "max_steps"), reason, "leave it out, or ask for more epochs")


def accumulate(case: Case) -> Iterator[Doubt]:
    h = case.hyperparams
    if h is None or case.train is None or h.accumulate == 1:
        return
    batches = -(-case.train // h.batch_size)
    if h.accumulate > batches:
        reason = f"{h.accumulate} is more than the {batches} batches of an epoch, so that an epoch is one step"
        yield Doubt("accumulate", (PLACE, "accumulate"), reason, "fewer of them, or more samples")
