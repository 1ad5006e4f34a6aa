"""Figures as SVG: texts as texts, the same bytes each time, and no setting of matplotlib's read or changed.

What matplotlib would take from its settings, which are one for the process, is given here or in `frame.py`: a picture
does not depend on what else draws in this process, in other threads as well, nor on a person's `matplotlibrc`.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from nets.plots.style import Theme, switched
from nets.plots.words import printable, stand_in

FAMILY = "sans-serif"
MEASURED = "DejaVu Sans"  # comes with matplotlib, and is wider than most: what fits in it fits
ANCHORS = {"left": "start", "center": "middle", "right": "end"}
BASICS = "svg *{stroke-linejoin:round;stroke-linecap:butt}"
NO_METADATA: dict[str, Any] = dict.fromkeys(("Creator", "Date", "Format", "Type"))


class Words(Text):
    """A text that is shown as it is, whatever its letters; `width` pixels at most where it is squeezed by a viewer."""

    shown: str

    def set_shown(self, text: str) -> None:
        """Says what is shown; laid out is what is as wide and has letters that are known."""
        self.shown = printable(text)
        self.set_text(stand_in(self.shown))


class Renderer(RendererSVG):
    """Writes each text as one, in the viewer's own font; what it says follows when all else is done."""

    def __init__(self, width: float, height: float, file: io.StringIO) -> None:
        super().__init__(width, height, file, image_dpi=72, metadata=NO_METADATA)
        self.said: list[str] = []

    def draw_text(
        self,
        gc: Any,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: bool | str = False,
        mtext: Text | None = None,
    ) -> None:
        """One line, upright, which is anchored where it is aligned."""
        assert mtext is not None and angle == 0, "texts are of one line, and upright"
        at, _ = mtext.get_transform().transform(mtext.get_unitless_position())
        anchor = ANCHORS[mtext.get_horizontalalignment()]
        weight = "font-weight: bold; " if prop.get_weight() == "bold" else ""
        style = f"font: {prop.get_size():.4g}px {FAMILY}; {weight}text-anchor: {anchor}; fill: {mtext.get_color()}"
        self.writer.element("text", f"{{{len(self.said)}}}", attrib={"x": f"{at:.2f}", "y": f"{y:.2f}", "style": style})
        self.said.append(getattr(mtext, "shown", s))


def svg(figure: Figure, *, title: str, about: str, theme: Theme, prefix: str = "l", inline: bool = False) -> str:
    """A figure as an SVG element. title, about: for who cannot see it. prefix: of its ids, one for each of a page.
    inline: for an HTML page, which needs no names of what SVG is, and has the styles once (`BASICS`).

    `theme`: a picture that is drawn in the light palette is turned dark by its viewer if it is `auto`.
    """
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    figure.dpi = 72
    file = io.StringIO()
    renderer = Renderer(width, height, file)
    figure.draw(renderer)
    renderer.finalize()
    drawn = file.getvalue()
    inside = drawn[drawn.index(">", drawn.index("<svg")) + 1 : drawn.rindex("</svg>")]
    inside = re.sub(r"<metadata>.*?</metadata>", "", inside, flags=re.DOTALL)
    inside = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", inside, flags=re.DOTALL)
    inside = _with_short_ids(re.sub(r"\s*\n\s*", "\n", inside), prefix)
    inside = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), inside)
    inside = re.sub(r"(?<=>)\{(\d+)\}(?=</text>)", lambda found: escape(renderer.said[int(found[1])]), inside)
    dark = f"<style>{switched()}</style>" if theme == "auto" else ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width}"'
    basics = "" if inline else f"<style>{BASICS}</style>"
    if inline:
        inside, head = inside.replace("xlink:href", "href"), f'<svg width="{width}"'
    named = f"<title>{escape(printable(title))}</title><desc>{escape(printable(about))}</desc>"
    return f'{head} height="{height}" viewBox="0 0 {width} {height}" role="img">{named}{basics}{dark}{inside}</svg>\n'


def _with_short_ids(drawn: str, prefix: str) -> str:
    """Without the ids that nothing refers to, and the others counted."""
    used = dict.fromkeys(re.findall(r'(?<=[("])#([\w.]+)', drawn))
    names = {old: f"{prefix}{number}" for number, old in enumerate(used)}
    drawn = re.sub(r' id="([^"]*)"', lambda found: f' id="{names[found[1]]}"' if found[1] in names else "", drawn)
    return re.sub(r'(?<=[("])#([\w.]+)', lambda found: f"#{names[found[1]]}" if found[1] in names else found[0], drawn)
