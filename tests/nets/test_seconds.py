"""How long compiling takes, against what was claimed."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import jax
import pytest

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.calibration.calibration import Calibration
from nets.calibration.work import of_training
from nets.datasets import DATASETS
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inspection.memory import memory_expected
from nets.inspection.seconds import Measured, Pace, Predicted, compile_seconds, predict, structure_of
from nets.layers import LAYERS
from nets.training import programs
from nets.training.workload import workload_of, workload_on
from tests.nets.builders import network
from tests.nets.examples import EXAMPLES, Made, alone


def depthwise(size: int, *, channels: int = 16, **fields: Any) -> Architecture:
    """A convolution of every channel by itself, of images of 28 x 28."""
    by_itself = {"type": "conv2d", "out_channels": channels, "groups": channels, "kernel_size": size, **fields}
    layers = [{"type": "conv2d", "out_channels": channels, "kernel_size": 1}, by_itself, {"type": "linear", "out": 3}]
    return parse_architecture({"input_shape": [1, 28, 28], "layers": layers})


SAME = {"padding": "same"}
DEPTHWISE: list[dict[str, Any]] = [
    *({"size": size, **SAME} for size in (3, 15, 27)),
    {"size": 9, "dilation": 2, **SAME},
    {"size": 9, "stride": 2, "padding": 4},
    {"size": 9, "channels": 128, **SAME},
    {"size": [3, 27], **SAME},
]


def test_the_taps_of_depthwise_convolutions_count_for_the_time_of_compiling() -> None:
    """One of 27 x 27 takes 3 s of a free processor more than one of 3 x 3."""
    small, large = depthwise(3, **SAME), depthwise(27, **SAME)
    assert 3 < compile_seconds(large) - compile_seconds(small) < 10
    single = network({"type": "conv2d", "out_channels": 8, "kernel_size": 7}, {"type": "linear", "out": 3})
    assert compile_seconds(single) < 2, "a single channel is no group"


@pytest.mark.slow
@pytest.mark.parametrize("fields", DEPTHWISE)
def test_compiling_takes_no_longer_than_is_claimed(fields: dict[str, Any]) -> None:
    """By the time of processors, which does not depend on what else they do."""
    architecture = depthwise(**fields)
    wanted = workload_of(architecture, parse_hyperparams({}), train=900, samples=1200)
    began = time.process_time()
    for part in programs.parts(wanted):
        part.compile()
    assert time.process_time() - began < compile_seconds(architecture)


def test_every_convolution_counts() -> None:
    conv = {"type": "conv2d", "out_channels": 2, "kernel_size": 3, "padding": "same"}
    assert compile_seconds(network(*[conv] * 100, {"type": "linear", "out": 3})) > 100
    block = {"type": "residual_block", "out_channels": 2}  # two, and one for the shortcut
    assert 4.5 < compile_seconds(network(block, {"type": "linear", "out": 3})) < 5.5


def predicted(*, name: str = "a", history: list[Measured] | None = None, **hyperparams: Any) -> Predicted:
    wanted, info = parse_hyperparams(hyperparams), DATASETS["digits"]
    w = workload_on(network({"type": "linear", "out": 10, "name": name}), wanted, info)
    return predict(w, info, wanted, history=history or [])


def ran(seconds: float, **hyperparams: Any) -> Measured:
    w = workload_on(network({"type": "linear", "out": 10}), parse_hyperparams(hyperparams), DATASETS["digits"])
    return Measured(structure_of(w), 3686, 410, seconds, 4.0)


def test_more_samples_and_epochs_take_longer() -> None:
    few, more = predicted(max_samples=1000, epochs=2), predicted(max_samples=4000, epochs=20)
    assert 0 < few["seconds_per_epoch"] < more["seconds_per_epoch"]
    assert 0 < few["compile_seconds"] < few["total_seconds"] < more["total_seconds"]


def test_runs_of_the_same_structure_count_before_rates() -> None:
    once = predicted(history=[ran(7.0)])
    assert once["seconds_per_epoch"] == pytest.approx(7.0)
    assert once["basis"] == "the median epoch of the last run of the same structure on this device"
    assert once["total_seconds"] > 5 * 7 + once["compile_seconds"]
    often = predicted(history=[ran(7.0), ran(7.1), ran(6.9)])
    assert often["error"] < once["error"] < predicted()["error"]
    assert predicted(history=[ran(7.0), ran(14.0)])["error"] > 0.5
    assert 7 < predicted(max_samples=8192, history=[ran(7.0)])["seconds_per_epoch"] < 15
    assert predicted(optimizer={"type": "sgd", "lr": 0.7}, seed=3, history=[ran(7.0)])["error"] == once["error"]
    for other in ({"batch_size": 32}, {"precision": "bfloat16"}, {"optimizer": {"type": "adam"}}):
        assert predicted(history=[ran(7.0, **other)]) == predicted(), "another structure"


def test_programs_come_from_the_process_else_from_the_disk_else_they_are_compiled_anew() -> None:
    wanted, info = parse_hyperparams({}), DATASETS["digits"]
    w = workload_on(network({"type": "linear", "out": 10}), wanted, info)
    cache = programs.ProgramCache()
    anew = predict(w, info, wanted, programs=cache)
    assert anew["programs"] == "cold" and anew["compile_seconds"] > 0.2
    before = ran(7.0)
    kept = predict(w, info, wanted, history=[before], programs=cache)
    assert kept["programs"] == "disk" and 0 < kept["compile_seconds"] < anew["compile_seconds"]
    read = predict(w, info, wanted, history=[replace(before, compile_seconds=None, read_seconds=0.3)])
    assert read["programs"] == "disk" and read["compile_seconds"] == 0.3
    other = predict(w, info, wanted, history=[replace(before, train=100)])
    assert other["programs"] == "cold" and other["compile_seconds"] == 4.0, "of other sizes are other programs"
    for part in programs.parts(w):
        cache.compiled(part.key, lambda: lambda: None)
    there = predict(w, info, wanted, history=[before], programs=cache)
    assert there["programs"] == "process" and there["compile_seconds"] == 0
    assert there["total_seconds"] == pytest.approx(kept["total_seconds"] - kept["compile_seconds"])


def test_every_layer_type_is_predicted_with_a_larger_error_where_nothing_like_it_was_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(LAYERS, "made", Made)  # type: ignore[arg-type]
    wanted, info = parse_hyperparams({}), DATASETS["digits"]
    known = Calibration(
        *("key", "kind", "2026", {}),
        rates={"cpu": {"train.linear.flops": 0.01}},
        errors={f"cpu.{sort}": 0.2 for sort in ("features", "images", "sequences")},
    )
    for name, example in EXAMPLES.items():
        architecture = alone(example)
        w = workload_on(architecture, wanted, info)
        found = predict(w, info, wanted, calibration=known)
        assert 0 < found["compile_seconds"] < found["total_seconds"] < math.inf, name
        assert 0 < found["seconds_per_epoch"] < math.inf and 0.2 <= found["error"] <= 1, name
        assert memory_expected(architecture, wanted, info).total > 0, name
    pace = Pace(w, known)
    pace.rates = {**dict.fromkeys(of_training(w, 1000), 1.0), "train.linear.flops": 0.0}
    assert pace.error(1000) == pytest.approx(0.2), "all of it was measured"


def test_what_was_measured_of_a_device_counts_before_another_machines_rates() -> None:
    wanted, info = parse_hyperparams({}), DATASETS["digits"]
    w = workload_on(network({"type": "linear", "out": 10}), wanted, info)
    made = replace(
        Calibration.blank(jax.local_devices()[0]), rates={"cpu": {"train.pass": 3.0}}, errors={"cpu.features": 0.2}
    )
    found = predict(w, info, wanted, calibration=made)
    assert found["seconds_per_epoch"] > 3 and found["error"] == 0.2 and made.measured_at in found["basis"]
    disturbed = predict(w, info, wanted, calibration=replace(made, disturbed=0.4))
    assert disturbed["error"] == pytest.approx(0.6) and "others used 40% of the processors" in disturbed["basis"]
    assert "lamina devices --calibrate" in predict(w, info, wanted)["basis"]
