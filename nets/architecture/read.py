"""JSON to a checked network: every layer filled in, with the shape that goes into and comes out of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from nets.errors import Path, Problem, SpecError
from nets.layers import LAYERS, Layer, Shape
from nets.layers.base import Parameter, described, ones, zeros
from nets.spec.fields import Spec, Width, parse, shown, whole
from nets.spec.words import closest, meant, plain

MAX_LAYERS = 2048
MAX_SIDE = 4096
INPUT = "input"  # where the statistics of the images are filed, beside the layers
WIDTHS = ("conv2d", "linear", "residual_block")  # the types whose widths make up a title
Side = Annotated[int, BeforeValidator(whole), Field(ge=1, le=MAX_SIDE)]


@dataclass(frozen=True)
class Architecture:
    """A network whose layers fit each other. Hashable: equal architectures share their compiled programs.

    input: (channels, height, width). shapes[i]: what layer i is given, as it reads it; layers are all filled in.
    """

    input: Shape
    layers: tuple[Layer, ...]
    shapes: tuple[Shape, ...]
    output: Shape

    @property
    def classes(self) -> int:
        """How many logits come out."""
        return self.output[0]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A stable id for each layer: parameters are filed under it."""
        return tuple(f"{layer.type}_{index}" for index, layer in enumerate(self.layers))

    @cached_property
    def computed(self) -> int:
        """How many layers are computed: a final softmax is how logits are read, not a layer."""
        return len(self.layers) - (self.layers[-1].type == "softmax")

    def arrays(self) -> dict[str, dict[str, dict[str, Parameter]]]:
        """Every array that a weight file holds: collection, layer, name."""
        scale = {"mean": Parameter(self.input[:1], zeros), "std": Parameter(self.input[:1], ones)}
        found: dict[str, dict[str, dict[str, Parameter]]] = {"params": {}, "batch_stats": {INPUT: scale}}
        for name, layer, shape in zip(self.names, self.layers, self.shapes, strict=True):
            for collection, declared in (("params", layer.parameters(shape)), ("batch_stats", layer.statistics(shape))):
                if declared:
                    found[collection][name] = declared
        return found

    @cached_property
    def parameters(self) -> int:
        """How many trained numbers there are."""
        return sum(math.prod(p.shape) for layer in self.arrays()["params"].values() for p in layer.values())

    @cached_property
    def flops(self) -> int:
        """Floating point operations of one image's way forward: those of the kernels, two per weight and place."""
        total = 0
        for layer, shape in zip(self.layers, self.shapes, strict=True):
            places = math.prod(layer.output_shape(shape)[1:])
            kernels = (p.shape for p in layer.parameters(shape).values() if len(p.shape) > 1)
            total += sum(2 * math.prod(kernel) * (places if len(kernel) == 4 else 1) for kernel in kernels)
        return total

    @cached_property
    def structure(self) -> Architecture:
        """The architecture without the numbers that compiled programs take as inputs."""
        return replace(self, layers=tuple(layer.structure() for layer in self.layers))

    def numbers(self) -> dict[str, dict[str, float]]:
        """Those numbers, by layer."""
        return {name: n for name, layer in zip(self.names, self.layers, strict=True) if (n := layer.numbers())}

    @cached_property
    def normalises(self) -> bool:
        """Whether any layer looks across the batch (batch normalisation)."""
        return any(layer.statistics(shape) for layer, shape in zip(self.layers, self.shapes, strict=True))

    def to_json(self) -> dict[str, Any]:
        """The canonical specification: every field filled in."""
        channels, height, width = self.input
        return {
            "input_size": math.prod(self.input),
            "input_channels": channels,
            "input_height": height,
            "input_width": width,
            "layers": [layer.to_json() for layer in self.layers],
        }

    def summary_name(self) -> str:
        """A short readable name, e.g. `CNN 32-64-128-10`."""
        outputs = zip(self.layers, self.shapes, strict=True)
        widths = [layer.output_shape(shape)[0] for layer, shape in outputs if layer.type in WIDTHS]
        kinds = {layer.type for layer in self.layers}
        kind = "ResNet" if "residual_block" in kinds else "CNN" if "conv2d" in kinds else "MLP"
        text = [str(width) for width in widths]
        return f"{kind} {'-'.join(text if len(text) <= 8 else [*text[:3], '...', *text[-3:]])}"


def three(value: object) -> object:
    if value is not None and (not isinstance(value, list | tuple) or len(value) != 3):
        raise ValueError(f"must be [channels, height, width], got {shown(value)}")
    return value


class Frame(Spec):
    """The fields of an architecture around its layers."""

    input_size: Width | None = None
    input_channels: Side | None = None
    input_height: Side | None = None
    input_width: Side | None = None
    input_shape: Annotated[tuple[Side, Side, Side] | None, BeforeValidator(three)] = None
    layers: list[Any]


def parse_architecture(value: object, path: Path = ("architecture",), *, most_layers: int = MAX_LAYERS) -> Architecture:
    """A checked architecture; SpecError with every problem in it, or at once where it has more than `most_layers`."""
    problems: list[Problem] = []
    shape: Shape | None = None
    try:
        frame = parse(Frame, value, path, owner="an architecture")
        shape = input_shape(frame, path)
    except SpecError as error:
        problems += error.problems
    listed = value.get("layers") if isinstance(value, Mapping) else None
    if not isinstance(listed, list):
        raise SpecError(problems)
    if not 1 <= len(listed) <= most_layers:
        raise SpecError(
            [*problems, Problem((*path, "layers"), f"must hold 1 to {most_layers} layers, got {len(listed)}")]
        )
    layers: list[Layer | None] = []
    for index, item in enumerate(listed):
        try:
            layers.append(parse_layer(item, (*path, "layers", index)))
        except SpecError as error:
            problems += error.problems
            layers.append(None)
    chain = Chain(shape, layers, listed, (*path, "layers"))
    problems += chain.problems
    if problems:
        raise SpecError(problems)
    return chain.architecture()


