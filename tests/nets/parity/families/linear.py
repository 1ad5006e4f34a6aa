"""Fully connected layers."""

from tests.nets.parity.case import Case

CASES = {
    "linear": Case({"type": "linear", "out": 4}, ((6,),), "nn.Linear(6, 4)"),
    "linear of steps": Case({"type": "linear", "out": 4}, ((5, 6),), "nn.Linear(6, 4)"),
    "linear of an image": Case(
        {"type": "linear", "out": 4}, ((2, 3, 4),), "nn.Sequential(nn.Flatten(), nn.Linear(24, 4))",
        names={"it.weight": "1.weight", "it.bias": "1.bias"},
    ),
    "linear without a bias": Case({"type": "linear", "out": 4, "bias": False}, ((6,),), "nn.Linear(6, 4, bias=False)"),
    "layers in a row": Case(
        [{"type": "linear", "out": 5}, {"type": "tanh"}, {"type": "linear", "out": 3}], ((6,),),
        "nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))",
    ),
}  # fmt: skip
INITIAL = {"linear": Case({"type": "linear", "out": 100}, ((100,),), "nn.Linear(100, 100)")}
