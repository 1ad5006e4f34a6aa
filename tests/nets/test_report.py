"""What a network costs before it trains, whole and half-built."""

from __future__ import annotations

import time
from typing import Any

import pytest

from nets.inspection.report import Report, inspect

Json = dict[str, Any]
CONV, RELU, POOL = (
    {"type": "conv2d", "out_channels": 8, "kernel_size": 3, "padding": "same"},
    {"type": "relu"},
    {"type": "maxpool2d", "kernel_size": 2},
)
OUT: list[Json] = [{"type": "linear", "out": 10}, {"type": "softmax"}]
REFERENCE: list[Json] = [
    *({"type": "conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1}, RELU, POOL),
    *({"type": "conv2d", "out_channels": 64, "kernel_size": 3, "padding": 1}, RELU, POOL),
    *({"type": "flatten"}, {"type": "linear", "out": 128}, RELU, {"type": "dropout", "p": 0.5}, *OUT),
]


def body(*layers: Json, **hyperparams: Any) -> Json:
    return {"architecture": {"input_size": 784, "layers": list(layers)}, "hyperparams": {**DIGITS, **hyperparams}}


DIGITS: Json = {"dataset_type": "digits"}


def shapes(found: Report) -> list[Any]:
    return [row["output_shape"] for row in found["layers"]]


def consistent(found: Report) -> None:
    """Totals are sums of rows, and each row reads what another one gives."""
    rows, totals = found["layers"], found["totals"]
    names = ("params", "macs", "flops")
    sums = {name: sum(row[name] or 0 for row in rows) for name in names}  # type: ignore[literal-required]
    assert (totals["params"], totals["macs_forward"], totals["flops_forward"]) == tuple(sums.values())
    if totals["batch"]:
        step = sum((row["flops"] or 0) + (row["flops_backward"] or 0) for row in rows) * totals["batch"]
        assert totals["flops_train_step"] == step
    gives = {"input": found["input_shape"], **{row["name"]: row["output_shape"] for row in rows}}
    assert len(gives) == len(rows) + 1
    for row in rows:
        if row["output_shape"] is not None:
            read = [gives[name or ""] for name in row["inputs"]]
            assert row["input_shape"] == (read[0] if len(read) == 1 else read)


def test_the_reference_network_row_by_row() -> None:
    found = inspect(body(*REFERENCE, batch_size=64, optimizer={"type": "adam"}))
    assert found["valid"] and not found["problems"]
    assert [row["type"] for row in found["layers"]] == [layer["type"] for layer in REFERENCE]
    first = found["layers"][3]
    assert {name: first[name] for name in ("name", "inputs", "input_shape", "output_shape", "pointer")} == {
        "name": "conv2d_3",
        "inputs": ["maxpool2d_2"],
        "input_shape": [32, 14, 14],
        "output_shape": [64, 14, 14],
        "pointer": "/architecture/layers/3",
    }
    assert (first["params"], first["macs"], first["flops"]) == (18_496, 3_612_672, 2 * 3_612_672)
    assert first["activation_bytes"] == 64 * 14 * 14 * 4
    assert first["options"]["in_channels"] == 32 and "type" not in first["options"]
    assert found["totals"]["params"] == 421_642
    memory = found["memory"]
    assert memory and memory["optimizer"] >= 2 * 4 * 421_642
    parts = ("weights", "optimizer", "activations", "samples", "programs")
    assert memory["total"] == sum(memory[name] for name in parts)  # type: ignore[literal-required]
    assert memory["peak"] == memory["total"] + memory["process"] and memory["process"] > 50 << 20
    assert "2 for each" in found["definition"]
    assert list(found["predicted"]) == ["cpu:0"] and found["predicted"]["cpu:0"]["seconds_per_epoch"] > 0
    told = found["kernels"]
    assert told
    for forms in told.values():
        computed = [name for form in forms for name in form["layers"]]  # type: ignore[attr-defined]
        assert sorted(computed) == sorted(row["name"] for row in found["layers"][:-1])
    consistent(found)


def test_combinators_composites_adapters_and_shared_weights_add_up() -> None:
    found = inspect(
        body(
            {**CONV, "name": "eye"},
            {"type": "repeat", "times": 2, "layers": [{"type": "residual_block", "out_channels": 8}]},
            {"type": "parallel", "name": "both", "branches": [[{**CONV, "out_channels": 4}], []]},
            {"type": "conv2d", "shares": "eye", "inputs": ["input"], "name": "again"},
            {"type": "concat", "inputs": ["both", "again"]},
            *OUT,
        )
    )
    assert found["valid"], found["problems"]
    rows = {row["name"]: row for row in found["layers"]}
    parts = [row for row in found["layers"] if row["part_of"] == "repeat_1.1.residual_block_0"]
    assert {row["pointer"] for row in parts} == {"/architecture/layers/1/layers/0"} and len(parts) == 7
    assert (rows["again"]["shares"], rows["again"]["params"]) == ("eye", 0)
    assert rows["again"]["macs"] == rows["eye"]["macs"]
    assert rows["concat_4"]["input_shape"] == [[12, 28, 28], [8, 28, 28]]
    assert (rows["linear_5"]["adapter"], rows["linear_5"]["input_shape"]) == ("flatten", [20, 28, 28])
    consistent(found)


@pytest.mark.parametrize(
    ("layers", "known", "codes"),
    [
        ([], [], {"too_short"}),
        ([CONV, {"type": "conv2d"}, *OUT], [[8, 28, 28], None, None, None], {"missing"}),
        ([CONV, {"type": "rellu"}, *OUT], [[8, 28, 28], None, None, None], {"not_one_of"}),
        ([CONV, {}, *OUT], [[8, 28, 28], None, None, None], {"missing"}),
        ([CONV, 3, *OUT], [[8, 28, 28], None, None, None], {"wrong_type"}),
        ([CONV, {**RELU, "inputs": ["nobody"]}, *OUT], [[8, 28, 28], None, None, None], {"unknown_name"}),
        ([CONV, {"type": "linear", "in": 3000, "out": 10}], [[8, 28, 28], [10]], {"mismatch"}),
        ([CONV, {"type": "batchnorm1d"}, POOL, *OUT], [[8, 28, 28], None, None, None, None], {"misfit"}),
        (
            [CONV, {**RELU, "name": "a", "inputs": ["b"]}, {**RELU, "name": "b", "inputs": ["a"]}, *OUT],
            [[8, 28, 28], None, None, None, None],
            {"cycle"},
        ),
        ([CONV, {**RELU, "inputs": ["input"]}, *OUT], [[8, 28, 28], [1, 28, 28], [10], [10]], {"unused"}),
        (
            [
                {"type": "parallel", "branches": [[CONV], [{"type": "conv2d"}]]},
                {**CONV, "name": "fine", "inputs": ["input"]},
                *OUT,
            ],
            [[8, 28, 28], None, None, [8, 28, 28], [10], [10]],
            {"missing"},
        ),
        ([CONV, {"type": "repeat", "times": 2, "layers": []}, *OUT], [[8, 28, 28], None, None, None], {"too_short"}),
        ([CONV, {"type": "linear", "out": 7}], [[8, 28, 28], [7]], {"mismatch"}),
    ],
)
def test_a_half_built_network_has_its_shapes_as_far_as_they_go(
    layers: list[Any], known: list[Any], codes: set[str]
) -> None:
    found = inspect(body(*layers))
    assert not found["valid"] and found["problems"]
    assert shapes(found) == known
    assert codes <= {each["code"] for each in found["problems"]}
    consistent(found)


def test_either_half_of_a_body_is_told_without_the_other() -> None:
    wrong = inspect(body(*REFERENCE, epochs=0))
    assert not wrong["valid"] and wrong["totals"]["params"] == 421_642
    assert wrong["memory"] is wrong["kernels"] is wrong["totals"]["flops_train_step"] is None
    away = inspect(body(*REFERENCE, device="tpu:9"))
    assert [each["pointer"] for each in away["problems"]] == ["/hyperparams/device"]
    assert away["device"] is away["memory"] is None and list(away["predicted"]) == ["cpu:0"]
    nothing = inspect({"hyperparams": {"dataset_type": "digits"}})
    assert [each["pointer"] for each in nothing["problems"]] == ["/architecture"] and nothing["layers"] == []
    alone = inspect({"architecture": body(*REFERENCE)["architecture"]})
    assert alone["valid"] and alone["dataset"] == "mnist"


def test_a_network_that_needs_too_much_is_told_with_what_it_needs() -> None:
    found = inspect(body(*REFERENCE), available=10**6)
    assert [each["code"] for each in found["problems"]] == ["too_costly"]
    assert found["memory"] and found["memory"]["total"] > 10**6


def test_what_is_doubted_is_told_with_place_reason_and_cure() -> None:
    found = inspect(body(*REFERENCE[:-1], {"type": "softmax"}, {"type": "softmax"}))
    assert found["valid"]
    assert [each["rule"] for each in found["warnings"]] == ["softmax_twice"]
    assert found["warnings"][0]["pointer"] == "/architecture/layers/11"


def test_an_answer_takes_less_than_a_tenth_of_a_second_and_for_the_largest_few() -> None:
    inspect(body(*REFERENCE))
    times = []
    for _ in range(5):
        began = time.process_time()
        inspect(body(*REFERENCE))
        times.append(time.process_time() - began)
    assert min(times) < 0.1
    blocks = {"type": "repeat", "times": 1000, "layers": [{"type": "linear", "out": 8}, RELU]}
    began = time.process_time()
    found = inspect(body(blocks, *OUT))
    assert len(found["layers"]) == 2002 and time.process_time() - began < 5