def parse_layer(value: object, path: Path) -> Layer:
    """One layer on its own, before it is known what it is given."""
    return LAYERS.parse(value, path, elsewhere=beside_a_layer)


def beside_a_layer(name: str, value: object) -> str:
    """What to do with a field that other libraries have in layers."""
    if plain(name) in ("activation", "activationfn", "activationfunction", "nonlinearity"):
        kind = next(iter(closest(value, LAYERS)), "relu")
        return f' An activation is a layer of its own: put {{"type": "{kind}"}} after this one.'
    home = "architecture" if meant(name, Frame.model_fields) else ""
    return f" It belongs in {home}." if home else ""


def input_shape(frame: Frame, path: Path) -> Shape:
    """(channels, height, width) of the images, from whichever fields came; 1 x 28 x 28 without any."""
    given = (frame.input_channels, frame.input_height, frame.input_width)
    if frame.input_shape is not None:
        for name, own, other in zip(
            ("input_channels", "input_height", "input_width"), given, frame.input_shape, strict=True
        ):
            if own not in (None, other):
                raise SpecError(
                    [Problem((*path, name), f"says {own} where input_shape says {other}; send one of them")]
                )
        given = frame.input_shape
    channels = given[0] or 1
    if given[1] is None and given[2] is None and frame.input_size is not None:
        side = math.isqrt(frame.input_size // channels)
        shape: Shape = (channels, side, side)
    else:
        high, wide = given[1] or given[2] or 28, given[2] or given[1] or 28
        shape = (channels, high, wide)
    if frame.input_size not in (None, math.prod(shape)):
        cure = "send input_channels, input_height and input_width whose product is input_size"
        raise SpecError(
            [
                Problem(
                    (*path, "input_size"),
                    f"must be {described(shape)} = {math.prod(shape)}, got {frame.input_size}; {cure}",
                )
            ]
        )
    return shape


class Chain:
    """Follows the shape through the layers and collects what does not fit."""

    def __init__(self, shape: Shape | None, layers: Sequence[Layer | None], said: Sequence[Any], path: Path) -> None:
        self.path = path
        self.said = said
        self.input = shape
        self.layers: list[Layer] = []
        self.shapes: list[Shape] = []
        self.problems: list[Problem] = []
        self.output: Shape | None = shape
        for index, layer in enumerate(layers):
            # After a layer that cannot be read or placed, the shape is unknown: later misfits would be guesses.
            self.output = self.follow(index, layer, self.output) if layer and self.output else None
        if not self.problems and self.output is not None and all(layers):
            self.check_whole()

    def follow(self, index: int, layer: Layer, shape: Shape) -> Shape | None:
        """The shape behind `layer`, or None where it cannot be told."""
        entered = layer.entry(shape)
        fatal = False
        for misfit in layer.misfits(entered):
            name = None if misfit.field is None else self.name(index, layer, misfit.field)
            source, came = self.before(index, shape, entered)
            detail = misfit.detail.replace("{before}", source).replace("{shape}", came)
            place = (*self.path, index) if name is None else (*self.path, index, name)
            self.problems.append(Problem(place, detail.replace("{field}", name or "")))
            fatal |= misfit.fatal
        if fatal:
            return None
        filled = layer.filled(entered)
        self.layers.append(filled)
        self.shapes.append(entered)
        return filled.output_shape(entered)

    def name(self, index: int, layer: Layer, field: str) -> str:
        """The field as the client wrote it."""
        return next((said for said in self.said[index] if layer.aliases.get(said, said) == field), field)

    def before(self, index: int, shape: Shape, entered: Shape) -> tuple[str, str]:
        """What gives a layer its input, and how that is laid out where it is an image: (`flatten`, ` (64 x 7 x 7)`)."""
        source = "the input" if index == 0 else self.layers[-1].type
        came = self.shapes[-1] if source == "flatten" else shape
        image = next((sizes for sizes in (entered, came) if len(sizes) == 3), None)
        return source, f" ({described(image)})" if image else ""

    def check_whole(self) -> None:
        """Rules for the network as a whole."""
        assert self.output is not None
        if not any(layer.parameters(shape) for layer, shape in zip(self.layers, self.shapes, strict=True)):
            self.problems.append(
                Problem(self.path, "must hold a layer with weights to train, such as linear or conv2d")
            )
        elif len(self.output) != 1:
            cure = "end with flatten and a linear layer that has one output per class"
            last = (*self.path, len(self.layers) - 1)
            self.problems.append(
                Problem(last, f"the network must end in features, got an image ({described(self.output)}); {cure}")
            )
        elif self.output[0] < 2:
            last = (*self.path, len(self.layers) - 1)
            self.problems.append(Problem(last, "the network must end in one output per class, at least 2, got 1"))

    def architecture(self) -> Architecture:
        assert self.input is not None and self.output is not None
        return Architecture(self.input, tuple(self.layers), tuple(self.shapes), self.output)
