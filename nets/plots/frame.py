"""A picture as boxes in pixels: panels with axes, a legend below them, sentences above. No two texts overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextToPath
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from nets.plots.style import Look, Palette
from nets.plots.svg import MEASURED, Words
from nets.plots.words import number, stand_in

SMALL, NORMAL, LARGE = 11.0, 12.0, 14.0  # pixels
LEFT, RIGHT, ABOVE, BELOW = 58, 14, 30, 44  # of a panel: its numbers, its heading, its numbers and what they are
ROW = 19  # of a legend
KEY = 38  # of a row, before its text
GAP = 18  # between columns


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, from the top left."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Entry:
    """A row of a legend. `line`: its series is one; `point`: its marker is hollow; `bar`: it is bars.

    guide: a line that is no series, without markers.
    """

    text: str
    look: Look
    line: bool = True
    point: bool = False
    bar: bool = False
    guide: bool = False


class Frame:
    """A figure of a size in pixels, and what is written on it."""

    def __init__(self, width: int, height: int, palette: Palette) -> None:
        self.width, self.height, self.palette = width, height, palette
        self.figure = Figure(
            figsize=(width / 72, height / 72), dpi=72, facecolor=palette.paper, edgecolor=palette.paper
        )

    def say(
        self,
        text: str,
        x: float,
        y: float,
        *,
        size: float = NORMAL,
        colour: str | None = None,
        side: Literal["left", "center", "right"] = "left",
        bold: bool = False,
    ) -> None:
        """Writes a text with its base line at a place."""
        said = Words(
            x / self.width,
            1 - y / self.height,
            "",
            color=colour or self.palette.ink,
            horizontalalignment=side,
            verticalalignment="baseline",
            fontproperties=FontProperties(family=MEASURED, size=size, weight="bold" if bold else "normal"),
            parse_math=False,
        )
        said.set_shown(text)
        self.figure.add_artist(said)

    def panel(self, box: Box, heading: str, below: str) -> Axes:
        """Axes in a box that has room for their numbers. heading: what goes up; below: what goes right; with units."""
        place = (
            (box.left + LEFT) / self.width,
            1 - (box.top + box.height - BELOW) / self.height,
            (box.width - LEFT - RIGHT) / self.width,
            (box.height - ABOVE - BELOW) / self.height,
        )
        axes = self.figure.add_axes(place, facecolor="none")
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set(color=self.palette.quiet, linewidth=1.0)
        axes.grid(True, axis="y", color=self.palette.grid, linewidth=1.0, linestyle="-", alpha=1.0)
        axes.set_axisbelow(True)
        axes.tick_params(
            "both", which="both", color=self.palette.quiet, labelcolor=self.palette.quiet, labelsize=SMALL, length=0
        )
        axes.tick_params("x", which="major", length=4, width=1.0, pad=4)
        axes.tick_params("y", which="major", pad=6)
        self.say(heading, box.left + 4, box.top + 16, size=NORMAL, bold=True)
        middle = box.left + LEFT + (box.width - LEFT - RIGHT) / 2
        self.say(below, middle, box.top + box.height - 8, size=SMALL, colour=self.palette.quiet, side="center")
        return axes

    def plain(self, box: Box, below: str) -> Axes:
        """Axes that fill a box, with numbers below it alone. below: what goes right."""
        place = (
            box.left / self.width,
            1 - (box.top + box.height) / self.height,
            box.width / self.width,
            box.height / self.height,
        )
        axes = self.figure.add_axes(place, facecolor="none")
        for side, spine in axes.spines.items():
            spine.set_visible(side == "left")
            spine.set(color=self.palette.quiet, linewidth=1.0)
        axes.set_axisbelow(True)
        axes.tick_params("both", labelcolor=self.palette.quiet, labelsize=SMALL, length=0, pad=4)
        middle = min(max(box.left + box.width / 2, width_of(below) / 2 + 4), self.width - width_of(below) / 2 - 4)
        self.say(below, middle, box.top + box.height + 36, size=SMALL, colour=self.palette.quiet, side="center")
        return axes

    def legend(self, entries: Sequence[Entry], box: Box) -> None:
        """Rows in columns, filled from the top."""
        across = columns_of(entries, box.width)
        rows = ceil(len(entries) / across)
        wide = min(box.width / across, widest(entries))
        for place, entry in enumerate(entries):
            left, top = box.left + place // rows * wide, box.top + place % rows * ROW
            self._key(entry, left, top + ROW / 2)
            self.say(entry.text, left + KEY, top + ROW / 2 + 4, size=SMALL)

    def _key(self, entry: Entry, left: float, middle: float) -> None:
        y = 1 - middle / self.height
        colour = entry.look.colour
        if entry.bar:
            low = 1 - (middle + 5) / self.height
            shape = Rectangle((left / self.width, low), 26 / self.width, 10 / self.height, facecolor=colour)
            shape.set(edgecolor="none", transform=self.figure.transSubfigure)
            self.figure.add_artist(shape)
            return
        if entry.line:
            ends = [left / self.width, (left + 30) / self.width]
            self.figure.add_artist(
                Line2D(ends, [y, y], color=colour, linestyle=entry.look.dash, linewidth=1.8, marker="None")
            )
        if entry.guide:
            return
        mark = Line2D(
            [(left + 15) / self.width],
            [y],
            linestyle="None",
            **marker_of(entry.look, hollow=entry.point, size=9.0 if entry.point else 6.0),
        )
        self.figure.add_artist(mark)


def marker_of(look: Look, *, hollow: bool = False, size: float = 6.0) -> dict[str, Any]:
    """What a line needs to draw its points."""
    scale = {"*": 1.5, "P": 1.15, "X": 1.15, "D": 0.85, "s": 0.9}.get(look.marker, 1.0)
    return {
        "marker": look.marker,
        "markersize": size * scale,
        "markerfacecolor": "none" if hollow else look.colour,
        "markeredgecolor": look.colour,
        "markeredgewidth": 1.6 if hollow else 0.0,
        "color": look.colour,
    }


def width_of(text: str, size: float = SMALL) -> float:
    """Pixels that a text takes, about."""
    prop = FontProperties(family=MEASURED, size=size)
    wide, _, _ = TextToPath().get_text_width_height_descent(stand_in(text), prop, ismath=False)
    return float(wide)


def columns_of(entries: Sequence[Entry], width: float) -> int:
    """How many columns of a legend fit."""
    return max(1, min(len(entries), int((width + GAP) // widest(entries))))


def widest(entries: Sequence[Entry]) -> float:
    """Pixels that a column of a legend takes, with the gap behind it."""
    return max((width_of(entry.text) for entry in entries), default=0) + KEY + GAP


def legend_height(entries: Sequence[Entry], width: float) -> float:
    """Pixels that a legend takes."""
    return ceil(len(entries) / columns_of(entries, width)) * ROW if entries else 0


def count_ticks(axes: Axes, width: float) -> None:
    """Whole numbers below, as many as fit."""
    axes.xaxis.set_major_locator(
        MaxNLocator(nbins=max(2, int(width // 70)), integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def even_ticks(axes: Axes, width: float) -> None:
    """Numbers below, as many as fit."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=max(2, int(width // 70)), steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def upward_ticks(axes: Axes, height: float, *, log: bool = False) -> None:
    """Numbers at the left, as many as fit."""
    axis = axes.yaxis
    if log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        subs = (1.0, 2.0, 5.0) if high / low < 1000 else (1.0,)
        axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=max(3, int(height // 24))))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(nbins=max(2, int(height // 36)), steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
