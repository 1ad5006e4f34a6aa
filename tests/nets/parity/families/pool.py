"""Pools."""

from tests.nets.parity.case import Case

CASES = {
    "maxpool2d": Case({"type": "maxpool2d", "kernel_size": 2}, ((3, 6, 5),), "nn.MaxPool2d(2)"),
    "maxpool2d of a stride": Case(
        {"type": "maxpool2d", "kernel_size": [3, 2], "stride": [1, 2], "padding": [1, 0]},
        ((3, 6, 5),),
        "nn.MaxPool2d((3, 2), stride=(1, 2), padding=(1, 0))",
    ),
}
