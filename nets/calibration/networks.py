"""Small networks that a device is measured by: of every layer type, form, precision and size of batch some."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams

Json = dict[str, Any]
GREY, COLOURS, SMALL = (1, 28, 28), (3, 32, 32), (1, 14, 14)
RATE = 1e-6  # labels are random: nothing is to be learned, or diverge

# c32k5s2g4d2: a convolution of 32 channels, 5 x 5 (3 x 3 unless said), stride 2, 4 groups, dilation 2; v: no padding.
# t64k5: one of a sequence; l128: a dense layer; a2: an average pool; p3s2: a 3 x 3 pool of stride 2 (2 x 2: p2);
# r32s2: a residual block; n: a norm of the batch. (a|b): two branches side by side. x10[...]: ten residual blocks of
# these layers. The other words are those of `SIMPLE`. What follows the layers: images, size of a batch, optimizer,
# precision.
NETWORKS: tuple[tuple[str, tuple[int, int, int], int, str, str], ...] = (
    ("", GREY, 64, "sgd", "float32"),
    ("", COLOURS, 512, "adam", "float32"),
    ("l32 relu l16 relu l32 relu l16 relu l32 relu l16 relu", GREY, 32, "adam", "float32"),
    ("l256 relu l128 tanh", GREY, 64, "momentum", "float32"),
    ("l1024 relu l512 relu", GREY, 128, "adam", "float32"),
    ("l1600 sigmoid l1200 sigmoid", COLOURS, 32, "sgd", "float32"),
    ("l320 relu drop l320 relu drop", GREY, 1024, "rmsprop", "float32"),
    ("l200 n relu l200 n relu", GREY, 16, "adamw", "float32"),
    ("l512 n tanh l256 n relu", COLOURS, 256, "momentum", "bfloat16"),
    ("l700 relu drop l300 relu", GREY, 64, "adam", "bfloat16"),
    (
        "l128 relu l128 relu l128 relu l128 relu l128 relu l128 relu l128 relu l128 relu",
        GREY,
        128,
        "momentum",
        "float32",
    ),
    ("c8 relu p2", GREY, 32, "sgd", "float32"),
    ("c32 relu p2 l64 relu", GREY, 64, "momentum", "float32"),
    ("c16k5 relu p2 c32k5 relu p2", GREY, 64, "adam", "float32"),
    ("c16 relu c24 relu p2 c40 relu", GREY, 16, "adam", "float32"),
    ("c24 relu p2 c40 relu p2 l256 relu drop", COLOURS, 128, "momentum", "bfloat16"),
    ("c12 n relu p2 c24 n relu", COLOURS, 64, "momentum", "float32"),
    ("c16 relu n p2 c32 relu n p2 l64 relu", GREY, 256, "adam", "float32"),
    ("c16 n relu c16 n relu p2", GREY, 512, "momentum", "bfloat16"),
    ("c64 relu p2 c96 relu c96 relu", GREY, 64, "momentum", "float32"),
    ("c96 relu p2 c112 relu", SMALL, 128, "adam", "bfloat16"),
    ("c20v relu p2 c40v relu p2", GREY, 1024, "adam", "float32"),
    ("c16s2 relu c32s2 relu c48s2 relu", GREY, 64, "momentum", "float32"),
    ("c24k4s2 relu c40k4s2 relu", COLOURS, 64, "adam", "bfloat16"),
    ("c16k9s4 relu c48k5 relu", COLOURS, 64, "momentum", "float32"),
    ("c16d2 relu p2 c24d2 relu", GREY, 64, "momentum", "float32"),
    ("c16 relu p2 c32g4 relu c32g2 relu", GREY, 64, "momentum", "float32"),
    ("c24 relu c24g24 n relu c32k1 relu p2 c32g32 relu", COLOURS, 64, "adam", "float32"),
    ("c16 relu c16g16 relu c48k1 n relu", GREY, 128, "momentum", "bfloat16"),
    ("c32 relu c16k1 relu p2 c48 relu c24k1 relu", GREY, 64, "momentum", "float32"),
    ("c16 n relu r16 r32s2", COLOURS, 64, "momentum", "float32"),
    ("c24 relu p2 r24 r24", GREY, 128, "adam", "bfloat16"),
    ("c12 relu (c12k1|c12) relu p2 (c16|c8k5) relu", GREY, 64, "momentum", "float32"),
    ("c8 relu x9[c8 relu] p2", SMALL, 64, "momentum", "float32"),
    ("c16 relu p3s2 c24 relu p3s1", GREY, 64, "momentum", "float32"),
    ("c24 tanh p2 c24 sigmoid drop", GREY, 64, "adam", "float32"),
    ("c24 relu p2 c48 relu p2", GREY, 50, "momentum", "float32"),
    ("c20k5v relu p2 c40k5v relu n l64 relu", GREY, 100, "adam", "bfloat16"),
    ("c32k7 relu p2 c24k7 relu", COLOURS, 20, "sgd", "float32"),
    ("c48 relu c48 relu p2 drop", COLOURS, 32, "momentum", "float32"),
    ("c24 gelu p2 c24 silu p2 l64 gelu", GREY, 64, "adam", "float32"),
    ("c64k4s4 gelu n x3[c64g64k5 gelu n] c64k1 gelu n mean", COLOURS, 64, "adamw", "float32"),
    ("c16 relu a2 c32 relu a2 mean l32 relu", GREY, 64, "momentum", "float32"),
    ("patches positions x2[attention] x2[l96 gelu l48] steps", GREY, 64, "adamw", "float32"),
    ("patches positions x3[norm attention] x3[norm l192 gelu l48] drop norm mean", COLOURS, 32, "adamw", "bfloat16"),
    ("rows t64 n relu t64k5 n relu mean", GREY, 64, "adam", "float32"),
    ("rows lstm l32 relu", GREY, 64, "adam", "float32"),
    ("rows t32 relu lstm", GREY, 256, "adam", "bfloat16"),
    ("rows gru l64 relu", GREY, 128, "momentum", "float32"),
)
OPTIMIZERS: Mapping[str, Json] = {"momentum": {"type": "sgd", "momentum": 0.9}}
SIMPLE: Mapping[str, Json] = {
    "relu": {"type": "relu"},
    "tanh": {"type": "tanh"},
    "sigmoid": {"type": "sigmoid"},
    "drop": {"type": "dropout"},
    "gelu": {"type": "gelu"},
    "silu": {"type": "silu"},
    "patches": {"type": "patchembedding", "patch_size": 4, "embed_dim": 48},
    "positions": {"type": "positionalembedding"},
    "attention": {"type": "multiheadattention", "num_heads": 4},
    "steps": {"type": "sequencepool"},
    "norm": {"type": "layernorm"},
    "mean": {"type": "globalavgpool"},
    "rows": {"type": "reshape", "shape": [28, 28]},
    "lstm": {"type": "lstm", "hidden_size": 64, "states": "last"},
    "gru": {"type": "gru", "hidden_size": 96, "states": "last"},
}
SEQUENCES = ("patches", "rows")  # words of what makes one of an image
WORD = re.compile(r"x(\d+)\[([^]]*)\]|\(([^)]*)\)|(\S+)")


def networks() -> Iterator[tuple[str, Architecture, Hyperparams]]:
    """Every one, with a name for whoever waits."""
    for words, shape, batch, optimizer, precision in NETWORKS:
        body = {"input_shape": list(shape), "layers": [*layers(words, image=True), {"type": "linear", "out": 10}]}
        wanted = {**OPTIMIZERS.get(optimizer, {"type": optimizer}), "lr": RATE}
        hyperparams = {"batch_size": batch, "optimizer": wanted, "precision": precision}
        yield words or "one dense layer", parse_architecture(body), parse_hyperparams(hyperparams)


def layers(words: str, *, image: bool) -> list[Json]:
    """The layers that words stand for."""
    found: list[Json] = []
    for times, repeated, branches, word in WORD.findall(words):
        if times:
            block = {"type": "residual", "layers": layers(repeated, image=True)}
            found.append({"type": "repeat", "times": int(times), "layers": [block]})
        elif branches:
            sides = [layers(branch, image=True) for branch in branches.split("|")]
            found.append({"type": "parallel", "branches": sides, "merge": "concat"})
        elif word == "n":
            found.append({"type": "batchnorm2d" if image else "batchnorm1d"})
        else:
            image = image and word[0] != "l" and word not in SEQUENCES
            found.append(dict(SIMPLE.get(word) or layer(word)))
    return found


def layer(word: str) -> Json:
    """One layer with numbers."""
    numbers = {name: int(value) for name, value in re.findall("([a-z])([0-9]+)", word)}
    if word[0] == "l":
        return {"type": "linear", "out": numbers["l"]}
    if word[0] == "p":
        return {"type": "maxpool2d", "kernel_size": numbers["p"], "stride": numbers.get("s", numbers["p"])}
    if word[0] == "a":
        return {"type": "avgpool2d", "kernel_size": numbers["a"]}
    if word[0] == "t":
        return {"type": "conv1d", "out_channels": numbers["t"], "kernel_size": numbers.get("k", 3), "padding": "same"}
    if word[0] == "r":
        return {"type": "residual_block", "out_channels": numbers["r"], "stride": numbers.get("s", 1)}
    fields = {"stride": numbers.get("s", 1), "groups": numbers.get("g", 1), "dilation": numbers.get("d", 1)}
    padding: Any = 0 if word.endswith("v") else numbers.get("k", 3) // 2 if fields["stride"] > 1 else "same"
    return {
        "type": "conv2d",
        "out_channels": numbers["c"],
        "kernel_size": numbers.get("k", 3),
        "padding": padding,
        **fields,
    }
