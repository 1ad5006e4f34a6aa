"""Networks that are measured by name, as bodies of POST /api/train.

usage: python -m nets.benchmarks.networks [NAME [BATCH]]

Prints the body of NAME, for whatever is raced against it, in batches of 64 unless said;
without a name, all names.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

from nets.benchmarks import families

Json = dict[str, Any]
# c32k5s2p0: a convolution of 32 channels, 5 x 5 (3 x 3 unless said), stride 2 (1), padding 0 (half the kernel).
# p3s2: a 3 x 3 pool of stride 2 (2 x 2 of stride 2); r32: a residual block; n: a norm; d128: a dense layer; drop.
NETWORKS: dict[str, str | Callable[[], list[Json]]] = {
    "reference": "c32 relu p2 c64 relu p2 d128 relu drop",
    "mlp": "d512 relu d512 relu",
    "lenet": "c6k5 relu p2 c16k5p0 relu p2 d120 relu d84 relu",
    "deep_cnn": "c32 relu n p2 c64 relu n p2 d128 relu drop",
    "deep_mlp": "d256 relu n drop d128 relu n drop",
    "resnet_lite": "c32 relu n p2 r32 r64 d128 relu drop",
    "wide": "c64 relu p2 c128 relu c128 relu p2",
    "norms": "c16 n relu c32 n relu p2 c32 n relu c64 n relu p2",
    "six": "c16 relu c16 relu p2 c32 relu c32 relu p2 c64 relu c64 relu",
    "mixed": "c32 relu c16k1 relu p2 c64 relu c32k1 relu p2 c64 relu",
    "strided3": "c16s2 relu c32s2 relu c64s2 relu",
    "strided4": "c16k4s2p1 relu c32k4s2p1 relu d64 relu",
    "strided5": "c32k5 relu c32k5s2 relu c64k5s2 relu c64 relu",
    "valid": "c24p0 relu p2 c48p0 relu p2 d64 relu",
    "nopool": "c8 relu c16 relu c16 relu",
    "strided11": "c32k11s4p2 relu c64k5 relu",
    "overlapping": "c24 relu p3s2 c48 relu p3s2 d128 relu",
    "five": "c12k5p0 tanh p2 c32k5p0 tanh p2 d64 tanh",
    "five_wide": "c32k5 relu p2 c64k5 relu p2 d256 relu",
    "seven": "c16k7 relu p2 c32k5 relu p2 d64 relu",
    "colours": "c32 relu c32 relu p2 c64 relu c64 relu p2 d256 relu",
    "colours_norms": "c16 n relu p2 c32 n relu p2 c64 n relu p2",
    "colours_residual": "c16 n relu r16 p2 c32 relu r32 p2 c64 relu r64",
    "colours_five": "c16k5 relu p2 c32k5 relu p2 d64 relu",
    "colours_dense": "d512 relu d256 relu d128 relu",
    **families.NETWORKS,
}
SIMPLE: dict[str, Json] = {
    "relu": {"type": "relu"},
    "tanh": {"type": "tanh"},
    "drop": {"type": "dropout", "p": 0.5},
}


def body(name: str, batch: int = 64) -> Json:
    """The request: 4,096 images of MNIST, or of CIFAR-10 for what is called "colours"."""
    channels, size = (3, 32) if name.startswith("colours") else (1, 28)
    network = NETWORKS[name]
    made = layers(network, channels, size) if isinstance(network, str) else [*network(), {"type": "softmax"}]
    return {
        "architecture": {
            "input_size": channels * size * size,
            "input_channels": channels,
            "input_height": size,
            "input_width": size,
            "layers": made,
        },
        "hyperparams": {
            "epochs": 5,
            "batch_size": batch,
            "optimizer": {"type": "sgd", "lr": 0.005, "momentum": 0.9},
            "loss": "cross_entropy",
            "seed": 42,
            "train_split": 0.9,
            "shuffle": True,
            "dataset_type": "cifar10" if channels == 3 else "mnist",
            "max_samples": 4096,
        },
    }


def layers(network: str, channels: int, size: int) -> list[Json]:
    """Every layer with what comes in, since not every competitor works that out."""
    found: list[Json] = []
    features = 0  # none as long as there is an image
    for word in [*network.split(), "d10"]:
        kind, numbers = word[0], {key: int(value) for key, value in re.findall("([a-z])([0-9]+)", word)}
        if word in SIMPLE:
            found.append(SIMPLE[word])
        elif word == "n":
            width = features or channels
            found.append({"type": "batchnorm1d" if features else "batchnorm2d", "num_features": width})
        elif kind == "d":
            if not features:
                found.append({"type": "flatten"})
                features = channels * size * size
            found.append({"type": "linear", "in": features, "out": numbers["d"]})
            features = numbers["d"]
        elif kind == "r":
            found.append({"type": "residual_block", "in_channels": channels, "out_channels": numbers["r"]})
            channels = numbers["r"]
        else:
            pool = kind == "p"
            window = numbers["p"] if pool else numbers.get("k", 3)
            stride = numbers.get("s", 2 if pool else 1)
            padding = 0 if pool else numbers.get("p", window // 2)
            moved = {"kernel_size": window, "stride": stride, "padding": padding}
            if pool:
                found.append({"type": "maxpool2d", **moved})
            else:
                found.append({"type": "conv2d", "in_channels": channels, "out_channels": numbers["c"], **moved})
                channels = numbers["c"]
            size = (size + 2 * padding - window) // stride + 1
    return [*found, {"type": "softmax"}]


if __name__ == "__main__":
    print(json.dumps(body(sys.argv[1], *map(int, sys.argv[2:])), indent=1) if sys.argv[1:] else "\n".join(NETWORKS))
