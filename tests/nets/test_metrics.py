"""The metrics against values known by hand and scikit-learn's, and what is told where there is none."""

import json
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from nets.errors import SpecError
from nets.metrics import METRICS, SEVERAL, Measured, Metric, Reading, Undefined, baseline_accuracy, measured
from nets.metrics.names import metric_of, names_of, usual, values_of

PATH = ("hyperparams", "metrics")
EVERY = list(METRICS)


def of(names, reading):
    return measured(SEVERAL.parse(names if isinstance(names, list) else [names], PATH), reading).values


def random_reading(samples=300, classes=6, seed=0, absent=()):
    rng = np.random.default_rng(seed)
    labels = rng.choice([each for each in range(classes) if each not in absent], samples)
    outputs = rng.normal(size=(samples, classes)) + 1.5 * np.eye(classes)[labels]
    return Reading(outputs.astype(np.float32), labels)


def certain(predictions, classes):
    """Outputs that predict these classes for sure."""
    return 50.0 * np.eye(classes)[predictions]


def sklearns(reading):
    """What scikit-learn says."""
    labels, predictions, probabilities = reading.labels, reading.predictions, reading.probabilities
    one_hot = np.eye(reading.classes)[labels]
    found = {
        "accuracy": sk.accuracy_score(labels, predictions),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predictions),
        "top_2": sk.top_k_accuracy_score(labels, probabilities, k=2, labels=range(reading.classes)),
        "confusion_matrix": sk.confusion_matrix(labels, predictions, labels=range(reading.classes)).tolist(),
        "auroc": sk.roc_auc_score(labels, probabilities, multi_class="ovr"),
        "mse": sk.mean_squared_error(one_hot, probabilities),
        "mae": sk.mean_absolute_error(one_hot, probabilities),
        "rmse": sk.mean_squared_error(one_hot, probabilities) ** 0.5,
        "r2": sk.r2_score(one_hot, probabilities),
    }
    for name in ("precision", "recall", "f1"):
        score = getattr(sk, f"{name}_score")
        found[name] = score(labels, predictions, average="macro", zero_division=0)
        found[f"{name}_weighted"] = score(labels, predictions, average="weighted", zero_division=0)
        found[f"{name}_micro"] = score(labels, predictions, average="micro")
        found[f"{name}_per_class"] = score(labels, predictions, average=None, zero_division=0).tolist()
    return found


def test_metrics_are_scikit_learns():
    reading = random_reading()
    averages = [
        {"type": name, "average": how} for name in ("precision", "recall", "f1") for how in ("weighted", "micro")
    ]
    for name, value in of([*EVERY, "top_2", *averages], reading).items():
        if name in sklearns(reading):
            assert np.allclose(value, sklearns(reading)[name], rtol=1e-12, atol=1e-12), name


