"""PyTorch's side of a race: the network of a body, made of PyTorch's own modules and trained as well as it trains here.

usage: peer_pytorch.py BODY.json ARRAYS.npz [--precision float32|bfloat16] [--compile]

A script of its own that needs PyTorch and NumPy alone; `race.py` starts it and no test imports it. BODY has an
architecture with every field filled in; ARRAYS has `inputs` in canonical order (images uint8 [n, height, width,
channels], numbers float32, tokens integers) and `labels`. All samples lie in memory as one tensor, batches are gathered
by index, images lie channels last, a final softmax is left to the loss. Protocol: that of `epochs.py`; `READY` is
followed by the number of parameters.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Json = dict[str, Any]


class Laid(NamedTuple):
    """A tensor and how it lies: BCHW, BTC or BCT (a sequence), BC, BT (tokens)."""

    tensor: Tensor
    form: str

    @property
    def width(self) -> int:
        """Channels or features."""
        return self.tensor.shape[self.form.index("C")]


class Function(nn.Module):
    """What has no weights."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *xs: Tensor) -> Tensor:
        return self.function(*xs)


class Recurrent(nn.Module):
    """All steps of a recurrent module, or the last."""

    def __init__(self, kind: type[nn.RNNBase], layer: Json, width: int) -> None:
        super().__init__()
        options = {name: layer[name] for name in ("num_layers", "bias", "dropout", "bidirectional") if name in layer}
        self.inner = kind(width, layer["hidden_size"], batch_first=True, **options)
        self.last = layer.get("output") == "last"

    def forward(self, x: Tensor) -> Tensor:
        every, state = self.inner(x)
        if not self.last:
            return every
        ends = state[0] if isinstance(state, tuple) else state
        return torch.cat(tuple(ends[-2:]), 1) if self.inner.bidirectional else ends[-1]


class Encoder(nn.Module):
    """PyTorch's own encoder layer, which computes attention by `scaled_dot_product_attention`."""

    def __init__(self, layer: Json, width: int) -> None:
        super().__init__()
        names = ("nhead", "dim_feedforward", "dropout", "activation", "norm_first", "layer_norm_eps", "bias")
        options = {name: layer[name] for name in names if name in layer}
        self.inner = nn.TransformerEncoderLayer(width, batch_first=True, **options)
        self.causal = layer.get("causal", False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.causal:
            return self.inner(x)
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.inner(x, src_mask=mask, is_causal=True)


class Attention(nn.Module):
    def __init__(self, layer: Json, width: int) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(
            width, layer["num_heads"], dropout=layer["dropout"], bias=layer["bias"], batch_first=True
        )
        self.causal = layer["causal"]

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        y = x if memory is None else memory
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]) if self.causal else None
        return self.inner(x, y, y, attn_mask=mask, is_causal=self.causal, need_weights=False)[0]


class Positions(nn.Module):
    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(length, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight[: x.shape[1]]


class ClassToken(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.weight.expand(len(x), 1, -1), x], 1)


class Patches(nn.Module):
    def __init__(self, layer: Json, width: int) -> None:
        super().__init__()
        size = layer["patch_size"]
        self.inner = nn.Conv2d(width, layer["embed_dim"], size, size, bias=layer["bias"])

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).flatten(2).transpose(1, 2)


