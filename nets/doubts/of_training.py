"""Doubts about hyperparameters, and how they go with the network and the data."""

from __future__ import annotations

from collections.abc import Iterator

from nets.doubts.case import Case
from nets.doubts.doubt import EPSILON, Doubt
from nets.doubts.of_schedules import laid
from nets.optimizers import OPTIMIZERS
from nets.spec.fields import shown, wire_names
from nets.training.step_losses import MOST_STEPS, StepLosses

FAR = 10  # times beyond what is usual
TINY = 1e-30  # instead of a learning rate of 0
BATCH = ("hyperparams", "batch_size")
OPTIMIZER = ("hyperparams", "optimizer")
LOSS = ("hyperparams", "loss")
STEPS, SMALL = 16, 8  # an epoch, and samples in a batch of few: of a batch_size that is told as a cure
IN_USE = 'leave it out, or send "centered": false beside it, with which it counts'


def learning_rate(case: Case) -> Iterator[Doubt]:
    if case.hyperparams is None:
        return
    optimizer, it = case.hyperparams.optimizer, laid(case)
    low, high = optimizer.usual_lr
    lr = it.rates["largest"] if it else optimizer.lr
    above, below = lr / high, low / max(lr, TINY)
    if max(above, below) >= FAR * (1 - EPSILON):
        side = "above" if above > 1 else "below"
        what = f"{lr:g}, the largest of the run," if it and lr != optimizer.lr else f"{lr:g}"
        reason = f"{what} is far {side} the {low:g} to {high:g} that {optimizer.type} usually learns with"
        cure = f"begin with {type(optimizer).model_fields['lr'].default:g}, its default"
        yield Doubt("learning_rate", (*OPTIMIZER, "lr"), reason, cure)


def large_batch(case: Case) -> Iterator[Doubt]:
    if case.hyperparams is None or case.train is None or case.hyperparams.batch_size <= case.train:
        return
    batch = case.hyperparams.batch_size
    reason = f"{batch} is more than the {case.train} training samples, so that an epoch is one step"
    fewer = 1 << max(case.train // STEPS, min(case.train // 2, SMALL), 1).bit_length() - 1
    cure = f"a batch_size of {fewer} makes it {-(-case.train // fewer)}" if case.train > 1 else "raise max_samples"
    yield Doubt("large_batch", BATCH, reason, cure)


def last_batch_of_one(case: Case) -> Iterator[Doubt]:
    if case.hyperparams is None or case.train is None:
        return
    train, batch = case.train, case.hyperparams.batch_size
    looking = {node.place: node.positions for node in case.nodes if node.layer.across_batch}
    if not looking or train <= batch or train % batch != 1:
        return
    single = [norm for norm, values in looking.items() if values == 1]
    norm = single[0] if single else next(iter(looking))
    what = "has a single value per channel there, which its running statistics normalise"
    if not single:
        what = "has one image there, which counts as much in its running statistics as a whole batch"
    other = next(size for size in range(batch + 1, train + 1) if train % size != 1)
    reason = f"{train} training samples in batches of {batch} leave a last batch of one: {norm} {what}"
    yield Doubt("last_batch_of_one", BATCH, reason, f"a batch_size of {other} leaves none")


def log_every(case: Case) -> Iterator[Doubt]:
    if case.hyperparams is None or case.train is None or not case.train:
        return
    told = StepLosses(case.hyperparams, case.train)
    if told.every != case.hyperparams.log_every:
        reason = (
            f"{case.hyperparams.log_every} would tell of more than {MOST_STEPS:,} steps, which are kept with the run"
        )
        yield Doubt("log_every", ("hyperparams", "log_every"), reason, f"one step in {told.every} is told of instead")


def ignored_field(case: Case) -> Iterator[Doubt]:
    hyperparams = case.sent.get("hyperparams")
    optimizer = hyperparams.get("optimizer") if isinstance(hyperparams, dict) else None
    kind = optimizer.get("type") if isinstance(optimizer, dict) else None
    if not isinstance(optimizer, dict) or not isinstance(kind, str) or kind not in OPTIMIZERS:
        return
    for name in wire_names(OPTIMIZERS[kind].ignored_in(optimizer)):
        if optimizer.get(name) and name not in OPTIMIZERS[kind].model_fields:
            reason = f"{kind} has no {name}, so that {shown(optimizer[name])} is ignored"
            yield Doubt("ignored_field", (*OPTIMIZER, name), reason, "leave it out")
        elif optimizer.get(name):
            reason = f"{shown(optimizer[name])} is ignored, since builders send it with every optimizer"
            yield Doubt("ignored_field", (*OPTIMIZER, name), reason, IN_USE)


def loss_of_numbers(case: Case) -> Iterator[Doubt]:
    loss = case.hyperparams.loss if case.hyperparams else None
    if loss is None or not loss.one_hot or loss.takes != "output" or loss.wants:
        return
    reason = f"{loss.type} takes the classes for numbers, 1 for the right one and 0 for the others"
    reason += ", and learns them more slowly than cross_entropy"
    if case.graph and case.whole and not case.graph.last.layer.reads:
        reason += ". Without a softmax at the end its predictions are no probabilities"
    yield Doubt("loss_of_numbers", LOSS, reason, "use cross_entropy, unless that is what you want to see")


def bce_of_softmax(case: Case) -> Iterator[Doubt]:
    loss = case.hyperparams.loss if case.hyperparams else None
    if loss is None or loss.takes != "logits" or not loss.one_hot or not case.graph or not case.whole:
        return
    last = case.graph.last.layer
    if last.reads:
        reason = f"{loss.type} asks for each class by itself whether it is right, and is not trained through the final"
        reason += f" {last.type}"
        yield Doubt("bce_of_softmax", LOSS, reason, "use cross_entropy where one class is right, or leave softmax out")


def few_pairs(case: Case) -> Iterator[Doubt]:
    h = case.hyperparams
    if h is None or case.info is None or not h.loss.embeds or h.batch_size >= 2 * len(case.info.classes):
        return
    many = len(case.info.classes)
    reason = f"{h.loss.type} compares the samples of a batch, and few of {h.batch_size} from {many} classes are of one"
    yield Doubt("few_pairs", BATCH, reason, f"a batch_size of {1 << (4 * many - 1).bit_length()} has several of each")


def hard_mining(case: Case) -> Iterator[Doubt]:
    loss = case.hyperparams.loss if case.hyperparams else None
    if getattr(loss, "mining", "") == "hard":
        reason = "networks that begin with random weights tend to give all samples the same place by the nearest ones"
        yield Doubt(
            "hard_mining",
            (*LOSS, "mining"),
            reason,
            'leave it out, which is "semi_hard", or begin with trained weights',
        )
