"""The table of a benchmark's cells: what fits, which unit, and a word where there is no figure."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, cast

import pytest

from backend.commands.cells import aligned, line, shares, short, show
from backend.commands.telling import Screen
from nets.benchmarks.results import Results
from tests.nets.benchmark_results import example


def shown(results: Results, width: int) -> str:
    console = Screen(file=io.StringIO(), width=width, emoji=False, markup=False, force_terminal=True, color_system=None)
    show(console, cast(Mapping[str, Any], results))
    return cast(io.StringIO, console.file).getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_has_as_many_columns_as_fit_and_says_what_they_are(width: int) -> None:
    text = shown(example(platforms=("cpu", "gpu")), width)
    lines = text.splitlines()
    assert all(len(each) <= width for each in lines)
    for head in ("samples/s", "95 %", *(["of peak", "answer ms", "MB"] if width == 120 else [])):
        assert head in lines[0] and f"{head}:" in text.replace("\n", " ")
    assert ("MB:" in text) == (width == 120)


def test_names_of_machines_give_way_to_figures() -> None:
    results = example(platforms=("cpu", "gpu"))
    results["cells"][0]["machine"] = "a machine whose name says all that anybody knows of it"
    lines = shown(results, 110).splitlines()
    assert "machine" in lines[0] and "step ms" in lines[0] and any("…" in each for each in lines)
    assert all(len(each) <= 110 for each in lines)


def test_failures_and_targets_have_words() -> None:
    results = example()
    first, second, *_ = results["cells"]
    first["samples_per_second"], first["error"], first["target"] = None, "its process was killed", None
    second["target"] = {"accuracy": 0.97, "seconds": None, "epoch": None, "best": 0.91}
    results["warnings"] = ["its process was killed"]
    text = shown(results, 120)
    assert "failed" in text and "missed" in text and "target s" in text and "warning: its process was killed" in text
    assert line(cast(Mapping[str, Any], first)).endswith("its process was killed")
    assert line(cast(Mapping[str, Any], second)).endswith("0.97 was missed, the best was 0.91")
    second["target"] = {"accuracy": 0.97, "seconds": 1.234, "epoch": 3, "best": 0.98}
    assert line(cast(Mapping[str, Any], second)).endswith("0.97 in 1.23 s, epoch 3")
    second["target"] = None
    assert "samples/s" in line(cast(Mapping[str, Any], second))


def test_figures_of_a_column_have_equally_many_decimals() -> None:
    assert aligned([1.5534, 0.9221, None, 9.018]) == ["1.55", "0.92", "", "9.02"]
    assert aligned([6943.2, 39180.7]) == ["6,943", "39,181"]
    assert aligned([]) == [] and aligned([0.0]) == ["0"]
    assert shares([0.572, 0.0123, None]) == ["57.2 %", "1.2 %", ""]
    assert [short(value) for value in (1.74e11, 9.895e14, 12.0)] == ["174 G", "990 T", "12"]
