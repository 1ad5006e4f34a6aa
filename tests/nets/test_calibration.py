"""What was measured of a device, and where it is kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import pytest

from nets.calibration import networks as small
from nets.calibration import work
from nets.calibration.built_in import BUILT_IN
from nets.calibration.calibrate import calibrate, rates_of
from nets.calibration.calibration import Calibration, keep, kept, path_of
from nets.calibration.expected import KINDS, expected, kinds_of
from nets.calibration.rates import Timed, fitted, left_out, seconds
from nets.calibration.trials import Trial
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.training.workload import Workload, workload_of
from tests.nets.builders import TINY_CNN, network

CPU = kinds_of("cpu", "cpu")


def test_what_was_measured_is_read_again(tmp_path: Path) -> None:
    device = jax.local_devices()[0]
    assert kept(tmp_path, device) is None
    made = replace(Calibration.blank(device), peaks={"float32": 1e11}, rates={"float32": {"step": 1e-5}})
    keep(tmp_path / "calibration", made)
    assert kept(tmp_path / "calibration", device) == made


def test_of_another_machine_or_damaged_it_is_not_used(tmp_path: Path) -> None:
    device = jax.local_devices()[0]
    path = path_of(tmp_path, device)
    keep(tmp_path, replace(Calibration.blank(device), key="cpu-000000000000")).rename(path)
    assert kept(tmp_path, device) is None
    for text in ("", "[]", "{}", '{"schema": "lamina-calibration/1"}'):
        path.write_text(text)
        assert kept(tmp_path, device) is None


def workload(*layers: dict[str, Any], batch: int = 64, **fields: Any) -> Workload:
    h = parse_hyperparams({"batch_size": batch, **fields})
    return workload_of(network(*layers, {"type": "linear", "out": 10}), h, train=1000, samples=2000)


def test_rates_are_found_again_by_the_times_that_they_gave() -> None:
    known = {"train.step": 2e-4, "train.relu.values": 3e-3, "train.linear.flops": 0.02}
    timed = [
        Timed(amounts, seconds(known, amounts, CPU))
        for amounts in ({name: 1.0 + (n * k) % 7 for k, name in enumerate(known, 1)} for n in range(20))
    ]
    found = fitted(timed, {}, CPU)
    assert max(abs(seconds(found, each.amounts, CPU) / each.seconds - 1) for each in timed) < 0.02
    assert max(map(abs, left_out(timed, {}, CPU))) < 0.1


def test_on_a_machine_of_half_the_speed_all_rates_double() -> None:
    known = dict.fromkeys(("train.step", "train.relu.values"), 1e-3)
    found = fitted([Timed({"train.step": n}, 2e-3 * n) for n in (1, 2, 3)], known, CPU)
    assert found["train.relu.values"] == pytest.approx(2e-3)
    unknown = seconds(found, {"train.made_up.values": 1.0}, CPU)
    assert unknown == pytest.approx(2 * seconds(known, {"train.made_up.values": 1.0}, CPU))


def test_the_networks_have_the_common_layer_types_both_precisions_and_every_optimizer() -> None:
    bodies = list(small.networks())
    types = {node.layer.type for _, architecture, _ in bodies for node in architecture.graph.nodes}
    assert {"linear", "relu", "tanh", "sigmoid", "dropout", "batchnorm1d", "flatten"} <= types
    assert {"conv2d", "batchnorm2d", "maxpool2d", "avgpool2d", "add", "concat"} <= types
    assert {"multiheadattention", "layernorm", "gelu", "conv1d", "lstm", "gru", "globalavgpool"} <= types
    assert {h.precision for _, _, h in bodies} == {"float32", "bfloat16"}
    assert {h.optimizer.type for _, _, h in bodies} == {"sgd", "adam", "adamw", "rmsprop"}
    assert {16, 1024} <= {h.batch_size for _, _, h in bodies}


def test_every_amount_has_a_rate_on_every_kind_of_device() -> None:
    for _, architecture, hyperparams in small.networks():
        w = workload_of(architecture, hyperparams, train=1000, samples=2000)
        amounts = work.added(
            *((1.0, each) for each in (work.of_training(w, 1000), work.of_evaluation(w, 500), work.of_compiling(w)))
        )
        assert all(amount > 0 for amount in amounts.values())
        for kinds in KINDS.values():
            assert all(expected(name, kinds) >= 0 for name in amounts)


def test_more_of_anything_takes_longer() -> None:
    def takes(w: Workload, train: int = 1000) -> float:
        return seconds(BUILT_IN["cpu"], work.of_training(w, train), CPU)

    wide, narrow = ({"type": "linear", "out": n} for n in (2048, 64))
    assert takes(workload(wide)) > 2 * takes(workload(narrow))
    assert takes(workload(wide), 4000) > 3 * takes(workload(wide), 1000)
    blocks = [{"type": "residual", "layers": TINY_CNN[:2]}]
    conv = {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"}
    repeated = [conv, *({"type": "repeat", "times": times, "layers": blocks} for times in (10,))]
    assert any("looped" in name for name in work.of_training(workload(*repeated), 1000))
    assert takes(workload(*repeated)) > takes(workload(conv))


def test_errors_are_those_of_networks_that_were_left_out() -> None:
    tried = [
        Trial(
            ("features", "images")[n % 2],
            ({"train.step": 1.0}, 1.0 + 2 * (n % 2)),
            ({}, 1.0),
            ({"compile.programs": 1.0}, 2.0),
        )
        for n in range(8)
    ]
    rates, errors = rates_of(tried, "cpu")
    assert rates["train.step"] > 0 and errors["compiling"] < 0.2
    assert errors["features"] > 0.2 or errors["images"] > 0.2, "one rate cannot give both times"


@pytest.mark.slow
def test_a_device_is_measured_by_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(small, "NETWORKS", small.NETWORKS[::8])
    told: list[float] = []
    device = jax.local_devices()[0]
    made = calibrate(device, lambda name, share: told.append(share))
    assert told == sorted(told) and told[-1] == 1
    keep(tmp_path, made)
    assert kept(tmp_path, device) == made
    assert made.rates["cpu"]["train.step"] >= 0 and "cpu.compiling" in made.errors
    assert set(made.errors) <= {"cpu.features", "cpu.images", "cpu.sequences", "cpu.compiling"}
