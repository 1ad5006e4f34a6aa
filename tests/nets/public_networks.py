"""Public networks as a client writes them; `flops_by_pytorch.py` has the same in PyTorch, each with its source."""

from __future__ import annotations

from typing import Any

from tests.nets.networks import ENCODER, NORM, RELU, RESNET_20, SIAMESE, Json
from tests.nets.networks import conv as conv_before_norm

FLAT = {"type": "flatten"}


def conv(channels: int, size: Any = 3, **fields: Any) -> Json:
    return {"type": "conv2d", "out_channels": channels, "kernel_size": size, **fields}


def pool(size: int) -> Json:
    return {"type": "maxpool2d", "kernel_size": size}


def linear(out: int) -> Json:
    return {"type": "linear", "out": out}


def drop(p: float) -> Json:
    return {"type": "dropout", "p": p}


def relu(layer: Json) -> tuple[Json, Json]:
    return layer, RELU


def normed(layer: Json) -> tuple[Json, Json, Json]:
    """As in "25 Million Images": the norm behind the relu."""
    return layer, RELU, NORM


def vgg(*words: int | str) -> list[Json]:
    found: list[Json] = []
    for word in words:
        found += [pool(2)] if isinstance(word, str) else [conv(word, padding="same"), NORM, RELU]
    return found


def basic_block(width: int, stride: int = 1) -> tuple[Json, Json]:
    """Of ResNet-18, whose shortcuts have a norm."""
    f = [conv_before_norm(width, stride=stride), NORM, RELU, conv_before_norm(width), NORM]
    around = [conv_before_norm(width, 1, stride=stride), NORM] if stride > 1 else None
    return {"type": "residual", "layers": f, "shortcut": around}, RELU


def separable(width: int, stride: int, channels: int) -> tuple[Json, ...]:
    """Of MobileNet: each channel by itself, then each pixel."""
    depthwise = conv(channels, stride=stride, padding=1, groups=channels, bias=False)
    return depthwise, NORM, RELU, conv_before_norm(width, 1), NORM, RELU


DENSE = {
    "type": "parallel",
    "branches": [[], [NORM, RELU, conv_before_norm(48, 1), NORM, RELU, conv_before_norm(12)]],
}
DENSE_STAGE = {"type": "repeat", "times": 16, "layers": [DENSE]}
SEPARABLE = [(64, 1, 32), (128, 2, 64), (128, 1, 128), (256, 2, 128), (256, 1, 256), (512, 2, 256)]
SEPARABLE += [*[(512, 1, 512)] * 5, (1024, 2, 512), (1024, 1, 1024)]

