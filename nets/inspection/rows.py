"""A network layer by layer: shapes, options and costs, as far as they are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from typing_extensions import TypedDict

from nets.architecture.cost import flops_backward, own_parameters
from nets.architecture.expand import Placed
from nets.architecture.graph import Node
from nets.architecture.sketch import Sketch
from nets.errors import found_at, pointer, shortened
from nets.facts import About
from nets.spec.values import Value

SHAPE = (
    "`[channels, height, width]` of an image, `[features]`, `[length, features]` of a sequence, `[length]` of tokens."
)


class Row(TypedDict):
    """A layer in one of its places. Of a layer that cannot be placed yet, shapes and costs are null.

    Combinators and composites have a row for each layer that they stand for. Costs are of one sample.
    """

    name: Annotated[str, About("Its name, or its type and place, under which its weights are stored, too.")]
    type: Annotated[str | None, About("Its type; null where none was sent.")]
    pointer: Annotated[str, About("A JSON pointer to the place in the body that describes it.")]
    part_of: Annotated[str | None, About("The composite layer, such as a `residual_block`, that it is a part of.")]
    inputs: Annotated[list[str | None], About("Names of the layers that it reads, `input` for what goes in.")]
    input_shape: Annotated[list[int] | list[list[int]] | None, About(f"{SHAPE} Of several inputs, a list of these.")]
    adapter: Annotated[str | None, About("What is done with the input first: `flatten`, or `as_image`.")]
    output_shape: Annotated[list[int] | None, About("The same of what comes out.")]
    params: Annotated[int | None, About("Trained numbers of its own: 0 where it shares those of another layer.")]
    macs: Annotated[int | None, About("Multiply-adds of the way forward.")]
    flops: Annotated[int | None, About("Floating point operations of the way forward: 2 for a multiply-add.")]
    flops_backward: Annotated[int | None, About("Those of the gradients that are computed.")]
    activation_bytes: Annotated[int | None, About("Of what comes out, in float32.")]
    shares: Annotated[str | None, About("The layer whose weights it uses.")]
    options: Annotated[dict[str, Any], About("Its options with every field filled in, as far as they can be read.")]


@dataclass(frozen=True)
class Rows:
    """Makes them of a sketch. sent: the body that it stands in."""

    sketch: Sketch
    sent: Mapping[str, Any]

    def all(self) -> list[Row]:
        """As listed, the parts of each layer in an order in which they can run."""
        nodes, owned = self.sketch.nodes, self.owned()
        back = flops_backward(self.sketch.graph) if self.sketch.graph else {}
        known = {name: [self.known(nodes[each], name, back[each]) for each in found] for name, found in owned.items()}
        return [row for one in self.sketch.placed for row in known.get(one.id) or [self.unknown(one)]]

    def owned(self) -> Mapping[str, Sequence[str]]:
        """By the id of each layer that is wholly placed the ids of its nodes, without adapters."""
        found: dict[str, list[str]] = {one.id: [] for one in self.sketch.placed}
        for name in self.sketch.nodes:
            if name in self.sketch.adapters:
                continue
            owner = name
            while owner not in found:
                owner = owner.rpartition(".")[0]
            found[owner].append(name)
        return found

    def known(self, node: Node, owner: str, back: int) -> Row:
        """Of a node of the layer with the id `owner`."""
        sources = list(self.sources(node))
        shapes = [list(value.shape) for _, value, _ in sources]
        return {
            "name": node.id,
            "type": node.layer.type,
            "pointer": pointer(node.path),
            "part_of": owner if node.id != owner else None,
            "inputs": [name for name, _, _ in sources],
            "input_shape": shapes[0] if len(shapes) == 1 else shapes,
            "adapter": next((adapter for _, _, adapter in sources if adapter), None),
            "output_shape": list(node.gives.shape),
            "params": own_parameters(node),
            "macs": node.cost.macs,
            "flops": node.cost.flops,
            "flops_backward": back,
            "activation_bytes": node.cost.activation_bytes,
            "shares": node.shares,
            "options": {name: value for name, value in node.layer.to_json().items() if name != "type"},
        }

    def sources(self, node: Node) -> Iterator[tuple[str, Value, str | None]]:
        """What a node reads: whose output, what that is, and the adapter between them."""
        for name, value in zip(node.inputs, node.takes, strict=True):
            if name in self.sketch.adapters:
                adapter = self.sketch.nodes[name]
                yield adapter.inputs[0], adapter.takes[0], adapter.layer.type
            else:
                yield name, value, None

    def unknown(self, one: Placed) -> Row:
        """Of a layer that cannot be placed."""
        own = one.layer.to_json() if one.layer else {}
        return {
            "name": self.names[one.id],
            "type": self.type_of(one),
            "pointer": pointer(one.item.path),
            "part_of": None,
            "inputs": [self.names.get(read.id, read.id) if read else None for read in one.reads],
            "input_shape": None,
            "adapter": None,
            "output_shape": None,
            **dict.fromkeys(COSTS),  # type: ignore[typeddict-item]
            "shares": one.item.shares,
            "options": {name: value for name, value in own.items() if name != "type"},
        }

    @cached_property
    def names(self) -> Mapping[str, str]:
        """What layers are called, by id: also those of a type that is none."""
        nameless = {one.id: one for one in self.sketch.placed if not (one.item.type or one.item.name)}
        own = {name: f"{self.type_of(one) or 'layer'}_{one.item.path[-1]}" for name, one in nameless.items()}
        return {one.id: own.get(one.id, one.id) for one in self.sketch.placed}

    def type_of(self, one: Placed) -> str | None:
        """The type of a layer, as it was sent where it is none."""
        found = found_at(self.sent, (*one.item.path, "type"))
        return one.item.type or (shortened(found) if isinstance(found, str) else None)


COSTS = ("params", "macs", "flops", "flops_backward", "activation_bytes")
