"""What PyTorch counts of recurrent layers and attention: `flops_of_layers.json`, made once by this script.

usage: pip install torch==2.13.0 && python -m tests.nets.flops_of_layers

`FlopCounterMode` knows products of matrices, not the kernels of whole recurrent layers and of attention: recurrent layers
run as their cells here (`nn.LSTMCell` and its like), layer by layer and step by step, attention by its plain products.
PyTorch has no cell that projects; such layers are counted by hand in `test_cost.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.nets.parity.families.attention_modules import Attention
from tests.nets.parity.families.transformer_modules import Decoder, Encoder

DATA = Path(__file__).with_suffix(".json")
STEPS, WIDTH = 5, 6
CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
RECURRENT = [
    {"type": kind, "hidden_size": 4, **fields}
    for kind in CELLS
    for fields in (
        {},
        {"bias": False},
        {"num_layers": 3},
        {"bidirectional": True},
        {"num_layers": 2, "bidirectional": True, "output": "last"},
    )
]
# Of each: the layer, the shapes that it takes, PyTorch's module.
ATTENTION = [
    ({"num_heads": 2}, [(5, 6)], lambda: Attention(6, 2, batch_first=True)),
    ({"num_heads": 3, "bias": False, "causal": True}, [(7, 6)], lambda: Attention(6, 3, batch_first=True, bias=False)),
    ({"num_heads": 2}, [(5, 6), (4, 6)], lambda: Attention(6, 2, batch_first=True)),
    ({"num_heads": 2}, [(5, 6), (4, 3), (4, 8)], lambda: Attention(6, 2, batch_first=True, kdim=3, vdim=8)),
    (
        {"num_heads": 2, "add_bias_kv": True, "add_zero_attn": True},
        [(5, 6), (4, 6)],
        lambda: Attention(6, 2, batch_first=True, add_bias_kv=True, add_zero_attn=True),
    ),
]
ENCODER = {"type": "transformerencoderlayer", "nhead": 2, "dim_feedforward": 8, "dropout": 0}
BLOCKS = [
    (ENCODER, [(5, 6)], lambda: Encoder(6, 2, 8, dropout=0)),
    ({**ENCODER, "type": "transformerdecoderlayer"}, [(5, 6), (4, 6)], lambda: Decoder(6, 2, 8, dropout=0)),
]


def unrolled(layer, x):
    """A recurrent layer by its cells; how much they compute does not depend on where a direction begins."""
    sides, size = 1 + layer.get("bidirectional", False), layer["hidden_size"]
    for _ in range(layer.get("num_layers", 1)):
        cells = [CELLS[layer["type"]](x.shape[-1], size, bias=layer.get("bias", True)) for _ in range(sides)]
        x = torch.cat([torch.stack(list(states(cell, x)), 1) for cell in cells], -1)
    return x


def states(cell, x):
    state = None
    for step in x.unbind(1):
        state = cell(step, state)
        yield state[0] if isinstance(state, tuple) else state


def counted(compute):
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops()


def main():
    x = torch.rand(1, STEPS, WIDTH)
    rows = [{"layer": e, "takes": [[STEPS, WIDTH]], "flops": counted(lambda e=e: unrolled(e, x))} for e in RECURRENT]
    others = [({"type": "multiheadattention", **layer}, *rest) for layer, *rest in ATTENTION] + BLOCKS
    for layer, takes, make in others:
        module = make()
        inputs = [torch.rand(1, *shape) for shape in takes]
        rows.append({"layer": layer, "takes": takes, "flops": counted(lambda m=module, i=inputs: m(*i))})
    DATA.write_text(json.dumps({"torch": torch.__version__.partition("+")[0], "layers": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
