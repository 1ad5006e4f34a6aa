"""Metrics of runs by epoch or by second: one run by itself, or several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from matplotlib.axes import Axes

from nets.plots.course import Along, Course
from nets.plots.frame import (
    ABOVE,
    BELOW,
    LARGE,
    LEFT,
    NORMAL,
    RIGHT,
    Box,
    Entry,
    Frame,
    count_ticks,
    even_ticks,
    legend_height,
    marker_of,
    upward_ticks,
)
from nets.plots.style import PALETTES, Look, Palette, Theme, look
from nets.plots.svg import svg
from nets.plots.words import shortened, told_apart, unit_of


@dataclass(frozen=True)
class Measure:
    """A metric: its name for people, its unit, and the factor to it."""

    name: str
    unit: str
    factor: float = 1.0


MEASURES: Mapping[str, Measure] = {
    "train_loss": Measure("training loss", "nats"),
    "val_loss": Measure("validation loss", "nats"),
    "train_accuracy": Measure("training accuracy", "%", 100),
    "val_accuracy": Measure("validation accuracy", "%", 100),
    "learning_rate": Measure("learning rate", "per step"),
    "epoch_time": Measure("time of an epoch", "s"),
    "samples_per_sec": Measure("speed", "samples/s"),
}
FEW_POINTS = 12  # up to which each has a marker
MARKS = 6  # on a longer line
MANY = 8  # lines, beyond which they are thinner
WIDE_PANEL = 330  # pixels from which on panels stand side by side
PANEL = 280  # pixels of height, where none is asked for
MARGIN = 12
LOG_FROM = 30.0  # how many times the lowest value the highest is, for a logarithmic axis


def measure_of(metric: str) -> Measure:
    """What a metric is called in pictures; of one that a run was asked for, such as `val_f1`, by its name."""
    return MEASURES.get(metric) or Measure(f"validation {metric.removeprefix('val_').replace('_', ' ')}", "number")


@dataclass(frozen=True)
class Line:
    """One line of a panel."""

    x: list[float]
    y: list[float]
    look: Look
    best: tuple[float, float] | None


@dataclass(frozen=True)
class Panel:
    """Lines that share their axes."""

    measure: Measure
    lines: list[Line]


@dataclass(frozen=True)
class Picture:
    """All that is drawn. told: behind the title; `x`: what goes right; empty: in the place of lines that are none."""

    title: str
    told: str
    about: str
    panels: list[Panel]
    entries: list[Entry]
    x: str
    counted: bool
    empty: str


def run_curves(
    course: Course, *, x: Along = "epoch", theme: Theme = "auto", width: int = 880, height: int | None = None
) -> str:
    """Loss and accuracy of one run, in training and validation, as an SVG of `width` x `height` pixels.

    Also its learning rate, where that changes.

    `height`: at least; what the legend takes is added where it is too little.
    """
    palette = PALETTES[theme]
    size, unit = scale_of([course], x)
    panels = []
    for ending, name, symbol in (("loss", "loss", "nats"), ("accuracy", "accuracy", "%")):
        lines = [
            line_of(course, f"{part}_{ending}", look(number, palette), x, size, best=part == "val")
            for number, part in enumerate(("train", "val"))
        ]
        panels.append(Panel(Measure(name, symbol), lines))
    if len(set(course.metrics["learning_rate"])) > 1:
        rate = line_of(course, "learning_rate", look(2, palette), x, size, best=False)
        panels.append(Panel(MEASURES["learning_rate"], [rate]))
    more = ", and its learning rate" if len(panels) > 2 else ""
    entries = [Entry("training", look(0, palette)), Entry("validation", look(1, palette))]
    if course.best is not None:
        ring = Look(palette.ink, "o", "-")
        entries.append(Entry(f"best epoch: {course.epochs[course.best]:,}", ring, line=False, point=True))
    picture = Picture(
        title=course.name,
        told=f" · {course.told}" if course.told else "",
        about=f"Loss and accuracy of {course.run_id} by {x}, in training and in validation{more}.",
        panels=panels,
        entries=entries,
        x=label_of(x, unit),
        counted=x == "epoch",
        empty="No epoch has ended yet" if not course.epochs else "",
    )
    return drawn(picture, palette, theme, width, height)


def compared_curves(
    courses: Sequence[Course],
    metrics: Sequence[str],
    *,
    x: Along = "epoch",
    theme: Theme = "auto",
    width: int = 880,
    height: int | None = None,
) -> str:
    """Metrics of runs side by side: a panel for each metric, a line for each run."""
    palette = PALETTES[theme]
    size, unit = scale_of(courses, x)
    looks = [look(number, palette) for number in range(len(courses))]
    panels = [
        Panel(
            measure_of(metric),
            [
                line_of(course, metric, one, x, size, best=metric == "val_loss")
                for course, one in zip(courses, looks, strict=True)
            ],
        )
        for metric in metrics
    ]
    names = told_apart([course.name for course in courses], [course.run_id for course in courses], 30)
    entries = [
        Entry(name if course.epochs else f"{name} (no epoch yet)", one)
        for name, course, one in zip(names, courses, looks, strict=True)
    ]
    if "val_loss" in metrics and any(course.best is not None for course in courses):
        ring = Look(palette.ink, "o", "-")
        entries.append(Entry("ring: best epoch of a run", ring, line=False, point=True))
    what = ", ".join(measure_of(metric).name for metric in metrics)
    picture = Picture(
        title=f"{len(courses)} runs side by side",
        told="",
        about=f"By {x}: {what}.",
        panels=panels,
        entries=entries,
        x=label_of(x, unit),
        counted=x == "epoch",
        empty="No epoch of these runs has ended yet" if not any(course.epochs for course in courses) else "",
    )
    return drawn(picture, palette, theme, width, height)


def scale_of(courses: Sequence[Course], x: Along) -> tuple[float, str]:
    """The unit of what goes right."""
    if x == "epoch":
        return 1, ""
    return unit_of(max((course.seconds[-1] for course in courses if course.seconds), default=0.0))


def label_of(x: Along, unit: str) -> str:
    """What goes right, with its unit."""
    return "epoch (number)" if x == "epoch" else f"time of training, without compilation ({unit})"


def line_of(course: Course, metric: str, one: Look, x: Along, size: float, *, best: bool) -> Line:
    """A metric of a run; gaps where it is no finite number."""
    factor, known = measure_of(metric).factor, course.metrics.get(metric) or [None] * len(course.epochs)
    along = [float(each) for each in course.epochs] if x == "epoch" else [each / size for each in course.seconds]
    values = [factor * value if value is not None and isfinite(value) else float("nan") for value in known]
    place = course.best if best else None
    ring = (along[place], values[place]) if place is not None and isfinite(values[place]) else None
    return Line(along, values, one, ring)


def drawn(picture: Picture, palette: Palette, theme: Theme, width: int, height: int | None) -> str:
    """As SVG."""
    inner = width - 2 * MARGIN
    across = max(1, min(len(picture.panels), inner // WIDE_PANEL, 3))
    down = -(-len(picture.panels) // across)
    entries = picture.entries
    room = legend_height(entries, inner - 8) + 10
    head = 30
    least = ABOVE + BELOW + 60
    tall = max(least, ((height or 0) - head - room - 8) / down) if height else PANEL
    whole = round(head + down * tall + room + 8)
    frame = Frame(width, whole, palette)
    title = shortened(picture.title, max(8, int(inner / 8.6) - len(picture.told))) + picture.told
    frame.say(title, MARGIN + 4, 22, size=LARGE, bold=True)
    wide = inner / across
    for place, panel in enumerate(picture.panels):
        box = Box(MARGIN + place % across * wide, head + place // across * tall, wide, tall)
        draw_panel(frame, box, panel, picture)
    frame.legend(entries, Box(MARGIN + 8, whole - room, inner - 8, room))
    return svg(frame.figure, title=picture.title, about=picture.about, theme=theme)


def draw_panel(frame: Frame, box: Box, panel: Panel, picture: Picture) -> None:
    """One panel with its lines, or with the sentence that there are none."""
    log = is_log(panel)
    unit = f"{panel.measure.unit}, log scale" if log else panel.measure.unit
    axes = frame.panel(box, f"{panel.measure.name} ({unit})", picture.x)
    finite = [line for line in panel.lines if any(map(isfinite, line.y))]
    if not finite:
        axes.set(xticks=[], yticks=[])
        middle = box.left + LEFT + (box.width - LEFT - RIGHT) / 2
        text = picture.empty or "No value is a finite number"
        frame.say(text, middle, box.top + box.height / 2, size=NORMAL, colour=frame.palette.quiet, side="center")
        return
    thin = 1.8 if len(finite) <= MANY else 1.3
    for place, line in enumerate(finite):
        points = len(line.x)
        every = 1 if points <= FEW_POINTS and len(finite) <= MANY else max(1, points // MARKS)
        axes.plot(
            line.x,
            line.y,
            linestyle=line.look.dash,
            linewidth=thin,
            markevery=(place * every // len(finite) % every, every),
            solid_capstyle="butt",
            dash_capstyle="butt",
            **marker_of(line.look, size=5.0),
        )
    for line in finite:
        if line.best:
            axes.plot(*([each] for each in line.best), **ring_of(frame.palette, many=len(finite) > MANY))
    fit(axes, finite, picture.counted)
    (count_ticks if picture.counted else even_ticks)(axes, box.width - LEFT - RIGHT)
    upward_ticks(axes, box.height - ABOVE - BELOW, log=log)


def ring_of(palette: Palette, *, many: bool) -> dict[str, Any]:
    """Around the best point of a line."""
    ring = marker_of(Look(palette.ink, "o", "-"), hollow=True, size=7.0 if many else 10.0)
    return {**ring, "markeredgewidth": 1.1 if many else 1.6, "linestyle": "None", "zorder": 5, "clip_on": False}


def is_log(panel: Panel) -> bool:
    """Whether values are so far apart that a logarithmic axis shows more: never shares of a hundred."""
    values = [value for line in panel.lines for value in line.y if isfinite(value)]
    if panel.measure.unit == "%" or not values or min(values) <= 0:
        return False
    return max(values) / min(values) >= LOG_FROM


def fit(axes: Axes, lines: Sequence[Line], counted: bool) -> None:
    """Limits that hold all lines, with room for their points; never beyond what there can be."""
    along = [value for line in lines for value in line.x]
    first, last = (min(along), max(along)) if counted else (0.0, max(along))
    room = (last - first) * 0.03 or 1.0
    axes.set_xlim(first - room, last + room)
