"""Random networks as JSON: chains, branches, merges, shared weights and combinators, on all kinds of input."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

from nets.layers import LAYERS
from nets.spec.values import Value, features, image, sequence

Json = dict[str, Any]
Draw = Any  # of hypothesis
MERGES = ("add", "multiply", "average", "maximum", "concat")


def inputs() -> st.SearchStrategy[Value]:
    """What goes into a network."""
    return st.one_of(
        *[st.builds(image, st.integers(1, 3), st.integers(5, 8), st.integers(5, 8))] * 2,
        st.builds(sequence, st.integers(2, 5), st.integers(2, 6)),
        st.builds(features, st.integers(3, 9)),
    )


def gives(layer: Json, *values: Value) -> Value:
    """What comes out of a plain layer."""
    parsed = LAYERS.parse({key: part for key, part in layer.items() if key not in ("name", "inputs", "shares")}, ())
    return parsed.filled(*values).output(*values)


def plain_layers(value: Value, *, keeps: bool) -> st.SearchStrategy[Json]:
    """A layer that takes a value. keeps: whether what comes out has the same shape."""
    anywhere = [{"type": name} for name in ("relu", "sigmoid", "tanh", "softmax")] + [{"type": "dropout", "p": 0.25}]
    if value.kind != "image":
        width = st.just(value.channels) if keeps else st.integers(2, 6)
        linear = st.fixed_dictionaries({"type": st.just("linear"), "out": width}, optional={"bias": st.booleans()})
        return st.one_of(linear, st.sampled_from([*anywhere, {"type": "batchnorm1d"}]))
    channels = st.just(value.channels) if keeps else st.integers(1, 4)
    stride = st.just(1) if keeps or min(value.shape[1:]) < 3 else st.integers(1, 2)
    convolution = st.fixed_dictionaries(
        {"type": st.just("conv2d"), "out_channels": channels, "kernel_size": st.integers(1, 3), "stride": stride},
        optional={"bias": st.booleans()},
    ).map(lambda layer: {**layer, "padding": "same"})
    block = st.fixed_dictionaries(
        {"type": st.just("residual_block"), "out_channels": channels, "stride": stride},
        optional={"bias": st.booleans(), "shortcut": st.just("pad")},
    ).map(lambda layer: {**layer, "out_channels": max(layer["out_channels"], value.channels)})
    pool = [{"type": "maxpool2d", "kernel_size": 3, "stride": 1, "padding": "same"}]
    return st.one_of(convolution, block, st.sampled_from([*anywhere, {"type": "batchnorm2d"}, *pool]))


def combinators(value: Value, *, keeps: bool, depth: int) -> st.SearchStrategy[tuple[Json, Value]]:
    """A combinator that takes a value, and what comes out."""
    same = chains(value, keeps=True, depth=depth - 1).map(lambda made: made[0])
    repeat = st.tuples(same, st.integers(1, 3)).map(
        lambda made: ({"type": "repeat", "times": made[1], "layers": made[0]}, value)
    )
    residual = st.tuples(same, st.one_of(st.none(), same)).map(
        lambda made: ({"type": "residual", "layers": made[0], "shortcut": made[1]}, value)
    )
    merges = st.sampled_from([name for name in MERGES if not keeps or name != "concat"])
    parallel = st.tuples(st.lists(st.one_of(st.just([]), same), min_size=2, max_size=3), merges).map(
        lambda made: (
            {"type": "parallel", "branches": made[0], "merge": made[1]},
            gives({"type": made[1]}, *[value] * len(made[0])),
        )
    )
    return st.one_of(repeat, residual, parallel)


@st.composite
def chains(draw: Draw, value: Value, *, keeps: bool, depth: int) -> tuple[list[Json], Value]:
    """Layers one behind the other, and what comes out; at least one."""
    layers: list[Json] = []
    for _ in range(draw(st.integers(1, 2 if keeps else 4))):
        if depth and draw(st.integers(0, 2)) == 1:
            layer, value = draw(combinators(value, keeps=keeps, depth=depth))
        else:
            layer = draw(plain_layers(value, keeps=keeps))
            value = gives(layer, value)
        layers.append(layer)
    return layers, value


@st.composite
def bodies(draw: Draw) -> Json:
    """A network of one or two branches that are joined, with skips and shared weights."""
    value = draw(inputs())
    frame: Json = {"input_shape": list(value.shape)}
    layers, ends = [], []
    for branch in range(draw(st.integers(1, 2))):
        made, _ = draw(chains(value, keeps=False, depth=2))
        made = with_skip(draw, value, made, prefix=f"b{branch}")
        made[0].setdefault("inputs", ["input"])
        made = with_twin(draw, made, name=f"lender{branch}")
        made += [{"type": "flatten", "name": f"end{branch}"}]
        layers += made
        ends.append(f"end{branch}")
    if len(ends) == 2:
        layers.append({"type": "concat", "inputs": ends})
    layers += lent(draw)
    layers.append({"type": "linear", "out": draw(st.integers(2, 4))})
    if draw(st.booleans()):
        layers = shuffled(draw, layers)
    return copy.deepcopy({**frame, "layers": [decorated(draw, layer) for layer in layers]})


def with_skip(draw: Draw, value: Value, layers: list[Json], *, prefix: str) -> list[Json]:
    """With a merge of what comes out and of what comes in, where a convolution keeps its shape."""
    made = [dict(layer) for layer in layers]
    if not draw(st.booleans()):
        return made
    kept = draw(chains(value, keeps=True, depth=0))[0]
    kept[-1] = {**kept[-1], "name": f"{prefix}kept"}
    kept[0] = {**kept[0], "inputs": ["input"]}
    merge = {"type": draw(st.sampled_from(["add", "subtract", "maximum"])), "inputs": [f"{prefix}kept", "input"]}
    return [*kept, merge, *made]


def with_twin(draw: Draw, layers: list[Json], *, name: str) -> list[Json]:
    """With a second combinator of the same weights behind the first one."""
    found = [index for index, layer in enumerate(layers) if holds_weights(layer)]
    if not found or not draw(st.booleans()):
        return layers
    at = found[0]
    lender = {**layers[at], "name": name}
    return [*layers[:at], lender, {"type": lender["type"], "shares": name}, *layers[at + 1 :]]


def holds_weights(layer: Json) -> bool:
    """Whether it is a combinator that keeps shapes, with weights in it."""
    return layer["type"] in ("repeat", "residual") and any(
        kind in str(layer) for kind in ("linear", "norm", "conv", "block")
    )


def lent(draw: Draw) -> list[Json]:
    """Two linear layers of the same weights."""
    if not draw(st.booleans()):
        return []
    return [
        {"type": "linear", "out": 5},
        {"type": "linear", "out": 5, "name": "lender"},
        {"type": "tanh"},
        {"type": "linear", "shares": "lender"},
    ]


def shuffled(draw: Draw, layers: Sequence[Json]) -> list[Json]:
    """In any order: every layer has a name and says what it reads."""
    named = [{**layer, "name": layer.get("name", f"n{index}")} for index, layer in enumerate(layers)]
    wired = [
        {**layer, "inputs": layer.get("inputs", [before["name"] if before else "input"])}
        for layer, before in zip(named, [None, *named[:-1]], strict=True)
    ]
    order = draw(st.permutations(range(len(wired))))
    return [wired[index] for index in order]


def decorated(draw: Draw, layer: Json) -> Json:
    """With what builders keep for themselves, now and then."""
    return {**layer, "position": {"x": 3, "y": [1.5]}, "id": "#7"} if draw(st.integers(0, 9)) == 7 else layer


def undecorated(layers: Sequence[Json]) -> list[Json]:
    return [{key: part for key, part in layer.items() if key not in ("position", "id")} for layer in layers]


JUNK = st.one_of(
    st.sampled_from(
        [None, True, False, 0, -1, 1, 2, 3, 64, 10**9, 10**40, 0.5, float("nan"), "", "input", "a", "n1", "end0"]
    ),
    st.sampled_from(["b0kept", "lender", "linear_1", "concat", "same", "repeat", "linear", "\ud800", "x" * 70, "a.b"]),
    st.sampled_from([[], {}, [[]], ["input"], ["end0", "end0"], ["n1", "n2"], [1], [None], [{}], {"type": "relu"}]),
    st.sampled_from([[3], [3, 4], [3, 4, 5], {"type": "add"}, {"type": "repeat", "times": 2, "layers": []}]),
    st.sampled_from([{"type": "linear", "shares": "lender"}, [{"type": "repeat", "shares": "lender0"}]]),
)
KEYS = st.sampled_from(
    ["name", "inputs", "shares", "type", "layers", "times", "branches", "merge", "shortcut", "out", "stride", "padding"]
    + ["groups", "axis", "input_shape", "input_size", "input_vocabulary", "input_height", "x", "position", "p", "bogus"]
)


@st.composite
def broken_bodies(draw: Draw) -> Any:
    """A network of which some values are others, gone, or too many."""
    body = draw(bodies())
    for _ in range(draw(st.integers(1, 4))):
        holders = list(containers(body))
        if not holders:
            return draw(JUNK)
        holder = draw(st.sampled_from(holders))
        if isinstance(holder, dict):
            key: Any = draw(KEYS if draw(st.booleans()) or not holder else st.sampled_from(sorted(holder)))
        else:
            key = draw(st.integers(0, len(holder) - 1)) if holder else None
        change(draw, holder, key, draw(st.integers(0, 3)))
    return body


def containers(value: Any) -> Iterator[Any]:
    """All objects and lists in it."""
    if isinstance(value, dict | list):
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from containers(part)


def change(draw: Draw, holder: Any, key: Any, how: int) -> None:
    if key is None:
        holder.append(draw(JUNK))
    elif how == 0 and (isinstance(holder, list) or key in holder):
        del holder[key]
    elif how == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[key] = copy.deepcopy(draw(JUNK))
