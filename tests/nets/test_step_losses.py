"""The losses of single steps: every n-th, few in all, and those that the epoch is the mean of."""

import pytest

from nets.hyperparams.hyperparams import parse_hyperparams
from nets.training.cache import ProgramCache
from nets.training.fit import fit
from nets.training.metrics import EpochMetrics
from nets.training.step_losses import MOST_STEPS, StepLoss, StepLosses
from nets.training.sums import Sums
from tests.nets.builders import network, stripes


def hyper(**fields):
    return parse_hyperparams({"epochs": 2, "batch_size": 8, "train_split": 0.75, **fields})


def test_each_step_is_told_with_its_mean_loss():
    """45 samples in batches of 8: five whole ones, and one of five."""
    events = list(fit(network({"type": "linear", "out": 3}), hyper(log_every=1), stripes(), programs=ProgramCache()))
    steps = [event for event in events if isinstance(event, StepLoss)]
    assert [(each.epoch, each.step) for each in steps] == [(1 + at // 6, at + 1) for at in range(12)]
    assert {each.learning_rate for each in steps} == {0.1}
    for epoch in (event for event in events if isinstance(event, EpochMetrics)):
        own = [each.loss for each in steps if each.epoch == epoch.epoch]
        assert (8 * sum(own[:5]) + 5 * own[5]) / 45 == pytest.approx(epoch.train_loss)
        assert events.index(epoch) > max(events.index(each) for each in steps if each.epoch == epoch.epoch)


def test_every_nth_step_is_counted_over_all_epochs():
    told = StepLosses(hyper(log_every=4), 45)
    assert [each.step for epoch in (1, 2) for each in told.of(Sums([8.0] * 6), first=0, epoch=epoch, rate=float)] == [
        4,
        8,
        12,
    ]
    assert [each.step for each in told.of(Sums([8.0] * 6), first=4, epoch=2, rate=float)] == [12]
    weighted = next(told.of(Sums([8.0] * 6, weights=[2.0] * 6), first=3, epoch=1, rate=float))
    assert weighted.loss == 4.0
    assert list(StepLosses(hyper(), 45).of(Sums([8.0] * 6), first=0, epoch=1, rate=float)) == []


@pytest.mark.parametrize(
    ("epochs", "asked", "every"), [(2, 1, 1), (333, 1, 1), (334, 1, 2), (5000, 3, 15), (5000, 20, 20)]
)
def test_n_is_raised_where_there_would_be_too_many(epochs, asked, every):
    told = StepLosses(hyper(epochs=epochs, log_every=asked), 45)
    assert told.every == every and 6 * epochs // every <= MOST_STEPS
