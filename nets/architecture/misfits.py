"""Why a layer does not fit what it reads, in words that name both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nets.architecture.combinators import Combinator
from nets.architecture.expand import Placed, Read
from nets.errors import UNSAID, Change, Problem
from nets.layers import LAYERS, Layer
from nets.layers.base import Misfit
from nets.layers.embedding import Embedding
from nets.layers.patches import ToImage, ToSequence
from nets.layers.shape import Flatten, Reshape
from nets.spec.allowed import one_of
from nets.spec.fields import MOST_WIDTH
from nets.spec.values import Kind, Value

ONE: dict[Kind, str] = {"features": "features", "image": "an image", "sequence": "a sequence", "tokens": "tokens"}
FLATTENED: tuple[Kind, ...] = ("image", "sequence")
MOST_NUMBERS = 2**31 - 1
MAKES: dict[tuple[Kind, Kind], type[Layer]] = {  # what makes one kind of another, where it can be had at all
    ("tokens", "sequence"): Embedding,
    ("tokens", "image"): Embedding,
    ("tokens", "features"): Embedding,
    ("sequence", "image"): ToImage,
    ("features", "image"): Reshape,
    ("image", "sequence"): ToSequence,
    ("features", "sequence"): Reshape,
}
PLACEHOLDER = re.compile(r"\{(field|before|shape|\d+)\}")


def told(value: Value) -> str:
    """`an image (64 x 7 x 7)`, `784 features`."""
    return (
        f"{value.described()} {value.kind}"
        if ONE[value.kind] == value.kind
        else f"{ONE[value.kind]} ({value.described()})"
    )


def wrong_number(placed: Placed, layer: Layer) -> Problem | None:
    """Too few or too many inputs."""
    (least, most), count = layer.arity, len(placed.reads)
    if least <= count <= most:
        return None
    takes = f"{least} to {most} inputs" if least != most else f"{least} input{'s' * (least != 1)}"
    if isinstance(placed.item.spec, Combinator):
        cure = "give the combinator as many lists of layers"
    elif count > most:
        cure = "join them by a merge" if most == 1 else "name fewer"
    else:
        cure = "name them in inputs"
    place = (*placed.item.shown, "inputs") if placed.item.inputs and not placed.merge else placed.item.shown
    listed = {"type": "array", "minItems": least, "maxItems": most, "items": {"type": "string"}}
    expected = listed if place[-1] == "inputs" else {"properties": {"inputs": listed}}
    return Problem(place, f"{layer.type} takes {takes}, got {count}; {cure}", "misfit", expected=expected)


def wrong_kind(layer: Layer, values: Sequence[Value]) -> Iterator[Misfit]:
    """Inputs of kinds that a layer cannot take."""
    for index, value in enumerate(values):
        if value.kind in layer.takes:
            continue
        # Whoever takes features takes those of each step of a sequence; that is told where a sequence comes.
        takes = [ONE[kind] for kind in layer.takes if kind != "sequence" or "features" not in layer.takes]
        rule = f"{layer.type} expects {', '.join(takes[:-1])}{' or ' * (len(takes) > 1)}{takes[-1]}, got {told(value)}"
        source = f" from {{{index}}}" if len(values) > 1 else ""
        cure = layer.cures.get(value.kind) or any_cure(layer, value)
        takers = [name for name, cls in LAYERS.items() if takes_one(cls, value.kind)]
        expected = {"properties": {"type": one_of(takers)}} if len(values) == 1 and takers else UNSAID
        instead = next(iter(closest_type(cure)), None) if len(values) == 1 else None
        yield Misfit(None, f"{rule}{source}; {cure}", fatal=True, expected=expected, instead=instead)


def too_large(value: Value) -> str | None:
    """A value whose width the layer behind it could not declare, or whose numbers could not be counted on a device."""
    if value.channels > MOST_WIDTH:
        unit = "channels" if value.kind == "image" else "features"
        return f"would give {value.channels:,} {unit}, more than {MOST_WIDTH:,}; make what it reads smaller"
    if value.size > MOST_NUMBERS:
        return f"would give {value.size:,} numbers a sample, more than {MOST_NUMBERS:,}; make what it reads smaller"
    return None


def wrong_times(layer: Layer, values: Sequence[Value]) -> list[Misfit]:
    """Inputs of which some are those of each step of a sequence, and others of a whole sample."""
    if layer.regroups or len({value.times for value in values}) == 1:
        return []
    most = max(range(len(values)), key=lambda place: values[place].times)
    least = min(range(len(values)), key=lambda place: values[place].times)
    rule = f"{layer.type} takes inputs that a sample has equally often; {{{most}}} is there for each step of a sequence"
    return [Misfit(None, f"{rule}, {{{least}}} for a whole sample; read both inside or outside of it", fatal=True)]


def closest_type(cure: str) -> list[str]:
    """The type that a cure says to use."""
    return [word for word in re.findall(r"^use (\w+)", cure) if word in LAYERS]


def any_cure(layer: Layer, value: Value) -> str:
    """What to do about a kind where the layer's type does not say it."""
    if "features" in layer.takes and value.kind in FLATTENED:
        return f"put {Flatten().type} before it"
    made = next((MAKES[value.kind, kind] for kind in layer.takes if (value.kind, kind) in MAKES), None)
    return f"put {made.model_fields['type'].default} before it" if made else f"{layer.type} takes no {value.kind} yet"


def takes_one(cls: type[Layer], kind: Kind) -> bool:
    """Whether a type takes a single value of a kind."""
    return kind in cls.takes and cls.arity[0] == 1


class Words:
    """Puts misfits of one layer into words.

    enters: its inputs as it reads them; values: as they come. copies: in how many places it stands.
    """

    def __init__(
        self, placed: Placed, enters: Sequence[Value], values: Sequence[Value], before: Value | None, *, copies: int
    ) -> None:
        self.placed = placed
        self.copies = copies
        self.reads = [read or Read("") for read in placed.reads]
        images = (value for value in (enters[0], values[0], before) if value and value.kind == "image")
        image = next(images, None)
        self.shape = f" ({image.described()})" if image else ""

    def problem(self, misfit: Misfit) -> Problem:
        item = self.placed.item
        field = misfit.field and item.said.get(misfit.field, misfit.field)
        detail = self.filled_in(misfit.detail, field or "")
        if field is None or self.placed.merge:
            expected = misfit.expected if field is None else UNSAID
            change = Change("replace", (*item.shown, "type"), misfit.instead)
            fix = (change,) if misfit.instead and not self.placed.merge else ()
            return Problem(item.shown, detail, misfit.code, expected=expected, suggestion=misfit.instead, fix=fix)
        if misfit.field in item.taken:
            rule = f"has {field} from '{item.shares}', whose weights it shares, but that does not fit here"
            return Problem((*item.shown, "shares"), f"{rule}: {detail.partition(';')[0]}", "misfit")
        place = (*item.shown, field)
        if misfit.set_to is not UNSAID and self.copies > 1:  # what is right here may be wrong in another place
            return Problem(place, detail, misfit.code, expected={"type": "null"}, fix=(Change("remove", place),))
        fix = () if misfit.set_to is UNSAID else (Change("replace", place, misfit.set_to),)
        return Problem(place, detail, misfit.code, expected=misfit.expected, fix=fix)

    def filled_in(self, detail: str, field: str) -> str:
        def word(match: re.Match[str]) -> str:
            key = match[1]
            if key.isdigit():
                return self.reads[int(key)].said
            return {"field": field, "before": self.reads[0].before, "shape": self.shape}[key]

        return PLACEHOLDER.sub(word, detail)
