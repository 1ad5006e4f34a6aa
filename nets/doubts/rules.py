"""All rules by which a request is doubted, in the order in which they are told. Nothing is refused by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nets.doubts import of_augmentation, of_networks, of_optimizers, of_schedules, of_stopping, of_training
from nets.doubts.case import Case
from nets.doubts.doubt import Doubt, grouped
from nets.spec.registry import Names

Find = Callable[[Case], Iterator[Doubt]]


@dataclass(frozen=True)
class Rule:
    """When something is doubted, and why, for the README.

    cost: what it has cost where that was measured: the accuracy of tests, in percent, with it and without. On MNIST,
    with 20,000 images, 5 epochs in batches of 64, by 784-128-10 features and sgd of 0.1.
    """

    when: str
    why: str
    find: Find
    cost: str


RULES: Names[Rule] = Names("rule")


def rule(find: Find, when: str, why: str, *, name: str = "", cost: str = "") -> None:
    RULES.add(name or find.__name__, Rule(when, why, find, cost))


rule(
    of_training.ignored_field,
    "the optimizer ignores it: it has no such option, or `rmsprop` has a `momentum` without `alpha` or `centered`",
    "builders send `momentum` and `nesterov` with every optimizer",
)
rule(
    of_networks.softmax_twice,
    "the logits are what a softmax or softmin gives: a softmax follows, or a layer that changes no values",
    "the loss applies softmax to the logits itself; of probabilities between 0 and 1 it can never be sure",
    cost="85.7 instead of 96.1; adam 94.8 instead of 96.0",
)
rule(
    of_networks.softmax_before_end,
    "a softmax whose values go into further layers, unless they are only multiplied with others, as weights are",
    "it is no activation: the values of each sample sum to 1, and the gradients are small",
    cost="31.9 instead of 96.1; adam 84.3 instead of 96.0",
)
rule(
    of_networks.bounded_logits,
    "the logits are what sigmoid, tanh or another function between two bounds gives, with or without the final softmax",
    "logits between bounds cannot make a class sure, and their gradients vanish there",
    cost="sigmoid 91.8, tanh 94.9 instead of 96.1",
)
rule(
    of_networks.relu_on_logits,
    "the logits are what relu, or another function that levels off below, gives, with or without the final softmax",
    "a class whose logit is cut off gets no gradient",
    cost="95.9 instead of 96.1; adam 77.4 instead of 96.0",
)
rule(
    of_networks.linear_after_linear,
    "a linear or convolution that reads another one, which no other layer reads, with at most flatten and dropout "
    "between them; not where one has `groups`, as in separable convolutions",
    "two linear maps are one, with more to compute",
    cost="89.9 instead of 96.1; one of them alone 90.6",
)
rule(
    of_networks.dropout_before_norm,
    "a dropout with a batch norm straight behind it",
    "the variance that the norm keeps for evaluation is one with dropout. Li et al., 2019",
    cost="89.6 instead of 95.1 behind it",
)
rule(
    of_networks.bias_before_norm,
    "a `bias` of a linear or convolution that batch norms alone read; of a `residual_block` where the body says `true`",
    "the norm subtracts it with the mean: it costs time and memory, and learns nothing",
)
rule(
    of_networks.of_fields("norm_momentum"),
    "a batch norm's `momentum` of 0, or above 0.5",
    "it is the weight of each new batch, as in PyTorch; Keras's is that of the old value: its 0.99 is 0.01 here",
    name="norm_momentum",
    cost="0: 91.7, 0.99: 94.8 instead of 96.1",
)
rule(
    of_networks.of_fields("dropout_of_one_layer"),
    "a `dropout` of a recurrent layer with `num_layers` 1",
    "values are dropped between layers above each other, so that it does nothing, as PyTorch warns",
    name="dropout_of_one_layer",
)
rule(
    of_training.last_batch_of_one,
    "a batch norm, and training samples that leave a last batch of one",
    "one sample has no variance, or counts in the running statistics as much as a whole batch",
)
rule(
    of_training.large_batch,
    "a `batch_size` above the number of training samples",
    "an epoch is one step, and learns little",
)
rule(
    of_training.learning_rate,
    "an `lr` 10 times and more beyond what the optimizer usually learns with (see [Optimizers](#optimizers))",
    "the loss leaves the finite numbers, or hardly moves",
    cost="sgd of 5: 9.8; adam of 0.1: 13.6, of 1e-06: 46.4",
)
rule(
    of_optimizers.momentum_beside_rms,
    "a `momentum` of `rmsprop` with a learning rate that is usual without one",
    "momentum makes the steps of rmsprop longer",
)
rule(
    of_optimizers.idle_group,
    "one of `groups` without factors, or all of whose layers `frozen` names as well",
    "it changes nothing",
)
rule(
    of_optimizers.no_weight_decay,
    "`weight_decay_exclude`, or a `weight_decay` of `groups`, and an optimizer without weight decay",
    "there is nothing to leave out, or to multiply",
)
rule(
    of_training.log_every,
    "a `log_every` by which more than 2,000 steps would be told of",
    "they are kept with the run: it is raised",
)
rule(
    of_augmentation.flipped_writing,
    "flips, and rotations of 60 degrees and more, of data sets of digits and letters",
    "mirrored or turned, a sign is another one, or none",
)
rule(
    of_augmentation.far_crop,
    "a `padding` of `random_crop` above half of the image's side",
    "some crops have hardly any of the image",
)
rule(
    of_augmentation.colourless,
    "`saturation` or `hue` of grey images",
    "they stay as they are",
)
rule(
    of_augmentation.mixed_briefly,
    "`mixup` or `cutmix` in fewer than 5 epochs",
    "mixed images regularise, and slow learning down at first",
)

rule(
    of_schedules.warmup_beyond_the_run,
    "a warm-up of as many epochs as the run has, or as the curve is laid over",
    "no step has the learning rate that was asked for",
)
rule(
    of_schedules.idle_end,
    "a learning rate below a thousandth of the largest in more than the last tenth of the run and the last epoch",
    "these epochs cost as much as the others, and move hardly a weight",
)
rule(
    of_schedules.never_reached,
    "a step, a milestone or a point of a schedule behind the last epoch",
    "it is often meant for a longer run",
)
rule(
    of_schedules.cut_off_cycle,
    "a cosine with restarts, whose last cycle ends above a tenth of the largest learning rate",
    "weights settle at the end of a cycle",
)
rule(
    of_schedules.rising_end,
    "a `final_lr` above the optimizer's `lr`",
    "learning rates fall, but in tests of how high they can be",
)
rule(
    of_schedules.late_plateau,
    "a `patience` that no run of so many epochs can lose",
    "the learning rate is never reduced",
)
rule(
    of_training.loss_of_numbers,
    "a loss of numbers, such as `mse`, on class labels",
    "its gradient is small where a network is wrong and sure",
)
rule(
    of_training.bce_of_softmax,
    "`bce`, and a final softmax",
    "one asks for each class by itself, the other has the classes share a probability of 1",
)
rule(
    of_training.few_pairs,
    "`contrastive` or `triplet`, and a `batch_size` below twice the number of classes",
    "samples without another one of their class in the batch have no loss",
)
rule(
    of_training.hard_mining,
    "`triplet` with a `mining` of `hard`",
    "the nearest samples of other classes pull a network that begins at random together",
    cost="digits: 13 to 79 instead of 96",
)
rule(
    of_stopping.patience,
    "a `patience` of `early_stopping` that is not less than `epochs`",
    "it can never end the run",
)
rule(
    of_stopping.worse_is_better,
    "a `goal` of `early_stopping`, `target` or `reduce_on_plateau` that minimizes an accuracy, or maximizes a loss",
    "the run is steered, or ended, by what gets worse",
)
rule(
    of_stopping.first_weights,
    "an `ema` of whose average at the end of the run 10 % and more are the first weights, or that has seen none",
    "it averages weights that have hardly learned; a short run wants a smaller `decay`, or `warmup`",
)
rule(
    of_stopping.no_limit,
    "more `max_steps` than all epochs have",
    "it can never end the run",
)
rule(
    of_stopping.accumulate,
    "an `accumulate` of more batches than an epoch has",
    "an epoch is one step, and learns little",
)


def doubts(case: Case) -> list[Doubt]:
    """All that is legal and seldom meant, one for each kind, with the places that a body has for them."""
    return grouped(doubt.seen_in(case.sent) for each in RULES.values() for doubt in each.find(case))
