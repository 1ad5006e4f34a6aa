"""A user's own arrays as a data set: what they are follows from their type and axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nets.architecture.read import parse_architecture
from nets.datasets import DTYPES, Dataset, from_arrays
from nets.errors import DataError, SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inference import Predictor
from nets.spec.values import Value, features, image, sequence, tokens
from nets.training.check import check_fit
from nets.training.events import Finished
from nets.training.fit import fit
from tests.nets.builders import TINY_CNN, network, stripes

LABELS = [0, 1, 2]


@pytest.mark.parametrize(
    ("inputs", "value"),
    [
        (np.zeros((3, 4, 5), np.uint8), image(1, 4, 5)),
        (np.zeros((3, 4, 5, 2), np.uint8), image(2, 4, 5)),
        (np.zeros((3, 7)), features(7)),
        (np.zeros((3, 7), np.float16), features(7)),
        ([[0.5, 1.5], [1, 2], [3, 4]], features(2)),
        (np.zeros((3, 7, 2), np.float32), sequence(7, 2)),
        (np.arange(12).reshape(3, 4), tokens(4, 12)),
    ],
)
def test_type_and_axes_tell_what_samples_are(inputs: Any, value: Value) -> None:
    made = from_arrays(inputs, LABELS, inputs, LABELS)
    assert made.info.value == value
    for array in (made.train_inputs, made.test_inputs):
        assert array.shape == (3, *value.canonical) and array.dtype == DTYPES[value.kind]
        assert array.flags.c_contiguous
    assert made.train_labels.dtype == made.test_labels.dtype == np.int32
    assert (made.info.train_size, made.info.test_size, made.info.classes) == (3, 3, ("0", "1", "2"))


def test_classes_and_vocabulary_may_be_more_than_come() -> None:
    ids = np.arange(12).reshape(3, 4)
    made = from_arrays(ids, LABELS, ids[:2], LABELS[:2], name="words", classes=["a", "b", "c", "d"], vocabulary=100)
    assert (made.info.name, made.info.classes, made.info.value) == ("words", ("a", "b", "c", "d"), tokens(4, 100))
    assert from_arrays(ids, [0, 0, 0], ids, [0, 0, 0]).info.classes == ("0", "1"), "one class is no choice"


GOOD: dict[str, Any] = {
    "train_inputs": np.zeros((3, 7)),
    "train_labels": LABELS,
    "test_inputs": np.zeros((3, 7)),
    "test_labels": LABELS,
}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"train_inputs": np.zeros((0, 7))}, r"train_inputs must hold at least one sample .*, got \[0, 7\]"),
        ({"train_labels": [0, 1]}, r"train_labels must be 3 integers, one for each sample, got int64 \[2\]"),
        ({"test_labels": [0.0, 1.0, 2.0]}, r"test_labels must be 3 integers, .*, got float64 \[3\]"),
        ({"train_labels": [0, 1, -1]}, "train_labels must be 0 or more, the indices of the classes, got -1"),
        ({"classes": ["a", "b"]}, "labels must be from 0 to 1, the indices of the classes, got 2"),
        ({"train_inputs": np.full((3, 7), np.nan)}, "train_inputs must hold finite numbers"),
        ({"test_inputs": np.full((3, 7), 1e300)}, "test_inputs must hold finite numbers of float32"),
        ({"test_inputs": np.zeros((3, 6))}, r"test_inputs must be \[n, 7\] as train_inputs are, got \[3, 6\]"),
        ({"test_inputs": np.zeros((3, 7), int)}, "of the type of train_inputs, float64, got int64"),
        (dict.fromkeys(("train_inputs", "test_inputs"), np.zeros((3, 4, 5, 1))), r"by \(x \* 255\).round\(\)"),
        (dict.fromkeys(("train_inputs", "test_inputs"), np.array(["a", "b", "c"])), r"got <U1 \[3\]"),
        (
            dict.fromkeys(("train_inputs", "test_inputs"), np.full((3, 7), -1)),
            "tokens must be from 0 to 0, got -1 to -1",
        ),
        (
            {**dict.fromkeys(("train_inputs", "test_inputs"), np.full((3, 7), 9)), "vocabulary": 9},
            "tokens must be from 0 to 8, got 9 to 9",
        ),
    ],
)
def test_a_broken_rule_is_named_with_the_array_and_what_came(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        from_arrays(**{**GOOD, **wrong})


def test_a_data_set_from_arrays_trains_as_any_other() -> None:
    def tested(data: Dataset) -> Finished:
        *_, last = fit(network(*TINY_CNN), parse_hyperparams({"epochs": 1, "batch_size": 8}), data)
        assert isinstance(last, Finished)
        return last

    known = stripes()
    own = from_arrays(known.train_inputs, known.train_labels, known.test_inputs[..., 0], known.test_labels)
    one, other = tested(own), tested(known)
    assert (one.test_loss, one.sample_predictions) == (other.test_loss, other.sample_predictions)


def three_kinds(shape: tuple[int, ...], count: int = 120) -> Dataset:
    """Three classes of noisy numbers on very unlike scales, told apart by the sign of two features."""
    random = np.random.default_rng(0)

    def part(many: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(many) % 3
        inputs = random.normal(size=(many, *shape))
        inputs[..., 0] += 3 * (labels == 1).reshape(-1, *[1] * (len(shape) - 1))
        inputs[..., 1] += 3 * (labels == 2).reshape(-1, *[1] * (len(shape) - 1))
        return inputs * 10.0 ** np.arange(-2, shape[-1] - 2) + 50, labels

    return from_arrays(*part(count), *part(count // 2), name="numbers")


LINEAR = [{"type": "linear", "out": 16}, {"type": "relu"}]
OUT = {"type": "linear", "out": 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "layers"),
    [((6,), [*LINEAR, {"type": "batchnorm1d"}, OUT]), ((8, 6), [*LINEAR, {"type": "flatten"}, OUT])],
    ids=["features", "sequence"],
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_numbers_of_unlike_scales_are_learned_and_answered(
    shape: tuple[int, ...], layers: list[dict[str, Any]], precision: str
) -> None:
    data = three_kinds(shape)
    a = parse_architecture({"input_shape": list(shape), "layers": layers})
    h = parse_hyperparams(
        {"epochs": 12, "batch_size": 8, "optimizer": {"type": "adam", "lr": 0.01}, "precision": precision}
    )
    check_fit(a, h, data.info)
    *_, finished = fit(a, h, data)
    assert isinstance(finished, Finished)
    assert finished.test_accuracy > 0.85
    assert all(shown.grid is None for shown in finished.sample_predictions)
    kept = finished.variables["batch_stats"]["input"]
    assert kept["mean"].shape == (6,) and np.allclose(kept["mean"][:2], 50, atol=0.2)
    answers = Predictor(a, finished.variables, precision=precision).probabilities(data.test_inputs).argmax(-1)
    assert (answers == data.test_labels).mean() == pytest.approx(finished.test_accuracy, abs=0.02)


def test_a_network_for_other_numbers_is_refused_with_what_the_samples_are() -> None:
    a = parse_architecture({"input_shape": [5], "layers": [OUT]})
    with pytest.raises(
        SpecError, match=r"architecture.input_shape: must be \[6\] for numbers, each sample of which is"
    ):
        check_fit(a, parse_hyperparams({}), three_kinds((6,)).info)
