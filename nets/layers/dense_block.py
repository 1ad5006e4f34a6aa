"""Blocks in which each layer reads what all before it give."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nets.layers.activation import Relu
from nets.layers.base import Example, Layer, register
from nets.layers.composite import OWN_INPUT, Composite, Part, chain
from nets.layers.conv import Conv2d
from nets.layers.dropout import Dropout
from nets.layers.merge import Concat
from nets.layers.norm import BatchNorm2d, Eps, Momentum
from nets.spec.fields import Real, Whole, Width
from nets.spec.values import Value, image

MOST_LAYERS = 256  # of one block; each is up to eight parts


@register
class DenseBlock(Composite):
    """Layers of norm, relu, 1 x 1 and norm, relu, 3 x 3 convolution, each of which reads the channels of the input and
    of all layers before it. torchvision's `_DenseBlock`. Huang et al., 2017.

    What comes out is all of these channels: those of the input, and `growth_rate` of each layer.
    """

    type: Literal["denseblock"] = "denseblock"
    in_channels: Width | None = Field(None, description="Channels of the input; may be left out.")
    num_layers: Annotated[Whole, Field(ge=1, le=MOST_LAYERS)] = Field(description="How many layers.")
    growth_rate: Width = Field(default=32, description="Channels that each layer adds.")
    bn_size: Width | None = Field(
        default=4,
        description="The 1 x 1 convolution has so many times `growth_rate` channels; null leaves it out, with its norm "
        "and relu.",
    )
    drop_rate: Annotated[Real, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Probability of dropout behind each 3 x 3 convolution."
    )
    eps: Eps = 1e-5
    momentum: Momentum = 0.1

    aliases = {"num_input_features": "in_channels", "dropout": "drop_rate", "p": "drop_rate", "rate": "drop_rate"}
    also = ("dense_block",)
    declares = "in_channels"
    takes = ("image",)
    converts = True
    title = (2, "DenseNet")
    examples = (
        Example({"type": "denseblock", "num_layers": 2, "growth_rate": 2}, (image(3, 4, 4),), image(7, 4, 4)),
        Example(
            {
                "type": "denseblock",
                "in_channels": 3,
                "num_layers": 1,
                "growth_rate": 3,
                "bn_size": None,
                "dropout": 0.2,
            },
            (image(3, 4, 4),),
            image(6, 4, 4),
        ),
    )

    def output(self, *inputs: Value) -> Value:
        channels, height, width = inputs[0].shape
        return image(channels + self.num_layers * self.growth_rate, height, width)

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        parts: list[Part] = []
        before = OWN_INPUT
        for number in range(1, self.num_layers + 1):
            layer = self.layer(f"denselayer{number}", before)
            joined = Part(f"concat{number}", Concat(), (before, layer[-1].name))
            parts += [*layer, joined]
            before = joined.name
        return tuple(parts)

    def layer(self, name: str, source: str) -> tuple[Part, ...]:
        """One layer, which reads `source`."""
        norm = BatchNorm2d(eps=self.eps, momentum=self.momentum)
        found: list[tuple[str, Layer]] = []
        if self.bn_size is not None:
            narrow = Conv2d(out_channels=self.bn_size * self.growth_rate, kernel_size=1, bias=False)
            found += [("norm1", norm), ("relu1", Relu()), ("conv1", narrow)]
        last = "1" if self.bn_size is None else "2"
        wide = Conv2d(out_channels=self.growth_rate, kernel_size=3, padding=1, bias=False)
        found += [(f"norm{last}", norm), (f"relu{last}", Relu()), (f"conv{last}", wide)]
        if self.drop_rate:
            found.append(("dropout", Dropout(p=self.drop_rate)))
        return chain(*((f"{name}.{part}", layer) for part, layer in found), source=source)