class Shortcut(nn.Module):
    """relu(norm(conv(relu(norm(conv(x))))) + shortcut(x))."""

    def __init__(self, layer: Json, width: int) -> None:
        super().__init__()
        out, size, step, bias = (layer[name] for name in ("out_channels", "kernel_size", "stride", "bias"))
        self.body = nn.Sequential(
            nn.Conv2d(width, out, size, step, size // 2, bias=bias),
            *(nn.BatchNorm2d(out), nn.ReLU(), nn.Conv2d(out, out, size, 1, size // 2, bias=bias), nn.BatchNorm2d(out)),
        )
        self.more, self.step = out - width, step
        plain = (out, step) == (width, 1) or layer["shortcut"] == "pad"
        self.skip = None if plain else nn.Conv2d(width, out, 1, step, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.skip is not None:
            return F.relu(self.body(x) + self.skip(x))
        kept = x[:, :, :: self.step, :: self.step] if self.step > 1 else x
        return F.relu(self.body(x) + (F.pad(kept, (0, 0, 0, 0, 0, self.more)) if self.more else kept))


def convolution(kind: Any, x: Laid, layer: Json) -> nn.Module:
    options = {name: layer[name] for name in ("stride", "dilation", "groups", "bias", "padding_mode") if name in layer}
    padding = layer.get("padding", 0)
    if padding == "same" and options["stride"] != 1:
        padding = layer["kernel_size"] // 2  # the same for odd kernels, up to which side an odd zero stands on
    return kind(x.width, layer["out_channels"], layer["kernel_size"], padding=padding, **options)


def linear(x: Laid, layer: Json) -> nn.Module:
    """An image is flattened for it."""
    if x.form == "BCHW":
        return nn.Sequential(nn.Flatten(), nn.Linear(x.tensor[0].numel(), layer["out"], layer["bias"]))
    return nn.Linear(x.width, layer["out"], layer["bias"])


def pool(function: Any, layer: Json) -> nn.Module:
    names = {"kernel_size", "stride", "padding", "ceil_mode"} & layer.keys()
    return Function(lambda x: function(x, **{name: layer[name] for name in names}))


def every(function: Callable[[Tensor], Tensor]) -> Callable[[Laid, Json], nn.Module]:
    """A function of each value."""
    return lambda x, layer: Function(function)


def averaged(x: Laid, layer: Json) -> nn.Module:
    axes = {"BCHW": (2, 3), "BTC": 1, "BCT": 2}[x.form]
    return Function(lambda x: x.mean(axes))


def chosen(x: Laid, layer: Json) -> nn.Module:
    """One step of a sequence."""
    assert layer["index"] is not None, "ranges are not raced"
    return Function(lambda x: x[:, layer["index"]])


MODULES: Mapping[str, Callable[[Laid, Json], nn.Module]] = {
    "conv1d": lambda x, layer: convolution(nn.Conv1d, x, layer),
    "conv2d": lambda x, layer: convolution(nn.Conv2d, x, layer),
    "linear": linear,
    "batchnorm1d": lambda x, layer: nn.BatchNorm1d(x.width, layer["eps"], layer["momentum"]),
    "batchnorm2d": lambda x, layer: nn.BatchNorm2d(x.width, layer["eps"], layer["momentum"]),
    "layernorm": lambda x, layer: nn.LayerNorm(x.width, layer["eps"]),
    "maxpool1d": lambda x, layer: pool(F.max_pool1d, layer),
    "maxpool2d": lambda x, layer: pool(F.max_pool2d, layer),
    "avgpool2d": lambda x, layer: pool(F.avg_pool2d, layer),
    "globalavgpool": averaged,
    "upsample": lambda x, layer: nn.Upsample(scale_factor=layer["scale_factor"], mode=layer["mode"]),
    "dropout": lambda x, layer: nn.Dropout(layer["p"]),
    "relu": every(F.relu),
    "relu6": every(F.relu6),
    "gelu": lambda x, layer: nn.GELU(layer["approximate"]),
    "silu": every(F.silu),
    "sigmoid": every(torch.sigmoid),
    "tanh": every(torch.tanh),
    "add": every(lambda *xs: sum(xs[1:], xs[0])),
    "multiply": every(lambda x, y: x * y),
    "concat": lambda x, layer: Function(lambda *xs: torch.cat(xs, x.form.index("C"))),
    "flatten": lambda x, layer: nn.Flatten(),
    "reshape": lambda x, layer: Function(lambda x: x.reshape(len(x), *layer["shape"])),
    "permute": lambda x, layer: Function(lambda x: x.permute(0, *layer["dims"])),
    "slice": chosen,
    "embedding": lambda x, layer: nn.Embedding(layer["num_embeddings"], layer["embedding_dim"]),
    "positionalembedding": lambda x, layer: Positions(x.tensor.shape[1], x.width),
    "classtoken": lambda x, layer: ClassToken(x.width),
    "patchembedding": lambda x, layer: Patches(layer, x.width),
    "transformerencoderlayer": lambda x, layer: Encoder(layer, x.width),
    "multiheadattention": lambda x, layer: Attention(layer, x.width),
    "rnn": lambda x, layer: Recurrent(nn.RNN, layer, x.width),
    "lstm": lambda x, layer: Recurrent(nn.LSTM, layer, x.width),
    "gru": lambda x, layer: Recurrent(nn.GRU, layer, x.width),
    "residual_block": lambda x, layer: Shortcut(layer, x.width),
}
# In which form they take a sequence; others take it as it comes.
SEQUENCES = {
    **dict.fromkeys(("conv1d", "batchnorm1d", "maxpool1d"), "BCT"),
    **dict.fromkeys(("linear", "layernorm", "flatten", "reshape", "permute", "slice", "positionalembedding"), "BTC"),
    **dict.fromkeys(("classtoken", "transformerencoderlayer", "multiheadattention", "rnn", "lstm", "gru"), "BTC"),
}


def given_form(tensor: Tensor, before: str) -> str:
    """How a result lies."""
    rank = tensor.dim()
    return {4: "BCHW", 3: "BTC" if before in ("BT", "BCHW", "BC") else before, 2: "BC"}[rank]


def lying(x: Laid, form: str | None) -> Laid:
    """A sequence in another form."""
    if form is None or x.form == form or {x.form, form} != {"BTC", "BCT"}:
        return x
    return Laid(x.tensor.transpose(1, 2), form)


class Network(nn.Module):
    """Layers of a list, which read each other by name. Made while a first batch runs through them."""

    def __init__(self, layers: Sequence[Json], x: Laid) -> None:
        super().__init__()
        self.wiring: list[tuple[str, list[str], str | None]] = []
        self.inner = nn.ModuleList()
        values, before = {"input": x}, "input"
        for name, layer in unrolled(layers):
            read = layer.get("inputs") or [before]
            form = SEQUENCES.get(layer["type"]) or values[read[0]].form
            entered = [lying(values[each], form) for each in read]
            module = made(layer, entered[0])
            self.inner.append(module)
            self.wiring.append((name, read, form))
            values[name] = self.through(module, entered)
            before = name

    def through(self, module: nn.Module, xs: list[Laid]) -> Laid:
        if isinstance(module, Joined):
            return module(xs[0])
        y = module(*(x.tensor for x in xs))
        return Laid(y, given_form(y, xs[0].form))

    def forward(self, x: Laid) -> Laid:
        values = {"input": x}
        for (name, read, form), module in zip(self.wiring, self.inner, strict=True):
            values[name] = self.through(module, [lying(values[each], form) for each in read])
        return values[name]


class Joined(nn.Module):
    """Several networks that read the same, and what is made of all that they give."""

    def __init__(self, branches: Sequence[Sequence[Json]], x: Laid, join: str) -> None:
        super().__init__()
        self.branches = nn.ModuleList(Network(layers, x) if layers else nn.Identity() for layers in branches)
        self.join = join

    def forward(self, x: Laid) -> Laid:
        found = [branch(x) for branch in self.branches]
        tensors = [lying(each, found[0].form).tensor for each in found]
        if self.join == "add":
            return Laid(sum(tensors[1:], tensors[0]), found[0].form)
        return Laid(torch.cat(tensors, found[0].form.index("C")), found[0].form)


def unrolled(layers: Sequence[Json], prefix: str = "") -> Iterator[tuple[str, Json]]:
    """Layers with their names; those of a `repeat` as often as it says. A final softmax is left out."""
    for number, layer in enumerate(layers):
        name = prefix + layer.get("name", f"{layer['type']}_{number}")
        if layer["type"] == "repeat":
            for time_ in range(layer["times"]):
                yield from unrolled(layer["layers"], f"{name}.{time_}.")
        elif not (layer["type"] == "softmax" and number == len(layers) - 1):
            yield name, layer


def made(layer: Json, x: Laid) -> nn.Module:
    if layer["type"] == "residual":
        return Joined([layer["layers"], layer.get("shortcut") or []], x, "add")
    if layer["type"] == "parallel":
        return Joined(layer["branches"], x, layer["merge"]["type"])
    return MODULES[layer["type"]](x, layer)


def optimizer(body: Json, network: nn.Module) -> torch.optim.Optimizer:
    asked = body["hyperparams"]["optimizer"]
    if asked["type"] == "sgd":
        return torch.optim.SGD(network.parameters(), lr=asked["lr"], momentum=asked.get("momentum", 0))
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return kinds[asked["type"]](network.parameters(), lr=asked["lr"])


def inputs_of(arrays: Mapping[str, np.ndarray], count: int) -> Laid:
    """The samples that are trained on, as PyTorch wants them; images from 0 to 1."""
    found = arrays["inputs"][:count]
    if found.ndim == 4:
        images = torch.tensor(found.astype(np.float32) / 255).permute(0, 3, 1, 2)
        return Laid(images.contiguous(memory_format=torch.channels_last), "BCHW")
    if found.dtype.kind in "iu":
        return Laid(torch.tensor(found.astype(np.int64)), "BT")
    return Laid(torch.tensor(found), "BC" if found.ndim == 2 else "BTC")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("body", type=Path)
    parser.add_argument("arrays", type=Path)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--compile", action="store_true", help="torch.compile, which needs a C++ compiler")
    asked = parser.parse_args()
    body, arrays = json.loads(asked.body.read_text()), np.load(asked.arrays)
    h = body["hyperparams"]
    torch.manual_seed(h.get("seed") or 0)
    count = int(len(arrays["labels"]) * h["train_split"])
    x, labels = inputs_of(arrays, count), torch.tensor(arrays["labels"][:count].astype(np.int64))
    network = Network(body["architecture"]["layers"], Laid(x.tensor[:2], x.form)).to(memory_format=torch.channels_last)
    step = optimizer(body, network)
    run = torch.compile(network, dynamic=False) if asked.compile else network

    def epoch() -> tuple[float, float]:
        order, began, total = torch.randperm(count), time.perf_counter(), torch.zeros(())
        for start in range(0, count, h["batch_size"]):
            chosen = order[start : start + h["batch_size"]]
            step.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=asked.precision == "bfloat16"):
                logits = run(Laid(x.tensor[chosen], x.form)).tensor
            loss = F.cross_entropy(logits.float(), labels[chosen])
            loss.backward()
            step.step()
            total += loss.detach() * len(chosen)
        return count / (time.perf_counter() - began), total.item() / count

    epoch()
    print("READY", sum(each.numel() for each in network.parameters()), flush=True)
    for _ in sys.stdin:
        speed, loss = epoch()
        print(f"{speed:.1f} {loss:.4f}", flush=True)


if __name__ == "__main__":
    main()
