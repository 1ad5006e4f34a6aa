"""How pictures look: light and dark, and how many series are told apart, with and without colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Theme = Literal["auto", "light", "dark"]  # auto: as the viewer prefers


@dataclass(frozen=True)
class Palette:
    """The colours of a picture, as `#rrggbb`. No two are equal, so that one palette can be replaced by another."""

    paper: str
    ink: str  # what is read first, and the ninth and further hues of what is drawn
    quiet: str  # labels of axes and ticks
    grid: str
    series: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return (self.paper, self.ink, self.quiet, self.grid, *self.series)


# Hues of Okabe and Ito, 2008, which colour-blind readers tell apart; each three times as light or dark as its paper
# (WCAG 2.2, 1.4.11), for which the light ones are darkened on white.
LIGHT = Palette(
    paper="#ffffff",
    ink="#1c1e21",
    quiet="#565c64",
    grid="#e3e6ea",
    series=("#0072b2", "#d55e00", "#00916a", "#b4629a", "#a87900", "#3a93cb", "#6e6a00", "#50565e"),
)
DARK = Palette(
    paper="#15171b",
    ink="#eceef1",
    quiet="#a9b0b9",
    grid="#30343b",
    series=("#4ba3e3", "#f0803c", "#2fc79a", "#df9bc8", "#e6a91e", "#8ad0f7", "#d8d24a", "#b9c0c9"),
)
PALETTES = {"light": LIGHT, "dark": DARK, "auto": LIGHT}

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
Dash = tuple[float, tuple[float, ...]] | Literal["-"]
DASHES: tuple[Dash, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (7, 2, 1.5, 2)),
    (0, (3, 1.2, 1, 1.2, 1, 1.2)),
    (0, (10, 3)),
    (0, (1, 3)),
)
MOST_SERIES = len(MARKERS) * len(DASHES)


@dataclass(frozen=True)
class Look:
    """How one series is drawn: no two of `MOST_SERIES` have the same marker and dashes."""

    colour: str
    marker: str
    dash: Dash


def look(number: int, palette: Palette) -> Look:
    """The look of the series with this number, from 0."""
    marker, dash = number % len(MARKERS), number // len(MARKERS) % len(DASHES)
    return Look(palette.series[number % len(palette.series)], MARKERS[marker], DASHES[dash])


def switched(before: Palette = LIGHT, after: Palette = DARK) -> str:
    """CSS that replaces one palette by another wherever the screen is preferred dark; paper stays as it is printed."""
    rules = "".join(
        f'[style*="{use}: {old}"]{{{use}:{new}!important}}'
        for old, new in zip(before.all, after.all, strict=True)
        for use in ("fill", "stroke")
    )
    return f"@media screen and (prefers-color-scheme:dark){{{rules}}}"
