"""The report of a benchmark: one file that loads nothing, with all there is to know, whatever was measured."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest

from nets.benchmarks.merge import Part, merge
from nets.benchmarks.pictures import NARROW, WIDE, Pictures
from nets.benchmarks.report import report
from nets.benchmarks.results import RESULTS, Results
from tests.nets.benchmark_results import example

FEW = {"batches": (16, 64), "repeats": 2}


class Page(HTMLParser):
    """What a page has: tags with their attributes, and whether all of them are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def merged() -> Results:
    found = example("one", **FEW)
    found["machines"][0]["quiet"]["warnings"] = ["load of 3.2 on 2 cores"]
    found["bodies"][0]["body"]["hyperparams"]["note"] = "<script>alert(1)</script>"
    other = example("two", platforms=("cpu", "gpu"), **FEW)
    other["bodies"][0]["body"] = found["bodies"][0]["body"]
    return merge([Part("a", found), Part("b", other)])


@pytest.fixture(scope="module")
def text(merged: Results) -> str:
    """Its report."""
    return report(merged)


def test_a_report_loads_and_runs_nothing(text: str) -> None:
    page = Page(text)
    assert "://" not in text and "@import" not in text
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
    assert all(attrs.get("href", "#").startswith("#") and "src" not in attrs for _, attrs in page.tags)
    assert re.findall(r"url\((?!#)", text) == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids)), "pictures share one page"
    used = set(re.findall(r'(?:url\(|href=")#([\w.]+)', text))
    assert used <= set(ids)


def test_a_report_tells_what_papers_cite(merged: Results, text: str) -> None:
    told = unescape(text)
    for words in (
        *("one was not quiet: load of 3.2 on 2 cores", "lamina bench mlp.json cnn.json --preset quick"),
        *(body["sha256"] for body in merged["bodies"]),
        *("one cpu:0: not known, because this machine has no energy counters", "J per 1,000 samples"),
        *("two, gpu:0 (FLOP/s)", "arithmetic intensity (FLOP/byte)", "measured peak, bfloat16"),
        *("mlp (samples/s)", "batch size (samples)", "compilation, cold (s)", "steady time of one epoch (s)"),
        *(
            "mlp (peak memory, MiB)",
            "speed of training at the fastest batch size (samples/s",
            "prefers-color-scheme:dark",
        ),
        *("two, gpu:0, bfloat16", "NVIDIA H200", "tolerance", "@media print", "lamina bench merge"),
    ):
        assert words in told, words
    shown = re.findall(r"<pre>(.*?)</pre>", text, flags=re.DOTALL)
    assert json.loads(unescape(shown[1])) == merged["bodies"][0]["body"]
    assert report(merged) == text


def test_what_was_not_measured_is_no_problem() -> None:
    found = example(**FEW)
    for name in ("samples_per_second", "step_seconds", "model_flops_per_second", "arithmetic_intensity", "target"):
        for cell in found["cells"]:
            cell[name] = None  # type: ignore[literal-required]
    for cell in found["cells"]:
        cell |= {"inference": None, "losses": None, "error": "it ran out of memory"}
    found["complete"] = False
    text = report(RESULTS.validate_python(found))
    assert text.count("Nothing was measured") == 4 and "ended early" in text and "it ran out of memory" in text
    Page(report({**found, "cells": [], "parity": [], "devices": [], "machines": [], "bodies": []}))


def test_peaks_and_bandwidth_need_not_be_known() -> None:
    found = example(**FEW)
    found["devices"][0] |= {"measured_peaks": {"float32": None, "bfloat16": 8e11}, "bandwidth": None}
    assert "measured peak, bfloat16" in report(found)
    found["devices"][0]["measured_peaks"] = {}
    assert "measured peak, bfloat16" not in report(found)


def test_one_batch_size_is_told_once_and_precisions_are_never_cut() -> None:
    whole = merge(
        [
            Part("a", example("AMD EPYC 9B14, 2 cores, of the laboratory on the third floor", batches=(64,))),
            Part("b", example("NVIDIA H200 NVL in the basement", platforms=("gpu",), batches=(64,))),
        ]
    )
    page = report(whole)
    assert "Against batch size" not in page and "peak memory (MiB)" in page and "at batch size 64" in page
    pictures = Pictures(whole)
    for width, longest in ((WIDE, 60), (NARROW, 27)):
        names = pictures.names(width)
        assert len(set(names)) == 4 and all(len(name) <= longest for name in names)
        assert all(name.endswith(each.precision) for name, each in zip(names, pictures.series, strict=True))
    assert "measured peak, bfloat16" in pictures.roofline()
