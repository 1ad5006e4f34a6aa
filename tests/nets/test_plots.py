"""Pictures: read back as XML, with every series told apart, whatever the runs are called and have reached."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.etree import ElementTree

import pytest

from nets.plots.course import Along, Course
from nets.plots.curves import MEASURES, compared_curves, run_curves
from nets.plots.style import DARK, LIGHT, MOST_SERIES, PALETTES, Palette, Theme, look
from nets.plots.words import columns, number, shortened, told_apart, unit_of

METRICS = tuple(MEASURES)


def course(run: int = 0, epochs: int = 5, **changed: Any) -> Course:
    losses = [2.0 * math.exp(-0.3 * epoch) + 0.01 * run for epoch in range(epochs)]
    values: dict[str, Any] = {name: losses for name in METRICS}
    values |= {name: [1 - loss / 3 for loss in losses] for name in ("train_accuracy", "val_accuracy")}
    values["learning_rate"] = [0.1] * epochs
    fields: dict[str, Any] = {
        "run_id": f"r_{run:08x}",
        "name": f"Two layers #{run}",
        "epochs": list(range(1, epochs + 1)),
        "seconds": [1.5 * epoch for epoch in range(1, epochs + 1)],
        "metrics": values,
        "best": epochs - 1 if epochs else None,
        "told": "succeeded",
    }
    return Course(**{**fields, **changed})


def texts(picture: str) -> list[str]:
    """What can be read in a picture, which is well-formed XML with a size."""
    root = ElementTree.fromstring(picture)
    assert root.tag.endswith("svg") and root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    return ["".join(each.itertext()) for each in root.iter() if each.tag.endswith("}text")]


@pytest.mark.parametrize("theme", PALETTES)
def test_a_run_has_its_losses_accuracies_and_best_epoch_with_units(theme: Theme) -> None:
    picture = run_curves(course(), theme=theme)
    read = texts(picture)
    assert {"Two layers #0 · succeeded", "loss (nats)", "accuracy (%)", "training", "validation"} <= set(read)
    assert read.count("epoch (number)") == 2 and "best epoch: 5" in read
    assert ("prefers-color-scheme:dark" in picture) == (theme == "auto")
    assert f"fill: {PALETTES[theme].paper}" in picture


def test_a_learning_rate_that_changes_is_drawn_too() -> None:
    metrics = {**course().metrics, "learning_rate": [0.1, 0.1, 0.05, 0.01, 0.001]}
    picture = run_curves(course(metrics=metrics))
    read = texts(picture)
    assert "learning rate (per step, log scale)" in read and read.count("epoch (number)") == 3
    assert "and its learning rate" in picture


@pytest.mark.parametrize(("x", "label"), [("epoch", "epoch (number)"), ("seconds", "time of training, without compilation (s)")])  # fmt: skip
def test_runs_side_by_side_have_a_panel_for_each_metric(x: Along, label: str) -> None:
    read = texts(compared_curves([course(0), course(1, 8)], METRICS, x=x))
    assert read.count(label) == len(METRICS)
    assert {f"{measure.name} ({measure.unit})" for measure in MEASURES.values()} <= set(read)
    assert {"Two layers #0", "Two layers #1", "ring: best epoch of a run"} <= set(read)


@pytest.mark.parametrize("count", [2, 5, 12, 40, 50])
@pytest.mark.parametrize("width", [300, 390, 880])
def test_every_run_is_named_once_and_nothing_leaves_the_picture(count: int, width: int) -> None:
    picture = compared_curves([course(run) for run in range(count)], ["val_loss"], width=width, height=200)
    assert all(texts(picture).count(f"Two layers #{run}") == 1 for run in range(count))
    root = ElementTree.fromstring(picture)
    for text in (each for each in root.iter() if each.tag.endswith("}text")):
        assert 0 < float(text.get("x", "")) < width and 0 < float(text.get("y", "")) < int(root.get("height", ""))


def test_what_there_is_not_yet_is_said() -> None:
    assert texts(run_curves(course(epochs=0))).count("No epoch has ended yet") == 2
    read = texts(compared_curves([course(0, 0), course(1, 0)], ["val_loss"]))
    assert "No epoch of these runs has ended yet" in read
    read = texts(compared_curves([course(0, 0), course(1, 3)], ["val_loss"]))
    assert "Two layers #0 (no epoch yet)" in read and "Two layers #1" in read


@pytest.mark.parametrize("wrong", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_a_gap(wrong: float | None) -> None:
    some = [1.0, wrong, 3.0, 0.5, wrong]
    assert "nan" not in run_curves(course(metrics=dict.fromkeys(METRICS, some)))
    assert "No value is a finite number" in run_curves(course(metrics=dict.fromkeys(METRICS, [wrong] * 5)))


@pytest.mark.parametrize("loss", [0.0, 1e-30, 1e30, 5.0])
def test_values_of_any_size_are_drawn(loss: float) -> None:
    texts(run_curves(course(metrics=dict.fromkeys(METRICS, [loss, 2 * loss, 0.0, loss, loss]))))
    texts(run_curves(course(epochs=1, metrics=dict.fromkeys(METRICS, [loss]))))


def test_values_far_apart_get_a_logarithmic_axis() -> None:
    losses = [10.0 ** (2 - epoch) for epoch in range(5)]
    assert "loss (nats, log scale)" in texts(run_curves(course(metrics=dict.fromkeys(METRICS, losses))))


@pytest.mark.parametrize(
    "name",
    ["$x^2$ \\frac", '<script>alert("1")</script>', 'style="fill: #1c1e21"', "{0}", "日本語 😀 שלום", "a\tb\u202ec\x00", "_", "&amp;", "x" * 3000],
)  # fmt: skip
def test_names_are_shown_as_they_are(name: str) -> None:
    """Never as markup, formulas or colours; long ones are cut."""
    shown = "".join("\N{REPLACEMENT CHARACTER}" if each in "\u202e\x00" else each for each in name.replace("\t", " "))
    picture = compared_curves([course(0, name=name), course(1)], ["val_loss"], theme="dark")
    assert shortened(shown, 30) in texts(picture) and "<script" not in picture
    assert any(text.startswith(shown[:20]) for text in texts(run_curves(course(name=name))))


def test_a_picture_is_the_same_each_time_in_many_threads() -> None:
    runs = [course(run) for run in range(3)]
    with ThreadPoolExecutor(4) as threads:
        drawn = list(threads.map(lambda _: compared_curves(runs, ["val_loss"], width=400), range(8)))
    assert len(set(drawn)) == 1


def test_no_setting_of_matplotlib_changes_a_picture_or_is_changed() -> None:
    import matplotlib

    before, usual = run_curves(course()), dict(matplotlib.rcParams)
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.grid": False, "text.usetex": False}):
        assert run_curves(course()) == before
    assert dict(matplotlib.rcParams) == usual


def test_drawing_loads_no_pyplot_and_what_names_a_picture_no_matplotlib() -> None:
    code = "import sys, nets.plots.course, nets.plots.style; assert 'matplotlib' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
    import nets.plots.curves

    assert "pyplot" not in vars(nets.plots.curves)


def test_names_keep_their_number_and_differ() -> None:
    assert shortened("Convolutions and two layers #12", 20) == "Convolutions an… #12"
    assert shortened("日本語日本語日本語", 9) == "日本語日…" and columns("日本語日…") == 9
    assert told_apart(["a", "a"], ["r_1", "r_2"], 30) == ["a (r_1)", "a (r_2)"]
    assert told_apart(["", "b"], ["r_1", "r_2"], 30) == ["r_1", "b"]


def test_numbers_fit_on_an_axis() -> None:
    assert [number(value) for value in (0, 0.5, 123.4, 1e5, 2.5e7, 1e-9, 1e20)] == [
        *("0", "0.5", "123.4", "100K", "25M", "1e-9", "1e+20"),
    ]
    assert unit_of(90) == (1, "s") and unit_of(600) == (60, "min") and unit_of(10**6) == (86400, "d")


def test_series_are_told_apart_without_colour() -> None:
    looks = [look(place, LIGHT) for place in range(MOST_SERIES)]
    assert MOST_SERIES >= 50 and len({(each.marker, each.dash) for each in looks}) == MOST_SERIES


# Machado, Oliveira and Fernandes, 2009, at full severity, for linear RGB.
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(colour: str) -> list[float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2."""
    high, low = sorted(
        (sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear(each), strict=True)) for each in (one, other)),
        reverse=True,
    )  # fmt: skip
    return (high + 0.05) / (low + 0.05)