LAYERS: dict[str, list[Json]] = {
    "Keras MNIST convnet": [*relu(conv(32)), pool(2), *relu(conv(64)), pool(2), FLAT, drop(0.5), linear(10)],
    "Keras mnist_mlp": [FLAT, *relu(linear(512)), drop(0.2), *relu(linear(512)), drop(0.2), linear(10)],
    "TensorFlow quickstart": [FLAT, *relu(linear(128)), drop(0.2), linear(10)],
    "PyTorch MNIST example": [
        *(*relu(conv(32)), *relu(conv(64)), pool(2), drop(0.25), FLAT, *relu(linear(128)), drop(0.5), linear(10))
    ],
    "TensorFlow CIFAR-10 tutorial": [
        *(*relu(conv(32)), pool(2), *relu(conv(64)), pool(2), *relu(conv(64)), FLAT, *relu(linear(64)), linear(10))
    ],
    "torchinfo example": [
        *(conv(10, 5), pool(2), RELU, conv(20, 5), drop(0.3), pool(2), RELU),
        *(FLAT, *relu(linear(50)), linear(10)),
    ],
    "Caffe LeNet": [conv(20, 5), pool(2), conv(50, 5), pool(2), FLAT, *relu(linear(500)), linear(10)],
    "PyTorch CIFAR-10 tutorial": [
        *(*relu(conv(6, 5)), pool(2), *relu(conv(16, 5)), pool(2), FLAT),
        *(*relu(linear(120)), *relu(linear(84)), linear(10)),
    ],
    "Keras cifar10_cnn": [
        *(*relu(conv(32, padding="same")), *relu(conv(32)), pool(2), drop(0.25)),
        *(*relu(conv(64, padding="same")), *relu(conv(64)), pool(2), drop(0.25)),
        *(FLAT, *relu(linear(512)), drop(0.5), linear(10)),
    ],
    "VGG16-BN": [
        *vgg(64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"),
        linear(10),
    ],
    "25 Million Images": [
        *(*normed(conv(32)), *normed(conv(32)), *normed(conv(32, 5, stride=2, padding="same")), drop(0.4)),
        *(*normed(conv(64)), *normed(conv(64)), *normed(conv(64, 5, stride=2, padding=2)), drop(0.4)),
        *(*normed(conv(128, 4)), FLAT, drop(0.4), linear(10)),
    ],
    "All-CNN-C": [
        *(drop(0.2), *relu(conv(96, padding="same")), *relu(conv(96, padding="same"))),
        *(*relu(conv(96, stride=2, padding=1)), drop(0.5)),
        *(*relu(conv(192, padding="same")), *relu(conv(192, padding="same")), *relu(conv(192, stride=2, padding=1))),
        *(drop(0.5), *relu(conv(192)), *relu(conv(192, 1)), *relu(conv(10, 1)), pool(6), FLAT),
    ],
    "ResNet-20": RESNET_20["layers"],
    "ResNet-18": [
        *(conv_before_norm(64), NORM, RELU, *basic_block(64), *basic_block(64), *basic_block(128, 2)),
        *(*basic_block(128), *basic_block(256, 2), *basic_block(256), *basic_block(512, 2), *basic_block(512)),
        *(pool(4), linear(10)),
    ],
    "DenseNet-BC 100-12": [
        *(conv_before_norm(24), DENSE_STAGE, NORM, RELU, conv_before_norm(108, 1), pool(2)),
        *(DENSE_STAGE, NORM, RELU, conv_before_norm(150, 1), pool(2)),
        *(DENSE_STAGE, NORM, RELU, pool(8), linear(10)),
    ],
    "MobileNet": [
        *(conv_before_norm(32), NORM, RELU, *(layer for each in SEPARABLE for layer in separable(*each))),
        *(pool(2), linear(10)),
    ],
    "Nielsen": [FLAT, linear(30), {"type": "sigmoid"}, linear(10)],
    "ENNUI two branches": [
        *({**conv(16, padding="same"), "inputs": "input"}, RELU, pool(2), {**FLAT, "name": "pooled"}),
        *({**conv(8, padding="same"), "inputs": "input"}, NORM, RELU, {**FLAT, "name": "normed"}),
        {"type": "concat", "inputs": ["pooled", "normed"]},
        *(*relu(linear(64)), linear(10)),
    ],
    "siamese": SIAMESE["layers"],
    "encoder": ENCODER["layers"],
    "odd windows": [
        *relu(conv(6, [5, 3], stride=[2, 1], padding=[1, 2])),
        *(*relu(conv(10, dilation=2)), conv(7, [1, 4], bias=False), linear(5)),
    ],
}
SHAPES = {
    "MNIST": [1, 28, 28],
    "CIFAR-10": [3, 32, 32],
    "siamese": [64],
    "encoder": [16, 8],
    "odd windows": [2, 20, 15],
}
OF_CIFAR = ("TensorFlow CIFAR-10 tutorial", "PyTorch CIFAR-10 tutorial", "Keras cifar10_cnn", "VGG16-BN", "All-CNN-C")
OF_CIFAR += ("ResNet-20", "ResNet-18", "DenseNet-BC 100-12", "MobileNet")


def architecture(name: str) -> Json:
    """The body's `architecture`."""
    shape = SHAPES.get(name, SHAPES["CIFAR-10" if name in OF_CIFAR else "MNIST"])
    return {"input_shape": shape, "layers": LAYERS[name]}
