"""A layer computed by its own `apply`, in whichever order its inputs lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax

from nets.kernels.layouts import Laid, Layout, single, to
from nets.layers.base import CANONICAL, Bound
from nets.spec.values import Kind, Value

BATCH_LAST: Mapping[Kind, Layout] = {"features": "CB", "image": "CHWB", "sequence": "CTB"}


def canonical(value: Value) -> Layout:
    """The order of axes in which layers are defined."""
    return CANONICAL[value.kind]


def beside(value: Value, layout: Layout) -> Layout:
    """How another kind of value lies that is made of one in this order: the batch stays first or last."""
    return canonical(value) if layout.startswith("B") else BATCH_LAST[value.kind]


def reference(bound: Bound, xs: Sequence[Laid]) -> Laid:
    """What the layer gives. Types that may choose get their inputs as the first of them lies."""
    layer = bound.layer
    if layer.layouts == "canonical":
        plain = (to(x, canonical(value)).array for x, value in zip(xs, bound.takes, strict=True))
        return Laid(layer.apply(bound, *plain), canonical(bound.gives))
    if layer.layouts == "any":
        xs = [single(x) for x in xs]
        bound = bound.lying(xs[0].layout)
    layout = xs[0].layout
    alike = [to(x, layout).arrays for x in xs]
    y = jax.tree.map(lambda *leaves: layer.apply(bound, *leaves), *alike)
    return Laid(y, layout if bound.gives.kind == bound.takes[0].kind else beside(bound.gives, layout))
