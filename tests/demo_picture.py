"""The picture of the demo in the README, from a real run: `python -m tests.demo_picture` writes `demo.svg`.

It trains on MNIST where that is at hand (`LAMINA_DATA_DIR`), else on digits.
"""

import os
from collections import defaultdict
from html import escape
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

from backend.config import settings_from
from backend.demo.local_server import LocalServer, free_port
from backend.demo.tour import tour

PICTURE = Path(__file__).parent.parent / "demo.svg"
COLUMNS = 86
WIDE, HIGH, MARGIN = 8, 18, 14  # pixels of a character, and around all of them
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
HALVES = "▀"  # a character of two pixels, as `backend.demo.drawing` has it
GREYS = 17  # steps of grey in one picture, apart


def lines_of_a_run():
    """What `lamina demo --once` prints in a terminal, but for the part to do by hand."""
    shown = {"width": COLUMNS, "color_system": "truecolor", "highlight": False, "soft_wrap": True}
    console = Console(record=True, file=StringIO(), force_terminal=False, **shown)  # no terminal: no progress bar
    with TemporaryDirectory() as folder:
        state = Path(folder, "checkpoints")
        here = os.getcwd()
        os.chdir(folder)  # so that paths are told as a newcomer sees them
        try:
            flags = {"state_dir": str(state), "port": str(free_port(first=8080))}
            settings = settings_from(flags, os.environ)
            with LocalServer(settings) as server:
                tour(console, server, settings)
        finally:
            os.chdir(here)
    lines = console.export_text(styles=True).splitlines()
    by_hand = next(number for number, line in enumerate(lines) if "by hand" in line)
    return [Text("$ lamina demo --once"), *map(Text.from_ansi, lines[:by_hand])]


def drawn(lines):
    """Lines of a terminal as SVG: text, and half blocks as rectangles, which fit each other in every font."""
    console, texts, pixels = Console(), [], defaultdict(list)
    for row, line in enumerate(lines):
        column = 0
        for part in line.render(console, end=""):
            place, column = column, column + len(part.text)
            style = part.style if isinstance(part.style, Style) else Style.null()
            if set(part.text) == {HALVES}:
                pixels[grey(style.color)].append((place, 2 * row, column - place))
                pixels[grey(style.bgcolor)].append((place, 2 * row + 1, column - place))
            elif part.text.strip():
                texts.append(text(place, row, part.text, style))
    return document(len(lines), texts, pixels)


def grey(color):
    step = GREYS - 2
    return step * round(color.triplet.red / step)


def text(column, row, words, style):
    """A run of characters of one style; blanks around it are left out, and its width is held in any font."""
    column += len(words) - len(words.lstrip())
    words = words.strip().replace(" ", "\N{NO-BREAK SPACE}")  # SVG makes one blank of several
    color = style.color.get_truecolor(MONOKAI).hex if style.color else MONOKAI.foreground_color.hex
    bold = ' font-weight="bold"' if style.bold else ""
    x, y = MARGIN + WIDE * column, MARGIN + HIGH * row + 13
    held = f'textLength="{WIDE * len(words)}" lengthAdjust="spacingAndGlyphs"'
    return f'<text x="{x}" y="{y}" fill="{color}"{bold} {held}>{escape(words)}</text>'


def document(rows, texts, pixels):
    width, height = 2 * MARGIN + WIDE * COLUMNS, 2 * MARGIN + HIGH * rows
    half = HIGH // 2
    paths = [
        f'<path fill="#{3 * f"{level:02x}"}" d="'
        + "".join(f"M{MARGIN + WIDE * x} {MARGIN + half * y}h{WIDE * n}v{half}h-{WIDE * n}z" for x, y, n in places)
        + '"/>'
        for level, places in sorted(pixels.items())
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"',
            f'  font-family="{FONT}" font-size="13">',
            "<title>lamina demo --once: a network trains, is promoted, and says which digits it sees</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="{MONOKAI.background_color.hex}"/>',
            '<g shape-rendering="crispEdges">',
            *paths,
            "</g>",
            *texts,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(drawn(lines_of_a_run()))
