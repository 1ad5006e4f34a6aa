"""Layers applied to each step of a sequence."""

from __future__ import annotations

from tests.nets.parity.case import Case

CASES = {
    "an lstm over the values of each step, and a norm that sees all steps": Case(
        [
            {
                "type": "timedistributed",
                "layers": [
                    {"type": "reshape", "shape": [4, 1], "name": "0"},
                    {"type": "lstm", "hidden_size": 3, "output": "last", "name": "1"},
                    {"type": "batchnorm1d", "name": "2"},
                ],
            },
        ],
        ((5, 4),),
        "nn.Sequential(EachStep(nn.Unflatten(1, (4, 1)), last(nn.LSTM(1, 3, batch_first=True)), nn.BatchNorm1d(3)))",
    ),
    "a convolution of each step as an image, within another one": Case(
        [
            {
                "type": "timedistributed",
                "layers": [
                    {"type": "reshape", "shape": [2, 8], "name": "0"},
                    {
                        "type": "timedistributed",
                        "name": "1",
                        "layers": [
                            {"type": "reshape", "shape": [2, 2, 2], "name": "0"},
                            {"type": "conv2d", "out_channels": 3, "kernel_size": 2, "name": "1"},
                            {"type": "flatten", "name": "2"},
                        ],
                    },
                    {"type": "flatten", "name": "2"},
                ],
            },
        ],
        ((3, 16),),
        "nn.Sequential(EachStep(nn.Unflatten(1, (2, 8)), EachStep(nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 3, 2), "
        "nn.Flatten()), nn.Flatten()))",
    ),
}
