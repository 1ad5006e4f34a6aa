"""The metrics of a run: those of the passes that it makes anyway, and nothing of it changes by them."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.metrics import Reading
from nets.training import measures
from nets.training.cache import ProgramCache
from nets.training.check import check_fit
from nets.training.evaluation import evaluate
from nets.training.events import EpochEnd, Finished, Log
from nets.training.fit import fit
from nets.training.measures import Measures, baselines, no_better, reading_of
from nets.training.metrics import EpochMetrics, values_of
from nets.training.samples import worst
from nets.training.snapshot import load_snapshot, save_snapshot
from nets.training.step_losses import StepLoss
from tests.nets.builders import network, stripes

NETWORK, PROGRAMS = network({"type": "linear", "out": 3}), ProgramCache()
DATA = stripes(1500)  # whose passes have several batches of evaluation
ASKED = ["accuracy", "f1", "confusion_matrix", "auroc", {"type": "top_k", "k": 2}, "mse"]


def events_of(data=DATA, resume=None, **fields):
    h = parse_hyperparams({"epochs": 2, "train_split": 0.6, "optimizer": {"type": "sgd", "lr": 0.01}, **fields})
    return list(fit(NETWORK, h, data, programs=PROGRAMS, resume=resume))


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def untimed(metrics):
    return replace(metrics, epoch_time=0, samples_per_sec=0, eta_seconds=0, metrics=None)


def test_metrics_are_those_of_whole_passes_and_change_nothing():
    plain, asked = events_of(), events_of(metrics=ASKED)
    assert [untimed(each) for each in of(EpochMetrics, plain)] == [untimed(each) for each in of(EpochMetrics, asked)]
    for epoch in of(EpochMetrics, asked):
        told = epoch.metrics
        assert told["accuracy"] == epoch.val_accuracy and np.sum(told["confusion_matrix"]) == 600
        assert np.trace(told["confusion_matrix"]) / 600 == epoch.val_accuracy
    (before,), (after,) = of(Finished, plain), of(Finished, asked)
    assert (before.test_loss, before.test_accuracy) == (after.test_loss, after.test_accuracy)
    assert before.sample_predictions == after.sample_predictions
    assert before.test_metrics is None and before.worst is None and of(EpochMetrics, plain)[0].metrics is None
    assert (
        after.test_metrics["accuracy"] == after.test_accuracy and np.sum(after.test_metrics["confusion_matrix"]) == 750
    )
    assert list(after.test_metrics) == [*ASKED[:2], "f1_per_class", *ASKED[2:4], "auroc_per_class", "top_2", "mse"]
    assert not of(Log, asked)


def test_the_worst_mistakes_can_be_asked_for_alone():
    (ended,) = of(Finished, events_of(metrics=[{"type": "worst", "samples": 2}], optimizer={"type": "sgd", "lr": 1e-6}))
    assert ended.test_metrics == {} and len(ended.worst) == 2


def test_the_worst_mistakes_are_the_surest_ones():
    outputs = np.log([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05], [0.2, 0.3, 0.5], [0.1, 0.9, 0.0001]])
    reading = Reading(outputs, np.array([1, 1, 2, 0, 1]))
    found = worst(DATA, DATA.test_inputs, reading, 8)
    assert [(each.label, each.prediction) for each in found] == [(2, 0), (1, 0), (0, 2)]
    assert [each.confidence for each in found] == sorted((each.confidence for each in found), reverse=True)
    assert found[0].grid == DATA.test_inputs[2, ..., 0].tolist()
    assert len(worst(DATA, DATA.test_inputs, reading, 1)) == 1
    assert worst(DATA, DATA.test_inputs, Reading(outputs, reading.predictions), 8) == []


def test_a_network_that_learns_nothing_is_no_better_than_the_most_frequent_class():
    same = replace(DATA, test_labels=np.zeros_like(DATA.test_labels))
    (ended,) = of(Finished, events_of(same, epochs=1, metrics=["auroc", "f1"]))
    assert ended.baseline_accuracy["test"] == 1 and ended.test_metrics["auroc"] is None
    (warning,) = ended.warnings
    assert "no better than the 1 of always answering the most frequent class" in warning
    assert no_better(0.5, 0.4) == () == no_better(0.5, None) and no_better(0.4, 0.4)
    assert baselines(a=np.array([1, 1, 0, 2]), b=np.zeros(0, int)) == {"a": 0.5}


def test_a_missing_value_is_explained_once():
    one = replace(DATA, train_labels=np.ones_like(DATA.train_labels))
    events = events_of(one, metrics=["auroc", "r2"])
    assert all(each.metrics["auroc"] is None and each.metrics["r2"] is None for each in of(EpochMetrics, events))
    said = [log.message for log in of(Log, events)]
    assert [message.partition(":")[0] for message in said] == [
        f"{x} of the validation is null" for x in ("auroc", "r2")
    ]


def test_of_long_runs_tables_are_told_of_some_epochs(monkeypatch):
    monkeypatch.setattr(measures, "MOST_NUMBERS", 20)
    events = events_of(epochs=5, metrics=["confusion_matrix", "accuracy"])
    assert ["confusion_matrix" in each.metrics for each in of(EpochMetrics, events)] == [
        False,
        False,
        True,
        False,
        True,
    ]
    assert (
        "confusion_matrix" in of(Log, events)[0].message
        and "of one epoch in 3, and of the last one" in of(Log, events)[0].message
    )
    assert "confusion_matrix" in of(Finished, events)[0].test_metrics


def test_metrics_and_steps_go_on_where_a_run_was_cut_off(tmp_path):
    fields = {"metrics": ASKED, "log_every": 7}
    whole = events_of(**fields)
    for event in fit(
        NETWORK,
        parse_hyperparams({"epochs": 2, "train_split": 0.6, "optimizer": {"type": "sgd", "lr": 0.01}, **fields}),
        DATA,
        programs=PROGRAMS,
    ):
        if isinstance(event, EpochEnd):
            save_snapshot(tmp_path / "state", event.take())
            break
    h = parse_hyperparams({"epochs": 2, "train_split": 0.6, "optimizer": {"type": "sgd", "lr": 0.01}, **fields})
    kept = load_snapshot(tmp_path / "state", NETWORK, h)
    assert kept.metrics.metrics == of(EpochMetrics, whole)[0].metrics
    rest = events_of(resume=kept, **fields)
    assert of(EpochMetrics, rest)[0].metrics == of(EpochMetrics, whole)[1].metrics
    assert of(StepLoss, rest) == [step for step in of(StepLoss, whole) if step.epoch == 2]
    assert of(Finished, rest)[0].test_metrics == of(Finished, whole)[0].test_metrics


def test_rules_see_metrics_by_the_names_of_their_validation():
    (epoch,) = of(EpochMetrics, events_of(epochs=1, metrics=["f1", "confusion_matrix"]))
    seen = values_of(epoch)
    assert seen["val_f1"] == epoch.metrics["f1"] and seen["val_loss"] == epoch.val_loss and "epoch" not in seen
    assert "val_confusion_matrix" not in seen and "metrics" not in seen


def test_a_k_beyond_the_classes_is_refused():
    h = parse_hyperparams({"metrics": ["f1", {"type": "top_k", "k": 4}]})
    rule = r"hyperparams.metrics\[1\].k: must be at most 3 for the 3 classes of stripes, got 4; send .*\"k\": 3"
    with pytest.raises(SpecError, match=rule):
        check_fit(NETWORK, h, DATA.info)


def test_measures_without_metrics_are_none():
    assert not Measures(parse_hyperparams({}), NETWORK.graph) and Measures(
        parse_hyperparams({"metrics": ["f1"]}), NETWORK.graph
    )
    assert "metrics" in asdict(of(EpochMetrics, events_of(epochs=1))[0])


def test_residuals_are_of_what_the_loss_compares():
    """Outputs with mse, a softmax at the end among them; sigmoids with bce; probabilities with all others."""
    softmax = network({"type": "linear", "out": 3}, {"type": "softmax"}).graph
    logits, labels = np.array([[1.0, 0.0, -1.0]], np.float32), np.array([0])

    def compared(loss, graph):
        h = parse_hyperparams({"loss": loss})
        return reading_of(logits, labels, loss=h.loss, graph=graph).compared[0]

    shares = np.exp(logits[0]) / np.exp(logits[0]).sum()
    assert np.array_equal(compared("mse", NETWORK.graph), logits[0])
    assert np.allclose(compared("mse", softmax), shares)
    assert np.allclose(compared("bce", NETWORK.graph), 1 / (1 + np.exp(-logits[0])))
    assert np.allclose(compared("cross_entropy", softmax), shares)


def test_losses_with_weights_are_told_by_them():
    """Of steps and of evaluations apart, as of epochs."""
    fields = {"loss": {"type": "cross_entropy", "weight": [1, 2, 3]}, "log_every": 1, "metrics": ["mse"], "epochs": 1}
    events = events_of(**fields)
    steps, (epoch,), (ended,) = of(StepLoss, events), of(EpochMetrics, events), of(Finished, events)
    assert min(each.loss for each in steps) <= epoch.train_loss <= max(each.loss for each in steps)
    h = parse_hyperparams({"train_split": 0.6, "optimizer": {"type": "sgd", "lr": 0.01}, **fields})
    passing = evaluate(NETWORK, h, ended.variables, DATA, metrics=h.metrics, programs=PROGRAMS)
    while True:
        try:
            next(passing)
        except StopIteration as end:
            found = end.value
            break
    assert (found.loss, found.accuracy, found.measured.values) == (
        ended.test_loss,
        ended.test_accuracy,
        ended.test_metrics,
    )
    assert found.worst == ended.worst and found.baseline_accuracy == ended.baseline_accuracy["test"]
