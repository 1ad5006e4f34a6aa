"""One small network of each family that people train, for images of MNIST or, called "colours", of CIFAR-10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
OUT: Json = {"type": "linear", "out": 10}
RELU, GELU, NORM, MEAN = ({"type": name} for name in ("relu", "gelu", "batchnorm2d", "globalavgpool"))
ROWS: Json = {"type": "reshape", "shape": [28, 28]}


def repeat(times: int, *layers: Json) -> Json:
    return {"type": "repeat", "times": times, "layers": list(layers)}


def residual(*layers: Json) -> Json:
    return {"type": "residual", "layers": list(layers)}


def linear(width: int) -> Json:
    return {"type": "linear", "out": width}


def conv(width: int, kernel: int = 3, **fields: Any) -> Json:
    return {"type": "conv2d", "out_channels": width, "kernel_size": kernel, "padding": kernel // 2, **fields}


def conv1d(width: int, kernel: int, stride: int = 1) -> list[Json]:
    """With a norm and a relu."""
    made = {"type": "conv1d", "out_channels": width, "kernel_size": kernel, "stride": stride, "padding": kernel // 2}
    return [made, {"type": "batchnorm1d"}, RELU]


def vit() -> list[Json]:
    """A vision transformer of four blocks, 64 wide. Dosovitskiy et al., 2021."""
    block = {"type": "transformerencoderlayer", "nhead": 4, "dim_feedforward": 128, "dropout": 0.0}
    return [
        *({"type": "patchembedding", "patch_size": 4, "embed_dim": 64}, {"type": "positionalembedding"}),
        repeat(4, {**block, "activation": "gelu", "norm_first": True}),
        *({"type": "layernorm"}, MEAN, OUT),
    ]


def recurrent(kind: str) -> list[Json]:
    """Over the rows of an image. After examples/mnist_rnn of PyTorch."""
    inner = {"type": kind, "hidden_size": 64, "output": "last"}
    return [ROWS, inner, {"type": "batchnorm1d"}, linear(32), RELU, OUT]


def separable(channels: int, width: int, stride: int = 1) -> list[Json]:
    """A convolution of each channel, then of each pixel. Howard et al., 2017."""
    deep = conv(channels, groups=channels, stride=stride, bias=False)
    return [deep, NORM, RELU, conv(width, 1, bias=False), NORM, RELU]


def mobilenet() -> list[Json]:
    return [
        *(conv(32, bias=False), NORM, RELU),
        *(*separable(32, 64), *separable(64, 128, 2), *separable(128, 128), *separable(128, 256, 2)),
        *(*separable(256, 256), MEAN, OUT),
    ]


def convmixer() -> list[Json]:
    """64 channels, four blocks. Trockman & Kolter, 2022."""
    deep = residual(conv(64, 5, groups=64), GELU, NORM)
    return [
        *({**conv(64, 2, stride=2), "padding": 0}, GELU, NORM),
        *(repeat(4, deep, conv(64, 1), GELU, NORM), MEAN, OUT),
    ]


def resnet() -> list[Json]:
    """ResNet-20 of He et al., 2016, for CIFAR-10."""
    block = {"type": "residual_block", "bias": False, "shortcut": "pad"}
    stages = [[repeat(2, {**block, "out_channels": width})] for width in (32, 64)]
    return [
        *(conv(16, bias=False), NORM, RELU, repeat(3, {**block, "out_channels": 16})),
        *({**block, "out_channels": 32, "stride": 2}, *stages[0]),
        *({**block, "out_channels": 64, "stride": 2}, *stages[1]),
        *(MEAN, OUT),
    ]


def unet() -> list[Json]:
    """Down by pools and up again beside what came before them, and a class of it all. Ronneberger et al., 2015."""
    pool, up = {"type": "maxpool2d", "kernel_size": 2}, {"type": "upsample", "scale_factor": 2, "mode": "nearest"}
    return [
        *(conv(16), NORM, {**RELU, "name": "fine"}, pool),
        *(conv(32), NORM, {**RELU, "name": "coarse"}, pool),
        *(conv(64), NORM, RELU, {**up, "name": "up1"}),
        *({"type": "concat", "inputs": ["up1", "coarse"]}, conv(32), NORM, RELU, {**up, "name": "up2"}),
        *({"type": "concat", "inputs": ["up2", "fine"]}, conv(16), NORM, RELU),
        *(MEAN, OUT),
    ]


def mixer() -> list[Json]:
    """MLP-Mixer of four blocks, 64 wide. Tolstikhin et al., 2021."""
    turned: Json = {"type": "permute", "dims": [2, 1]}
    norm: Json = {"type": "layernorm"}
    steps = residual(norm, turned, linear(32), GELU, linear(49), turned)
    block = [steps, residual(norm, linear(128), GELU, linear(64))]
    return [{"type": "patchembedding", "patch_size": 4, "embed_dim": 64}, repeat(4, *block), norm, MEAN, OUT]


def waves() -> list[Json]:
    """Convolutions of one dimension over the pixels of an image, row after row."""
    return [
        *({"type": "reshape", "shape": [784, 1]}, *conv1d(32, 9, 2), {"type": "maxpool1d", "kernel_size": 2}),
        *(*conv1d(64, 5, 2), *conv1d(64, 5), MEAN, OUT),
    ]


NETWORKS: dict[str, Callable[[], list[Json]]] = {
    "convmixer": convmixer,
    "conv1d": waves,
    "vit": vit,
    "lstm": lambda: recurrent("lstm"),
    "gru": lambda: recurrent("gru"),
    "mixer": mixer,
    "colours_mobilenet": mobilenet,
    "colours_resnet": resnet,
    "colours_unet": unet,
}
