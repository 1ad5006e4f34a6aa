"""Grey images in a terminal: two pixels per character, as half blocks."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

Grid = Sequence[Sequence[int]]  # rows of 0..255

INK = 96  # from here on a pixel counts as ink where there are no colours
BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
SHADES = " .:-=+*#%@"


def crop(grid: Grid, size: int) -> list[list[int]]:
    """The `size` x `size` window around the middle of the ink; smaller images stay as they are."""
    rows = _window([any(pixel >= INK for pixel in row) for row in grid], size)
    columns = _window([any(row[x] >= INK for row in grid) for x in range(len(grid[0]))], size)
    return [list(row[columns]) for row in grid[rows]]


def _window(inked: list[bool], size: int) -> slice:
    marks = [place for place, ink in enumerate(inked) if ink] or [len(inked) // 2]
    start = (marks[0] + marks[-1] + 1 - size) // 2
    start = max(0, min(start, len(inked) - size))
    return slice(start, start + size)


def draw(grid: Grid, *, colours: bool, blocks: bool = True) -> list[Text]:
    """Lines of half as many characters as `grid` has rows. Without `blocks` (no Unicode) in shades of ASCII."""
    rows = [list(row) for row in grid]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return [_line(upper, lower, colours=colours, blocks=blocks) for upper, lower in pairs]


def _line(upper: list[int], lower: list[int], *, colours: bool, blocks: bool) -> Text:
    line = Text(no_wrap=True, end="")
    for top, bottom in zip(upper, lower, strict=True):
        if not blocks:
            line.append(SHADES[(top + bottom) // 2 * len(SHADES) // 256])
        elif colours:
            line.append("▀", style=f"rgb({top},{top},{top}) on rgb({bottom},{bottom},{bottom})")
        else:
            line.append(BLOCKS[top >= INK, bottom >= INK])
    return line
