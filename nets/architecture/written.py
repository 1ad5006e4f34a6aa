"""Layers as they stand in the JSON: checked one by one, with what each of them reads, and not yet put in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nets.architecture.combinators import Combinator
from nets.errors import Path
from nets.layers import Layer


@dataclass(frozen=True)
class Ref:
    """A layer that another one names: the place in its list, and how many combinators that list is inside of.

    A place of -1 is what the list itself is given; for the outermost list that is the network's input.
    """

    depth: int
    index: int


NETWORK_INPUT = Ref(0, -1)


@dataclass(frozen=True)
class Written:
    """One item of a list of layers.

    path: its place in the canonical JSON. shown: where errors point, which is another place for the layers of a
    combinator that shares another's. spec: None where it cannot be read. said: its fields as the client wrote them, by
    our own names. taken: fields that it has from the layer whose arrays it shares. kept: what builders keep, as JSON.
    reads: None in the place of what is unknown. lender: whose arrays it shares. bodies: the lists of a combinator.
    """

    path: Path
    shown: Path
    type: str
    spec: Layer | Combinator | None
    name: str | None = None
    inputs: tuple[str, ...] | None = None
    shares: str | None = None
    kept: str = ""
    said: Mapping[str, str] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    reads: tuple[Ref | None, ...] = ()
    lender: Ref | None = None
    bodies: tuple[Body, ...] = ()

    @property
    def id(self) -> str:
        """Unique in its list."""
        return self.name or f"{self.type}_{self.path[-1]}"

    @property
    def label(self) -> str:
        """As messages call it: `'a'`, or `layers[3] (conv2d)` without a name."""
        return f"'{self.name}'" if self.name else self.position

    @property
    def before(self) -> str:
        """As a message calls it that says what comes before a layer: `'a'`, or `conv2d`."""
        return f"'{self.name}'" if self.name else self.type

    @property
    def position(self) -> str:
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.shown[1:])
        return f"{''.join(parts).lstrip('.')} ({self.type or 'unknown'})"


@dataclass(frozen=True)
class Body:
    """A list of layers. last: which of them gives what comes out. open: whether any reads what the list is given.

    outputs: which give something, where several are named; `last` first.
    """

    items: tuple[Written, ...]
    last: int
    open: bool
    outputs: tuple[int, ...] = ()
