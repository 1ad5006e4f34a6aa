"""Networks that nobody chose."""

from __future__ import annotations

import random
from typing import Any

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.errors import SpecError

Json = dict[str, Any]

MOST_FLOPS = 3e7  # an image
ACTIVATIONS: list[Json] = [
    *[{"type": "relu"}] * 3,
    {"type": "tanh"},
    {"type": "sigmoid"},
    {"type": "dropout", "p": 0.3},
]


def convolution(choose: random.Random) -> list[Json]:
    """A convolution or a residual block, and up to two layers that may follow."""
    if choose.random() < 0.15:
        layers: list[Json] = [{"type": "residual_block", "out_channels": choose.choice([4, 8, 24, 32])}]
    else:
        groups = choose.choice([1, 1, 1, 1, 2, 4])
        conv = {"kernel_size": choose.choice([1, 2, 3, 3, 3, 4, 5, 5, 7, [3, 2], [1, 5], 11])}
        conv["stride"] = choose.choice([1, 1, 1, 2, 3, [2, 1]])
        conv["padding"] = choose.choice([0, 1, "same", "same", 3])
        conv["dilation"] = choose.choice([1, 1, 1, 1, 2])
        layers = [{"type": "conv2d", "out_channels": groups * choose.choice([1, 3, 8, 16, 24, 32, 48]), **conv}]
        layers[0]["groups"] = groups
    if choose.random() < 0.4:
        layers.append({"type": "batchnorm2d"})
    if choose.random() < 0.8:
        layers.append(choose.choice(ACTIVATIONS))
    if choose.random() < 0.4:
        layers.append(
            {"type": "maxpool2d", "kernel_size": choose.choice([2, 2, 3]), "stride": choose.choice([1, 2, 2])}
        )
    return layers


def dense(choose: random.Random) -> list[Json]:
    layers: list[Json] = [{"type": "linear", "out_features": choose.choice([1, 4, 16, 32, 33, 100])}]
    if choose.random() < 0.2:
        layers.append({"type": "batchnorm1d"})
    return [*layers, choose.choice(ACTIVATIONS)]


def random_network(choose: random.Random) -> Architecture:
    """Up to four convolutions and three dense layers on images of any size; drawn again where they do not fit."""
    channels = choose.choice([1, 1, 3, 4])
    height, width = choose.choice([(28, 28), (28, 28), (32, 32), (14, 14), (8, 8), (7, 9), (1, 12)])
    layers = [layer for _ in range(choose.randrange(5)) for layer in convolution(choose)]
    layers += [{"type": "flatten"}, *(layer for _ in range(choose.randrange(4)) for layer in dense(choose))]
    layers.append({"type": "linear", "out_features": 10})
    shape = {"input_channels": channels, "input_height": height, "input_width": width}
    try:
        found = parse_architecture({**shape, "layers": layers})
    except SpecError:
        return random_network(choose)
    return found if found.flops < MOST_FLOPS else random_network(choose)
