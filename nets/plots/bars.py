"""Bars that lie, with intervals: a row for each value, under headings, with the number at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any

from matplotlib.axes import Axes

from nets.plots.charts import logarithmic
from nets.plots.frame import BELOW, NORMAL, RIGHT, SMALL, Box, Frame, even_ticks, width_of
from nets.plots.style import PALETTES, Theme, look
from nets.plots.svg import svg
from nets.plots.words import number, shortened

STEP = 22  # pixels of a row
BAR = 12
LOG_FROM = 50.0  # how many times the shortest the longest is, for a logarithmic axis


@dataclass(frozen=True)
class Bar:
    """A value with its interval. `series`: whose colour it has. label: in front. note: behind its number."""

    label: str
    value: float
    series: int
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Bars under a heading."""

    heading: str
    bars: Sequence[Bar]


def bars(groups: Sequence[Group], *, about: str, unit: str, width: int, theme: Theme, prefix: str, inline: bool) -> str:
    """As SVG. unit: of all values, with what they are; they share one axis, from 0."""
    palette = PALETTES[theme]
    rows = sum(len(group.bars) + 1 for group in groups)
    height = rows * STEP + BELOW + 14
    frame = Frame(width, height, palette)
    every = [bar for group in groups for bar in group.bars]
    left = min(max(width_of(bar.label) for bar in every) + 14, 0.5 * width)
    right = min(max(width_of(ended(bar)) for bar in every) + RIGHT, 0.3 * width)
    box = Box(left, 8, width - left - right, rows * STEP)
    most, least = max(bar.high or bar.value for bar in every), min(bar.low or bar.value for bar in every)
    log = least > 0 and most / least > LOG_FROM
    axes = frame.plain(box, f"{about} ({unit}{', log scale' if log else ''})")
    first = 10 ** floor(log10(least / 2)) if log else 0.0
    if log:
        axes.set_xscale("log")
    axes.set(xlim=(first, most * (1.3 if log else 1.02) or 1.0), ylim=(rows, 0), yticks=[])
    axes.grid(True, axis="x", color=palette.grid, linewidth=1.0, linestyle="-", alpha=1.0)
    if log:
        logarithmic(axes.xaxis, box.width / 58, (), (first, most * 1.3))
    else:
        even_ticks(axes, box.width)
    write(frame, axes, groups, left, right)
    return svg(frame.figure, title=about, about=f"Bars, in {unit}.", theme=theme, prefix=prefix, inline=inline)


def write(frame: Frame, axes: Axes, groups: Sequence[Group], left: float, right: float) -> None:
    """The rows: headings, labels, bars with their intervals, numbers."""
    palette, width, first = frame.palette, frame.width, axes.get_xlim()[0]
    row = 0
    for group in groups:
        frame.say(shortened(group.heading, int(width / 8)), 6, 8 + row * STEP + 16, size=NORMAL, bold=True)
        row += 1
        for bar in group.bars:
            middle = row + 0.5
            axes.barh(
                [middle],
                [bar.value - first],
                left=first,
                height=BAR / STEP,
                color=look(bar.series, palette).colour,
                linewidth=0,
            )
            if bar.low is not None and bar.high is not None:
                ends_of = [bar.low, bar.low, bar.low, bar.high, bar.high, bar.high]
                axes.plot(ends_of, [middle + each for each in (-0.2, 0.2, 0, 0, -0.2, 0.2)], **whisker(palette.ink))
            base = 8 + row * STEP + 15
            frame.say(within(bar.label, left - 14), left - 8, base, size=SMALL, side="right")
            frame.say(ended(bar), width - right + 6, base, size=SMALL, colour=palette.quiet)
            row += 1


def ended(bar: Bar) -> str:
    """What stands at the end of a bar."""
    return f"{number(bar.value)}{bar.note}"


def within(text: str, width: float) -> str:
    """A text in this many pixels."""
    most = len(text)
    while most > 8 and width_of(shortened(text, most)) > width:
        most -= 1
    return shortened(text, most)


def whisker(colour: str) -> dict[str, Any]:
    """The line of an interval."""
    return {"color": colour, "linewidth": 1.2, "linestyle": "-", "marker": "None", "zorder": 4}
