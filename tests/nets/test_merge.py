"""Results of several machines in one: what belongs together is put together, what differs is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nets.benchmarks.merge import Part, Unmergeable, merge, read
from nets.benchmarks.report import report
from nets.benchmarks.results import RESULTS
from tests.nets.benchmark_results import example

FEW = {"batches": (16, 64), "repeats": 2}


def part(machine: str = "one", **how: Any) -> Part:
    return Part(f"{machine}.json", example(machine, **{**FEW, **how}))


def changed(machine: str, **fields: Any) -> Part:
    found = json.loads(RESULTS.dump_json(part(machine).results))
    for path, value in fields.items():
        *places, last = path.split("__")
        inside = found
        for place in places:
            inside = inside[int(place) if place.isdigit() else place]
        inside[last] = value
    return Part(f"{machine}.json", found)


def refused(*parts: Part) -> str:
    with pytest.raises(Unmergeable) as problem:
        merge(parts)
    return str(problem.value)


def test_results_of_three_machines_are_one() -> None:
    parts = [part("one"), part("two", platforms=("gpu",)), part("three", platforms=("cpu", "gpu"))]
    whole = merge(parts)
    assert read("m", RESULTS.dump_json(whole)).results == whole, "valid itself, and can be merged further"
    assert [machine["name"] for machine in whole["machines"]] == ["one", "two", "three"]
    assert len(whole["cells"]) == sum(len(each.results["cells"]) for each in parts)
    assert whole["merged_from"] == ["b_one", "b_two", "b_three"] and whole["id"] == merge(parts)["id"]
    across = [
        each
        for each in whole["parity"]
        if each["compared"].startswith("two") and each["reference"] == "one, cpu:0, float32"
    ]
    assert len(across) == 8 and all(each["within"] and each["steps"] == 3 for each in across)
    assert merge([Part("m", whole), part("four")])["merged_from"] == ["b_one", "b_two", "b_three", "b_four"]


def test_warnings_of_several_machines_say_whose_they_are() -> None:
    quiet, loud = changed("one", warnings=["repeats differ"]), changed("two", warnings=["load was 3"])
    loud.results["machines"][0]["quiet"]["warnings"] = ["load was 3"]  # told with the machine in any case
    whole = merge([quiet, loud])
    assert whole["warnings"] == ["one: repeats differ", "load was 3"]
    assert merge([quiet])["warnings"] == ["repeats differ"]


def test_machines_of_one_name_are_numbered_and_the_same_results_are_taken_once() -> None:
    edited = changed("one", devices__0__kind="Another CPU")
    whole = merge([part("one"), edited, Part("again.json", part("one").results)])
    assert [machine["name"] for machine in whole["machines"]] == ["one", "one (2)"]
    assert {cell["machine"] for cell in whole["cells"]} == {"one", "one (2)"}
    assert any(each["reference"].startswith("one (2), cpu:0") for each in whole["parity"])
    assert "again.json has the same results as one.json" in " ".join(whole["warnings"])
    assert "is one (2) here" in " ".join(whole["warnings"])
    assert "Another CPU" in report(whole)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"protocol__repeats": 3}, "protocol.repeats: 2 in one.json, 3 in two.json; measure both"),
        ({"protocol__tolerances": {"float32": 1.0, "bfloat16": 0.05}}, "protocol.tolerances.float32: 0.001 in one.json, 1.0"),
        ({"bodies__0__sha256": "ab", "bodies__0__body__hyperparams__seed": 7}, "bodies.mlp: hyperparams.seed is 42 in one.json, 7 in two.json"),
        ({"bodies__1__dataset": "synthetic"}, "bodies.cnn.dataset: digits in one.json, synthetic in two.json"),
        ({"bodies__1__name": "other"}, "one.json has 'cnn', two.json has not"),
    ],
)  # fmt: skip
def test_what_differs_in_body_or_protocol_is_refused_by_name(fields: dict[str, Any], words: str) -> None:
    assert words in refused(part("one"), changed("two", **fields))


def test_what_differs_in_precision_is_refused_and_all_is_named_at_once() -> None:
    other = part("two", precisions=("float32",), repeats=3, networks=("mlp",))
    said = refused(part("one"), other)
    assert '["bfloat16", "float32"] in one.json and ["float32"] in two.json' in said
    assert "protocol.repeats" in said and "'cnn'" in said


def test_other_batch_sizes_are_told() -> None:
    whole = merge([part("one"), part("two", batches=(16,))])
    assert (
        "batch sizes are not the same: [16, 64] in one.json; [16] in two.json; compare equal ones" in whole["warnings"]
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a.json is no results.json of lamina bench: it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[1]", "it has no `schema` such as lamina-bench/1"),
        ('{"schema": 3}', "it has no `schema`"),
        ('{"schema": "lamina-bench/2"}', "schema must be lamina-bench/1 here, got lamina-bench/2; merge it with the Lamina"),
        ('{"schema": "lamina-bench/1"}', "a.json: id: Field required"),
        ('{"schema": "lamina-bench/1", "seconds": NaN}', "NaN is no number of JSON"),
    ],
)  # fmt: skip
def test_what_is_no_result_is_refused(text: str, words: str) -> None:
    with pytest.raises(Unmergeable) as problem:
        read("a.json", text)
    assert words in str(problem.value)


def test_cells_that_name_what_is_not_there_are_refused() -> None:
    for field, words in (("machine", "no machine 'none'"), ("device", "no device 'none'"), ("body", "no body 'none'")):
        broken = changed("one", **{f"cells__0__{field}": "none"}).results
        with pytest.raises(Unmergeable, match=words):
            read("a.json", RESULTS.dump_json(broken, warnings=False))
