"""`lamina bench merge`: one report of several files, or the reasons why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from backend.cli.laboratory import bench
from backend.commands import exits
from nets.benchmarks.results import RESULTS
from tests.nets.benchmark_results import example


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    found = []
    for machine in ("one", "two"):
        path = tmp_path_factory.mktemp("bench") / f"{machine}.json"
        path.write_bytes(RESULTS.dump_json(example(machine, batches=(16,), repeats=2)))
        found.append(str(path))
    return found


def test_results_are_put_into_one_report(files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = CliRunner().invoke(bench, ["merge", *files, "--out", str(tmp_path / "out")], standalone_mode=False)
    assert done.return_value == exits.OK, done.output
    told = [line.split() for line in done.stdout.splitlines()]
    assert told[0][:3] == ["network", "machine", "device"] and "report.html" in done.stdout
    assert {tuple(words[:3]) for words in told if words[2:3] == ["cpu:0"]} == {
        (network, machine, "cpu:0") for network in ("mlp", "cnn") for machine in ("one", "two")
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "results.csv", "results.json"]
    assert json.loads((tmp_path / "out" / "results.json").read_text())["merged_from"] == ["b_one", "b_two"]


@pytest.mark.parametrize("flag", [[], ["--json"]])
def test_what_cannot_be_compared_is_refused_and_nothing_is_written(
    files: list[str], tmp_path: Path, flag: list[str]
) -> None:
    for file, words in (
        (str(tmp_path / "none.json"), "none.json cannot be read: No such file or directory"),
        (str(Path(__file__)), "is no results.json of lamina bench"),
    ):
        arguments = ["merge", files[0], file, "--out", str(tmp_path / "out"), *flag]
        done = CliRunner().invoke(bench, arguments, standalone_mode=False)
        assert done.return_value == exits.USAGE and words in done.stderr
    assert not (tmp_path / "out").exists()


def test_bench_takes_flags_behind_its_bodies() -> None:
    with bench.make_context("bench", ["a.json", "mlp", "--repeats", "3"]) as context:
        assert context.params["bodies"] == ("a.json", "mlp") and context.params["repeats"] == 3