def test_an_absent_class_counts_where_it_was_predicted_and_nowhere_else():
    """As scikit-learn has it: over the classes among labels and predictions."""
    labels = np.array([0, 0, 1, 1, 1])
    reading = Reading(certain([0, 2, 1, 1, 0], classes=4), labels)  # 2 is predicted without samples, 3 is nowhere
    found = of(["precision", "recall", "f1", "balanced_accuracy", "confusion_matrix", "auroc"], reading)
    assert found["precision_per_class"] == [0.5, 1, 0, None]
    assert found["recall_per_class"] == [0.5, pytest.approx(2 / 3), 0, None]
    for name in ("precision", "recall", "f1"):
        score = getattr(sk, f"{name}_score")(labels, reading.predictions, average="macro", zero_division=0)
        assert found[name] == pytest.approx(score)
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["confusion_matrix"] == [[1, 0, 1, 0], [1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    areas = [sk.roc_auc_score(labels == each, reading.probabilities[:, each]) for each in (0, 1)]
    assert found["auroc_per_class"] == [*map(pytest.approx, areas), None, None]
    assert found["auroc"] == pytest.approx(np.mean(areas))


def test_samples_of_one_class_leave_some_metrics_without_a_value():
    reading = Reading(certain([1, 1, 0], classes=3), np.array([1, 1, 1]))
    found = measured(SEVERAL.parse(EVERY, PATH)[:1] + SEVERAL.parse([*EVERY[2:], "top_2"], PATH), reading)
    assert found.values["auroc"] is None and found.values["r2"] is None
    assert "all samples are of one class" in found.reasons["auroc"] and "one class" in found.reasons["r2"]
    assert found.values["accuracy"] == found.values["balanced_accuracy"] == pytest.approx(2 / 3)
    assert set(found.reasons) == {"auroc", "r2"}


def test_without_samples_there_is_no_value():
    found = measured(SEVERAL.parse(EVERY, PATH), Reading(np.zeros((0, 6)), np.zeros(0, np.int32)))
    assert set(found.values.values()) == {None} and set(found.reasons.values()) == {"there are no samples"}
    assert baseline_accuracy(np.zeros(0, np.int32)) is None


def test_of_equal_outputs_the_first_is_the_highest():
    """So that the one with k = 1 is the accuracy; equal ranks count half in areas."""
    reading = Reading(np.zeros((4, 4)), np.arange(4))
    assert of(["top_1", "top_2", "top_3", "top_4", "accuracy"], reading) == {
        **{f"top_{k}": k / 4 for k in (1, 2, 3, 4)},
        "accuracy": 0.25,
    }
    assert of("auroc", reading)["auroc"] == 0.5


def test_the_calibration_error_is_the_mean_distance_of_bins():
    """By hand: two bins, of 0.9 sure and 3 of 4 right, and of 0.4 sure and 1 of 2 right."""
    probabilities = np.array([[0.9, 0.05, 0.05]] * 4 + [[0.4, 0.3, 0.3]] * 2)
    reading = Reading(np.log(probabilities), np.array([0, 0, 0, 1, 0, 2]))
    expected = 4 / 6 * abs(0.9 - 0.75) + 2 / 6 * abs(0.4 - 0.5)
    assert of({"type": "ece", "bins": 2}, reading)["expected_calibration_error"] == pytest.approx(expected)
    assert of({"type": "ece", "n_bins": 1}, reading)["expected_calibration_error"] == pytest.approx(
        abs(4.4 / 6 - 4 / 6)
    )


def test_a_bin_has_its_upper_end():
    """Half-sure predictions stand in the lower of two bins, alone."""
    reading = Reading(np.log([[0.5, 0.5], [0.75, 0.25]]), np.array([1, 0]))
    assert of({"type": "ece", "bins": 2}, reading)["expected_calibration_error"] == pytest.approx((0.5 + 0.25) / 2)


def test_residuals_are_of_probabilities_or_of_numbers():
    """By what the loss takes the outputs for."""
    outputs, labels = np.array([[1.0, 0.0], [0.5, 0.0]]), np.array([0, 1])
    numbers = of(["mse", "mae", "rmse", "r2"], Reading(outputs, labels, numbers=outputs))
    assert numbers["mse"] == pytest.approx((0 + 0 + 0.25 + 1) / 4) and numbers["mae"] == pytest.approx(1.5 / 4)
    assert numbers["rmse"] == pytest.approx(numbers["mse"] ** 0.5)
    assert numbers["r2"] == pytest.approx(sk.r2_score(np.eye(2)[labels], outputs))
    logits = Reading(outputs, labels)
    assert of("mse", logits)["mse"] == pytest.approx(np.square(logits.probabilities - np.eye(2)[labels]).mean())


def test_a_metric_that_breaks_fails_nothing():
    class Broken(Metric):
        def of(self, reading):
            raise ZeroDivisionError("division by zero")

    class Endless(Metric):
        def of(self, reading):
            return float("inf")

    class Nowhere(Metric):
        def of(self, reading):
            raise Undefined("there is none")

    found = measured([Broken(type="broken"), Endless(type="endless"), Nowhere(type="none")], random_reading())
    assert found.values == dict.fromkeys(("broken", "endless", "none"))
    assert "ZeroDivisionError" in found.reasons["broken"] and "finite" in found.reasons["endless"]
    assert found.reasons["none"] == "there is none"


def test_lists_are_left_out_where_numbers_are_asked_for():
    asked = SEVERAL.parse(EVERY, PATH)
    found = measured(asked, random_reading(), whole=False)
    assert {type(value) for value in found.values.values()} == {float}
    assert set(found.values) == {name for metric in asked for name in metric.single}


def test_every_value_is_json():
    found = measured(SEVERAL.parse(EVERY, PATH), random_reading(classes=6, absent=(3,)))
    assert isinstance(found, Measured) and json.loads(json.dumps(found.values, allow_nan=False)) == found.values


def test_nothing_warns_of_large_outputs():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measured(SEVERAL.parse(EVERY, PATH), Reading(1e30 * random_reading().outputs, random_reading().labels))
    assert not found.reasons


def test_metrics_come_by_name_or_with_options_and_are_told_once():
    asked = SEVERAL.parse(["top_k", {"type": "top_k", "k": 5}, "f1_score", "top_3", {"type": "roc_auc"}], PATH)
    assert [metric.key for metric in asked] == ["top_5", "top_5", "f1", "top_3", "auroc"]
    told = measured(asked, random_reading()).values
    assert list(told) == ["top_5", "f1", "f1_per_class", "top_3", "auroc", "auroc_per_class"]


@pytest.mark.parametrize(
    ("sent", "message", "suggestion"),
    [
        ("f1", r"metrics: must be a list of metrics such as", None),
        (["f11"], r"metrics\[0\]: must be one of .* got \"f11\". Did you mean 'f1'\?", "f1"),
        (["f1", {"type": "acuracy"}], r"metrics\[1\].type: must be one of .* Did you mean 'accuracy'", "accuracy"),
        ([{"type": "top_k", "k": 0}], r"metrics\[0\].k: must be at least 1, got 0", None),
        ([{"type": "f1", "k": 2}], r"metrics\[0\].k: is not a field of f1", None),
        ([7], r"metrics\[0\]: must be an object such as", None),
        (["ece", {"type": "ece", "bins": 3}], r"metrics\[1\]: expected_calibration_error came before with other", None),
        (["f1"] * 33, r"metrics: must have at most 32 metrics, got 33", None),
    ],
)
def test_what_is_wrong_with_a_list(sent, message, suggestion):
    with pytest.raises(SpecError, match=message) as raised:
        SEVERAL.parse(sent, PATH)
    assert raised.value.problems[0].suggestion == suggestion


def test_names_of_numbers_are_told_from_others():
    assert metric_of("top_17").type == "top_k" and metric_of("f1_micro").type == "f1"
    assert metric_of("auroc_micro") is None and metric_of("top_k") is None and metric_of("confusion_matrix") is None
    assert not metric_of("rmse").higher and set(usual()) >= {"accuracy", "top_5", "f1", "auroc", "r2"}
    assert values_of({"f1": 0.5, "f1_per_class": [0.5], "r2": None}, "val_") == {"val_f1": 0.5}
    asked = [metric.model_dump() for metric in SEVERAL.parse(["f1", "top_3"], PATH)]
    assert names_of({"metrics": [*asked, {"type": "gone"}, 7]}) == ["f1", "f1_per_class", "top_3"]
    assert names_of({}) == []


def test_the_baseline_is_the_most_frequent_class():
    assert baseline_accuracy(np.array([3, 3, 1, 0])) == 0.5
