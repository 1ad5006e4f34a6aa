"""What a run takes of memory, from its images to its answers, against what was claimed before it was begun."""

from __future__ import annotations

import statistics
from typing import Any

import jax
import pytest

from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inspection.memory import check_memory, memory_expected, memory_needed
from nets.kernels import plan_for
from nets.training.programs import compile_training
from nets.training.workload import workload_of
from tests.nets.builders import network, stripes
from tests.nets.memory_probe import probe

Json = dict[str, Any]
RELU, NORM, POOL = {"type": "relu"}, {"type": "batchnorm2d"}, {"type": "maxpool2d", "kernel_size": 2}
DROPOUT, OUT = {"type": "dropout", "p": 0.5}, {"type": "linear", "out": 10}
HALF, ADAM = {"precision": "bfloat16"}, {"optimizer": {"type": "adam"}}


def conv(out: int, kernel: int = 3, **fields: Any) -> Json:
    return {"type": "conv2d", "out_channels": out, "kernel_size": kernel, **fields}


def dense(out: int) -> Json:
    return {"type": "linear", "out": out}


def residual(out: int, kernel: int = 3) -> Json:
    return {"type": "residual_block", "out_channels": out, "kernel_size": kernel}


def pool(kernel: int, **fields: Any) -> Json:
    return {"type": "maxpool2d", "kernel_size": kernel, **fields}


REFERENCE = [conv(32, padding=1), RELU, POOL, conv(64, padding=1), RELU, POOL, dense(128), RELU, DROPOUT]
WIDE = [dense(20_000), RELU]
# Name, layers before the last, hyperparameters, and what else of the request is not as usual.
CASES: list[tuple[str, list[Json], Json, Json]] = [
    ("smallest", [], {}, {}),
    ("reference", REFERENCE, {}, {}),
    ("reference in bfloat16, adam", REFERENCE, {**HALF, **ADAM}, {}),
    ("a batch of 4,096", REFERENCE, {"batch_size": 4096}, {"samples": 6000}),
    ("dense, sgd", WIDE, {}, {}),
    ("dense, momentum", WIDE, {"optimizer": {"type": "sgd", "momentum": 0.9}}, {}),
    ("dense, rmsprop, bfloat16", WIDE, {"optimizer": {"type": "rmsprop"}, **HALF}, {}),
    ("dense, adam, keep_best", WIDE, {**ADAM, "keep_best": True}, {}),
    ("dense in parts", WIDE, {"batch_size": 4096}, {"samples": 6000}),
    ("MLP, batch 65,536", [dense(512), RELU, dense(512), RELU], {"batch_size": 65_536}, {"samples": 60_000}),
    ("groups of 14 x 14", [conv(2, 1), conv(400, 14, groups=2)], {}, {"samples": 300}),
    ("groups of 5 x 5", [conv(32, padding=1), RELU, conv(64, 5, groups=4, padding="same")], HALF, {}),
    ("depthwise", [conv(64, padding=1), NORM, RELU, conv(64, groups=64, padding=1), NORM, RELU], {}, {}),
    ("depthwise of 15 x 15", [conv(16), conv(16, 15, groups=16, padding="same"), RELU], {}, {"samples": 500}),
    ("a pool of 50 x 50", [conv(8, padding=1), pool(50, stride=1, padding=25)], {}, {}),
    ("overlapping pools", [conv(64, padding=1), RELU, pool(3, stride=1), pool(5, stride=2)], HALF, {}),
    ("residual of 15 x 15", [residual(16, 15)], HALF, {"samples": 500}),
    ("residual blocks", [conv(32, padding=1), NORM, RELU, POOL, residual(32), residual(64)], ADAM, {}),
    ("norms over 1,024", [conv(32, padding=1), RELU, NORM, POOL, conv(32), NORM], {"batch_size": 1024}, {}),
    (
        "strides and dilation",
        [conv(32, 5, stride=2), RELU, conv(64, 3, dilation=2), RELU, conv(64, 4, stride=3)],
        {},
        {},
    ),
    (
        "values alone",
        [conv(32, 1), {"type": "sigmoid"}, DROPOUT, {"type": "softmax"}, {"type": "tanh"}, DROPOUT],
        {},
        {},
    ),
    ("dense norms", [dense(512), {"type": "batchnorm1d"}, RELU, DROPOUT] * 3, ADAM, {}),
    (
        "colours",
        [conv(64, padding=1), RELU, conv(64, padding=1), RELU, POOL, conv(128)],
        {},
        {"shape": [3, 32, 32], "samples": 600},
    ),
]


