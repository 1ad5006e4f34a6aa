"""Public networks, those of `nets/examples` and some more; `flops_by_pytorch.py` has the same in PyTorch."""

from __future__ import annotations

from nets import examples
from tests.nets.networks import ENCODER, RELU, SIAMESE, Json


def conv(channels: int, size: object = 3, **fields: object) -> Json:
    return {"type": "conv2d", "out_channels": channels, "kernel_size": size, **fields}


def linear(out: int) -> Json:
    return {"type": "linear", "out": out}


POOL: Json = {"type": "maxpool2d", "kernel_size": 2}
OTHERS: dict[str, Json] = {
    "torchinfo example": {
        "input_shape": [1, 28, 28],
        "layers": [
            *(conv(10, 5), POOL, RELU, conv(20, 5), {"type": "dropout", "p": 0.3}, POOL, RELU),
            *({"type": "flatten"}, linear(50), RELU, linear(10)),
        ],
    },
    "siamese": SIAMESE,
    "encoder": ENCODER,
    "odd windows": {
        "input_shape": [2, 20, 15],
        "layers": [
            *(conv(6, [5, 3], stride=[2, 1], padding=[1, 2]), RELU),
            *(conv(10, dilation=2), RELU, conv(7, [1, 4], bias=False), linear(5)),
        ],
    },
}
NAMES = (*examples.names(), *OTHERS)


def architecture(name: str) -> Json:
    """The body's `architecture`."""
    return OTHERS[name] if name in OTHERS else examples.network(name)["body"]["architecture"]
