"""Networks of the literature as a client writes them, with how many parameters they have by hand."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def conv(channels: int, size: int = 3, **fields: Any) -> Json:
    """A convolution that keeps height and width, before a norm."""
    return {
        "type": "conv2d",
        "out_channels": channels,
        "kernel_size": size,
        "padding": "same",
        "bias": False,
        **fields,
    }


def block(channels: int, **fields: Any) -> Json:
    return {"type": "residual_block", "out_channels": channels, "shortcut": "pad", "bias": False, **fields}


NORM, RELU = {"type": "batchnorm2d"}, {"type": "relu"}

# He et al., 2016, for CIFAR-10; with a maximum where the paper has a mean over the image, which has no weights either.
#   first convolution and norm       27 * 16 + 2 * 16                                    464
#   16 channels: 6 convolutions      6 * (144 * 16 + 32)                              14,016
#   32 channels                      144 * 32 + 5 * 288 * 32 + 6 * 64                 51,072
#   64 channels                      288 * 64 + 5 * 576 * 64 + 6 * 128               203,520
#   linear                           64 * 10 + 10                                        650
RESNET_20_PARAMETERS = 269_722
RESNET_20: Json = {
    "input_shape": [3, 32, 32],
    "layers": [
        *(conv(16), NORM, RELU),
        {"type": "repeat", "times": 3, "layers": [block(16)]},
        block(32, stride=2),
        {"type": "repeat", "times": 2, "layers": [block(32)]},
        block(64, stride=2),
        {"type": "repeat", "times": 2, "layers": [block(64)]},
        {"type": "maxpool2d", "kernel_size": 8},
        {"type": "linear", "out": 10},
        {"type": "softmax"},
    ],
}

# The same written out, with its first block from convolutions, norms and a skip by name.
RESNET_20_BY_NAMES: Json = {
    "input_shape": [3, 32, 32],
    "layers": [
        *(conv(16), NORM, {**RELU, "name": "stem"}),
        *(conv(16), NORM, RELU, conv(16), {**NORM, "name": "f"}),
        {"type": "add", "inputs": ["f", "stem"]},
        RELU,
        *(block(16), block(16), block(32, stride=2), block(32), block(32), block(64, stride=2), block(64), block(64)),
        {"type": "maxpool2d", "kernel_size": 8},
        {"type": "linear", "out": 10},
    ],
}

# Huang et al., 2017: each layer sees all before it, by bottlenecks of 4 * 12 channels; then a transition to half.
#   first convolution                            27 * 24                                          648
#   layers of 24, 36 and 48 channels that come   2 * c + c * 48 + 2 * 48 + 9 * 48 * 12
#                                                6,480 + 7,080 + 7,680                         21,240
#   transition                                   2 * 60 + 60 * 30                               1,920
#   linear                                       30 * 4 * 4 * 10 + 10                           4,810
DENSENET_PARAMETERS = 28_618
DENSENET: Json = {
    "input_shape": [3, 8, 8],
    "layers": [
        conv(24),
        {
            "type": "repeat",
            "times": 3,
            "name": "dense",
            "layers": [{"type": "parallel", "branches": [[], [NORM, RELU, conv(48, 1), NORM, RELU, conv(12)]]}],
        },
        *(NORM, RELU, conv(30, 1), {"type": "maxpool2d", "kernel_size": 2}),
        {"type": "linear", "out": 10},
    ],
}

# Szegedy et al., 2015: small and large kernels side by side.
#   9 * 4 + 4, 25 * 4 + 4, 8 * 36 * 3 + 3
TWO_BRANCHES_PARAMETERS = 40 + 104 + 867
TWO_BRANCHES: Json = {
    "input_shape": [1, 12, 12],
    "layers": [
        conv(4, 3, bias=True, inputs=["input"]),
        {"type": "relu", "name": "small"},
        conv(4, 5, bias=True, inputs=["input"]),
        {"type": "relu", "name": "large"},
        {"type": "concat", "inputs": ["small", "large"]},
        {"type": "maxpool2d", "kernel_size": 2},
        {"type": "linear", "out": 3},
    ],
}

# Bromley et al., 1993: two views of one sample, learnt here, go through the same tower; what differs is classified.
#   2 * 64 * 32, 32 * 16 + 16, 16 * 8 + 8, 8 * 3 + 3
SIAMESE_PARAMETERS = 4096 + 528 + 136 + 27
VIEW: Json = {"type": "linear", "out": 32, "bias": False, "inputs": ["input"]}
SIAMESE: Json = {
    "input_shape": [64],
    "layers": [
        VIEW,
        {"type": "dropout", "p": 0.1},
        {"type": "linear", "out": 16, "name": "first"},
        {"type": "relu"},
        {"type": "linear", "out": 8, "name": "one"},
        VIEW,
        {"type": "dropout", "p": 0.2},
        {"type": "linear", "shares": "first"},
        {"type": "relu"},
        {"type": "linear", "shares": "one", "name": "other"},
        {"type": "subtract", "inputs": ["one", "other"]},
        {"type": "linear", "out": 3},
    ],
}

# The same by a combinator that lends its weights to another.
SIAMESE_TOWERS: Json = {
    "input_shape": [64],
    "layers": [
        VIEW,
        {
            "type": "repeat",
            "times": 1,
            "name": "one",
            "layers": [
                {"type": "dropout", "p": 0.1},
                *({"type": "linear", "out": 16}, {"type": "relu"}, {"type": "linear", "out": 8}),
            ],
        },
        VIEW,
        {"type": "repeat", "shares": "one", "name": "other"},
        {"type": "subtract", "inputs": ["one", "other"]},
        {"type": "linear", "out": 3},
    ],
}

# Two blocks in the form of Vaswani et al., 2017, with a gate in the place of attention.
#   norm 2 * 8, gate 2 * (8 * 8 + 8), linear 8 * 8 + 8, norm 2 * 8, feed-forward 8 * 32 + 32 + 32 * 8 + 8    800, twice
#   linear 16 * 8 * 4 + 4                                                                                      516
ENCODER_PARAMETERS = 2 * 800 + 516
ENCODER: Json = {
    "input_shape": [16, 8],
    "layers": [
        {
            "type": "repeat",
            "times": 2,
            "name": "block",
            "layers": [
                {
                    "type": "residual",
                    "layers": [
                        {"type": "batchnorm1d"},
                        {
                            "type": "parallel",
                            "branches": [
                                [{"type": "linear", "out": 8}, {"type": "softmax"}],
                                [{"type": "linear", "out": 8}],
                            ],
                            "merge": "multiply",
                        },
                        {"type": "linear", "out": 8},
                    ],
                },
                {
                    "type": "residual",
                    "layers": [
                        {"type": "batchnorm1d"},
                        *({"type": "linear", "out": 32}, {"type": "relu"}, {"type": "dropout", "p": 0.1}),
                        {"type": "linear", "out": 8},
                    ],
                },
            ],
        },
        {"type": "flatten"},
        {"type": "linear", "out": 4},
    ],
}

NETWORKS: dict[str, tuple[Json, int]] = {
    "ResNet-20": (RESNET_20, RESNET_20_PARAMETERS),
    "ResNet-20 by names": (RESNET_20_BY_NAMES, RESNET_20_PARAMETERS),
    "DenseNet-BC": (DENSENET, DENSENET_PARAMETERS),
    "two branches": (TWO_BRANCHES, TWO_BRANCHES_PARAMETERS),
    "siamese": (SIAMESE, SIAMESE_PARAMETERS),
    "siamese towers": (SIAMESE_TOWERS, SIAMESE_PARAMETERS),
    "encoder": (ENCODER, ENCODER_PARAMETERS),
}
