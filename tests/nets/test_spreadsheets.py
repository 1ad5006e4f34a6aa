"""Texts that a spreadsheet would calculate stay texts."""

from __future__ import annotations

import csv
import io

import pytest

from nets.benchmarks.tables import to_csv
from nets.spec.spreadsheets import harmless
from tests.nets.benchmark_results import example


@pytest.mark.parametrize("text", ["=1+1", "+1", " -1", "@sum", "\uff1d1"])
def test_a_formula_gets_a_mark(text: str) -> None:
    assert harmless(text) == f"'{text}"


def test_names_of_results_are_no_formulas_and_numbers_stay_numbers() -> None:
    results = example(batches=(64,), networks=("mlp",))
    results["cells"][0]["body"] = results["bodies"][0]["name"] = '=cmd|"/c calc"!A1'
    for cell in results["cells"]:
        cell["body"] = results["bodies"][0]["name"]
    row, *_ = csv.DictReader(io.StringIO(to_csv(results)))
    assert row["body"].startswith("'=") and float(row["samples_per_second.median"]) > 0
    assert harmless("mlp") == "mlp"
