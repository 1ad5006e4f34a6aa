"""What is looked at for doubts, and what stands before and behind a layer in effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nets.architecture.graph import INPUT, Graph, Node
from nets.datasets import DatasetInfo
from nets.errors import UNSAID, Path, found_at
from nets.hyperparams.hyperparams import Hyperparams
from nets.training.sampling import split_sizes


@dataclass(frozen=True)
class Case:
    """A request as far as it is known. graph: None where there is no network; whole: whether it has its end.

    sent: the body as it came, of which a part may be left out.
    """

    graph: Graph | None
    hyperparams: Hyperparams | None
    info: DatasetInfo | None
    sent: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = True

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.graph.nodes if self.graph else ()

    @cached_property
    def train(self) -> int | None:
        """How many samples are trained on; None where that is unknown."""
        known = self.hyperparams and self.info
        return split_sizes(self.hyperparams, self.info.train_size)[0] if known else None  # type: ignore[arg-type,union-attr]

    def said(self, path: Path) -> bool:
        """Whether the body has a value there."""
        return found_at(self.sent, path) is not UNSAID

    def readers(self, node: Node, *, random: bool = True) -> Iterator[Node]:
        """Who reads the values of a node, be it in another shape. random: or some of them dropped."""
        assert self.graph
        todo = [node]
        while todo:
            for reader in self.graph.readers[todo.pop().id]:
                if passes_on(reader) and (random or not reader.layer.random):
                    todo.append(reader)
                else:
                    yield reader

    def way_back(self, name: str) -> Iterator[Node]:
        """From an id back: the nodes that only pass values on, and the one that made them, unless the input did."""
        assert self.graph
        while name != INPUT:
            node = self.graph.by_id[name]
            yield node
            if not passes_on(node):
                return
            name = node.inputs[0]

    @property
    def classes(self) -> int:
        return self.graph.classes if self.graph else 0

    @property
    def scores(self) -> tuple[Node, ...]:
        """The same where the loss takes them for logits: others take what the network ends in."""
        taken = self.hyperparams is None or self.hyperparams.loss.takes == "logits"
        return self.logits if taken else ()

    @cached_property
    def logits(self) -> tuple[Node, ...]:
        """The nodes whose values the logits are, also side by side; none where the end is unknown, or the input is one
        of them.
        """
        if not self.graph or not self.whole:
            return ()
        seen, todo, found = {self.graph.logits}, [self.graph.logits], set()
        while todo:
            node = self.graph.by_id.get(todo.pop())
            if node is None:
                return ()
            if node.layer.keeps_values:
                todo += [name for name in node.inputs if name not in seen]
                seen.update(node.inputs)
            else:
                found.add(node.id)
        return tuple(node for node in self.graph.nodes if node.id in found)


def passes_on(node: Node) -> bool:
    """Whether a node gives what comes in, in another shape, or with some of it dropped."""
    return node.layer.keeps_values and len(node.inputs) == 1