def usual(request: Json) -> Json:
    """What a process takes: the middle one of three where the first takes more than it claims.

    On a busy machine one process with `depthwise` took 644 MB where five others took 372 to 465.
    """
    found = [probe(request)]
    if found[0]["peak"] > found[0]["claim"]:
        found += [probe(request), probe(request)]
    return sorted(found, key=lambda one: int(one["peak"]))[len(found) // 2]


@pytest.mark.slow
def test_no_run_takes_more_memory_than_it_claims_and_few_claim_twice_that() -> None:
    found = {
        name: usual({"layers": [*layers, OUT], "hyperparams": hyperparams, **others})
        for name, layers, hyperparams, others in CASES
    }
    over = {name: one for name, one in found.items() if one["peak"] > one["claim"]}
    assert not over
    assert statistics.median(one["claim"] / one["peak"] for one in found.values()) <= 2
    expected = {name: round(one["expected"] / one["peak"], 2) for name, one in found.items()}
    outside = {name: share for name, share in expected.items() if not 0.8 <= share <= 1.5}
    assert len(outside) <= 5, outside  # peaks differ by a quarter from one time to the next


@pytest.mark.parametrize("layers", [[conv(2, 1), conv(64, 14, groups=2)], [conv(16, 1), conv(16, 9, groups=16)]])
def test_a_grouped_convolution_keeps_no_image_for_each_tap(layers: list[Json]) -> None:
    a, h = network(*layers, OUT, shape=(1, 28, 28)), parse_hyperparams({})
    made = workload_of(a, h, train=64, samples=64)
    taken = compile_training(made, 1, made.batch).memory_analysis().temp_size_in_bytes
    assert taken < 64 << 20
    assert taken < memory_needed(a, h, stripes().info).activations


def test_too_much_memory_is_refused_with_the_numbers() -> None:
    info, h = stripes().info, parse_hyperparams({"optimizer": {"type": "adam"}, "batch_size": 8})
    a = network({"type": "linear", "out": 1_000_000}, {"type": "linear", "out": 3})
    need = memory_needed(a, h, info)
    # Weights and Adam's two moments, as bytes of a file and as arrays read from it, of which one is most of the network.
    assert 2 * 3 * 4 * a.parameters < need.weights < 10 * 4 * a.parameters
    with pytest.raises(SpecError, match=r"layers: needs \d\.\d GB of parameters, .*; 0\.9 GB are available"):
        check_memory(a, h, info, available=1_000_000_000)
    check_memory(a, h, info, available=10_000_000_000)


def test_a_large_batch_that_goes_through_in_parts_needs_no_more_than_a_part() -> None:
    conv = [{"type": "conv2d", "out_channels": 8, "kernel_size": 3}, {"type": "relu"}, {"type": "linear", "out": 3}]
    norm = [conv[0], {"type": "batchnorm2d"}, *conv[1:]]
    small, large = (parse_hyperparams({"batch_size": size, "max_samples": None}) for size in (64, 4096))
    info = stripes(10_000).info
    plain = network(*conv)
    if plan_for(jax.default_backend(), training=True).micro_batch(plain.graph) == 64:
        assert memory_needed(plain, small, info).activations == memory_needed(plain, large, info).activations
    looks_across = network(*norm)
    assert (
        memory_needed(looks_across, large, info).activations > 50 * memory_needed(looks_across, small, info).activations
    )


def test_the_images_that_are_evaluated_at_a_time_count() -> None:
    conv = network({"type": "conv2d", "out_channels": 64, "kernel_size": 3}, {"type": "linear", "out": 3})
    one, many = (parse_hyperparams({"batch_size": size}) for size in (1, 16))
    assert memory_needed(conv, one, stripes().info).activations == memory_needed(conv, many, stripes().info).activations


def test_the_memory_of_compiling_counts() -> None:
    deep = network(
        *[{"type": "conv2d", "out_channels": 2, "kernel_size": 3, "padding": "same"}] * 100,
        {"type": "linear", "out": 3},
    )
    assert memory_needed(deep, parse_hyperparams({}), stripes().info).programs > 4e8


def test_the_memory_of_padding_counts() -> None:
    layer = {"type": "conv2d", "out_channels": 8, "kernel_size": 3}
    plain, padded = (network({**layer, "padding": p}, {"type": "linear", "out": 3}) for p in ("same", 64))
    h, info = parse_hyperparams({}), stripes().info
    assert memory_needed(padded, h, info).activations > 50 * memory_needed(plain, h, info).activations


def test_what_is_expected_is_less_than_what_is_claimed() -> None:
    a, h = network(*REFERENCE, OUT, shape=(1, 28, 28)), parse_hyperparams({**ADAM, "batch_size": 64})
    info = stripes().info
    expected, claimed = memory_expected(a, h, info), memory_needed(a, h, info)
    assert expected.total < claimed.total < 4 * expected.total
    assert expected.optimizer == 2 * 4 * a.parameters and expected.weights >= 4 * a.parameters
    wider = parse_hyperparams({**ADAM, "batch_size": 64, "precision": "bfloat16"})
    assert 0.5 < memory_expected(a, wider, info).total / expected.total < 1.5