def lab(rgb: list[float]) -> tuple[float, float, float]:
    """CIELAB of linear sRGB under D65."""
    rows = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    white = (0.9505, 1.0, 1.089)
    xyz = [sum(a * max(b, 0) for a, b in zip(row, rgb, strict=True)) / w for row, w in zip(rows, white, strict=True)]
    x, y, z = (each ** (1 / 3) if each > 0.008856 else 7.787 * each + 16 / 116 for each in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def as_seen(colour: str, kind: str | None) -> tuple[float, float, float]:
    rgb = linear(colour)
    seen = [sum(a * b for a, b in zip(row, rgb, strict=True)) for row in BLINDNESS[kind]] if kind else rgb
    return lab(seen)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_can_be_seen_on_their_paper_and_told_apart(palette: Palette) -> None:
    """Lines by 3 : 1, texts by 4.5 : 1 (WCAG); the first four series by any reader, all by most, and by their markers."""
    assert all(contrast(each, palette.paper) >= 3 for each in palette.series)
    assert contrast(palette.ink, palette.paper) >= 7 and contrast(palette.quiet, palette.paper) >= 4.5
    for kind in (None, *BLINDNESS):
        seen = [as_seen(each, kind) for each in palette.series]
        assert min(math.dist(*pair) for pair in itertools.combinations(seen[:4], 2)) > 10, kind
        assert kind is not None or min(math.dist(*pair) for pair in itertools.combinations(seen, 2)) > 12
