"""Layers as written put in place: lists that stand in several places once for each, every layer with an id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from nets.architecture.combinators import Combinator, Copy
from nets.architecture.graph import INPUT
from nets.architecture.written import Body, Ref, Written
from nets.layers import Layer

Draw = tuple[int, ...]


@dataclass(frozen=True)
class Read:
    """What a layer reads. said, before: what messages call it, beside others and alone."""

    id: str
    said: str = "the input"
    before: str = "the input"


@dataclass(frozen=True)
class Placed:
    """A layer in one of its places. layer: None where it cannot be read; reads: None where that is unknown.

    item: what it was written as. merge: whether it only joins what a combinator gives. lender: where in the JSON that
    stands whose arrays it uses, as `draw` does; sharer: what was written to share them.
    """

    id: str
    layer: Layer | None
    reads: tuple[Read | None, ...]
    item: Written
    draw: Draw
    merge: bool = False
    lender: Draw | None = None
    sharer: Written | None = None


def size(body: Body) -> int:
    """How many layers a list makes in a network."""
    return sum(_size(item) for item in body.items)


def _size(item: Written) -> int:
    if not isinstance(item.spec, Combinator):
        return 1
    often = Counter(copy.body for copy in item.spec.copies())
    around = (item.spec.entry_layer(), item.spec.merge_layer())
    return sum(layer is not None for layer in around) + sum(
        times * size(item.bodies[body]) for body, times in often.items()
    )


def expand(body: Body) -> tuple[Placed, ...]:
    """All layers of a network in reading order."""
    return tuple(Expansion().level(Level("", (), body, Read(INPUT))))


@dataclass(frozen=True)
class Level:
    """One copy of a list. given: what the list is given. lender: the list whose layers lend theirs their arrays."""

    prefix: str
    draw: Draw
    body: Body
    given: Read | None
    lender: Draw | None = None
    sharer: Written | None = None


class Expansion:
    """The levels from the outermost list to the one that is being put in place."""

    def __init__(self) -> None:
        self.levels: list[Level] = []

    def level(self, level: Level) -> Iterator[Placed]:
        self.levels.append(level)
        for index, item in enumerate(level.body.items):
            yield from self.item(level, index, item)
        self.levels.pop()

    def item(self, level: Level, index: int, item: Written) -> Iterator[Placed]:
        reads = tuple(None if ref is None else self.read(ref) for ref in item.reads)
        draw, me = (*level.draw, index), f"{level.prefix}{item.id}"
        lender, sharer = None if level.lender is None else (*level.lender, index), level.sharer
        if lender is None and item.lender is not None:
            lender, sharer = (*self.levels[item.lender.depth].draw, item.lender.index), item
        if isinstance(item.spec, Combinator):
            inner = Level(f"{me}.", draw, level.body, reads[0], lender, sharer)
            yield from self.combinator(item, item.spec, inner)
        else:
            yield Placed(me, item.spec, reads, item, draw, lender=lender, sharer=sharer)

    def combinator(self, item: Written, spec: Combinator, at: Level) -> Iterator[Placed]:
        """at: what is the same for all its lists."""
        outs: list[Read | None] = []
        inner, entry = at.given, spec.entry_layer()
        if entry is not None:
            name = f"{at.prefix}{entry.type}"
            yield Placed(name, entry, (at.given,), item, at.draw, merge=True)
            inner = at.given and replace(at.given, id=name)
        for number, copy in enumerate(spec.copies()):
            given = inner if copy.reads is None else outs[copy.reads]
            body, prefix = item.bodies[copy.body], f"{at.prefix}{copy.name}."
            if not body.items:
                outs.append(given and replace(given, said=end_of(item, copy)))
                continue
            lender = None if at.lender is None else (*at.lender, number)
            yield from self.level(Level(prefix, (*at.draw, number), body, given, lender, at.sharer))
            end = body.items[body.last]
            outs.append(Read(output_id(end, prefix), end.label, end.before))
        if (merge := spec.merge_layer()) is not None:
            reads = outs if entry is None else [*outs, at.given]
            yield Placed(f"{at.prefix}{merge.type}", merge, tuple(reads), item, at.draw, merge=True)

    def read(self, ref: Ref) -> Read | None:
        level = self.levels[ref.depth]
        if ref.index < 0:
            return level.given
        item = level.body.items[ref.index]
        return Read(output_id(item, level.prefix), item.label, item.before)


def output_id(item: Written, prefix: str) -> str:
    """The id of what an item gives."""
    me = f"{prefix}{item.id}"
    if not isinstance(item.spec, Combinator):
        return me
    if (merge := item.spec.merge_layer()) is not None:
        return f"{me}.{merge.type}"
    last = item.spec.copies()[-1]
    body = item.bodies[last.body]
    return output_id(body.items[body.last], f"{me}.{last.name}.")


def end_of(item: Written, copy: Copy) -> str:
    """What messages call the end of a list without layers."""
    return f"the end of {copy.name if not copy.name.isdigit() else f'branches[{copy.name}]'}"
