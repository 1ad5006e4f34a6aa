"""Lines and points on axes that are numbers: speed against batch size, rooflines, times against times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite, log10
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from nets.plots.curves import MARGIN, WIDE_PANEL
from nets.plots.frame import ABOVE, BELOW, LEFT, NORMAL, RIGHT, Box, Entry, Frame, legend_height, marker_of
from nets.plots.style import PALETTES, Look, Palette, Theme, look
from nets.plots.svg import svg
from nets.plots.words import number, shortened, told_apart

PANEL = 250  # pixels of height


@dataclass(frozen=True)
class Points:
    """Some points of one series. joined: by a line. low, high: intervals of `y`."""

    series: int
    x: Sequence[float]
    y: Sequence[float]
    joined: bool = True
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Guide:
    """A line that is no measurement, such as a peak, named in the legend. `dashed`: for the second of a kind."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """One panel. heading: with what goes up and its unit; below: what goes right. Both axes are logarithmic."""

    heading: str
    below: str
    points: Sequence[Points]
    guides: Sequence[Guide] = field(default_factory=list)
    ticks: Sequence[float] = ()


def charts(
    panels: Sequence[Chart],
    names: Sequence[str],
    *,
    title: str,
    width: int,
    theme: Theme,
    prefix: str,
    inline: bool,
) -> str:
    """Panels as one SVG. names: of the series that points name by their number."""
    palette = PALETTES[theme]
    used = sorted({points.series for panel in panels for points in panel.points})
    shown = told_apart(names, [str(place) for place in range(len(names))], 60 if width > 500 else 40)
    joined = any(points.joined for panel in panels for points in panel.points)
    entries = [Entry(shown[place], look(place, palette), line=joined) for place in used]
    guides = dict.fromkeys((guide.name, guide.dashed) for panel in panels for guide in panel.guides)
    entries += [Entry(name, guide_look(dashed, palette), guide=True) for name, dashed in guides]
    inner = width - 2 * MARGIN
    across = max(1, min(len(panels), inner // WIDE_PANEL, 2))
    down = -(-len(panels) // across)
    room = legend_height(entries, inner - 8) + 10
    whole = round(down * PANEL + room + 8)
    frame = Frame(width, whole, palette)
    wide = inner / across
    for place, panel in enumerate(panels):
        draw(frame, Box(MARGIN + place % across * wide, place // across * PANEL, wide, PANEL), panel)
    frame.legend(entries, Box(MARGIN + 8, whole - room, inner - 8, room))
    headings = ", ".join(panel.heading for panel in panels)
    return svg(frame.figure, title=title, about=headings, theme=theme, prefix=prefix, inline=inline)


def draw(frame: Frame, box: Box, panel: Chart) -> None:
    """One panel."""
    palette = frame.palette
    axes = frame.panel(box, shortened(panel.heading, int(box.width / 7.4)), panel.below)
    inner, tall = box.width - LEFT - RIGHT, box.height - ABOVE - BELOW
    if not any(points.x for points in panel.points):
        axes.set(xticks=[], yticks=[])
        x, y = box.left + LEFT + inner / 2, box.top + ABOVE + tall / 2
        frame.say("Nothing was measured", x, y, size=NORMAL, colour=palette.quiet, side="center")
        return
    axes.set_xscale("log")
    axes.set_yscale("log")
    for points in panel.points:
        draw_points(axes, points, palette)
    limits(axes, panel)
    logarithmic(axes.xaxis, inner / 58, panel.ticks, axes.get_xlim())
    logarithmic(axes.yaxis, tall / 30, (), axes.get_ylim())
    for guide in panel.guides:
        one = guide_look(guide.dashed, palette)
        style: Any = one.dash
        axes.plot(guide.x, guide.y, color=one.colour, linewidth=1.3, linestyle=style, marker="None", zorder=1.5)


def draw_points(axes: Axes, points: Points, palette: Palette) -> None:
    """The points of a series, with their intervals."""
    one = look(points.series, palette)
    style: Any = one.dash if points.joined else "None"
    axes.plot(points.x, points.y, linestyle=style, linewidth=1.6, zorder=3, **marker_of(one, size=6.0))
    for x, low, high in zip(points.x, points.low, points.high, strict=False):
        axes.plot([x, x], [low, high], color=one.colour, linewidth=1.2, linestyle="-", marker="None")


def guide_look(dashed: bool, palette: Palette) -> Look:
    """Of a line that is no measurement."""
    return Look(palette.quiet, "None", (0, (4, 3)) if dashed else "-")


def limits(axes: Axes, panel: Chart) -> None:
    """Around points and guides, with room for markers; at least a factor of four."""
    for values, guided, put in (
        ([each for points in panel.points for each in points.x], [g.x for g in panel.guides], axes.set_xlim),
        ([each for points in panel.points for each in points.y], [g.y for g in panel.guides], axes.set_ylim),
    ):
        every = [*values, *(each for line in guided for each in line)]
        found = [value for value in every if isfinite(value) and value > 0] or [1.0]
        low, high = min(found), max(found)
        room = max(0.08 * log10(high / low), 0.5 * (log10(4) - log10(high / low)), 0.03)
        put(low / 10**room, high * 10**room)


def logarithmic(axis: Any, most: float, ticks: Sequence[float], span: tuple[float, float]) -> None:
    """At most `most` numbers on a logarithmic axis: these, or round ones."""
    if ticks:
        every = -(-len(ticks) // max(1, int(most)))
        axis.set_major_locator(FixedLocator([*ticks][::every]))
    else:
        decades = log10(span[1] / span[0])
        subs = (1.0, 2.0, 5.0) if decades * 3 <= most else (1.0, 3.0) if decades * 2 <= most else (1.0,)
        axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=max(3, int(most) + 1)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    told: Callable[[float, Any], str] = lambda value, _: number(value)  # noqa: E731
    axis.set_major_formatter(FuncFormatter(told))
