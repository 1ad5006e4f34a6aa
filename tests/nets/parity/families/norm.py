"""Norms."""

from tests.nets.parity.case import Case

CASES = {
    "batchnorm2d": Case({"type": "batchnorm2d"}, ((4, 3, 5),), "nn.BatchNorm2d(4)"),
    "batchnorm1d": Case({"type": "batchnorm1d"}, ((6,),), "nn.BatchNorm1d(6)", batch=5),
    "batchnorm1d of steps": Case({"type": "batchnorm1d"}, ((5, 6),), "nn.BatchNorm1d(6)", channels_first=True),
    "batchnorm2d of options": Case(
        {"type": "batchnorm2d", "eps": 0.01, "momentum": 0.3}, ((4, 3, 5),), "nn.BatchNorm2d(4, eps=0.01, momentum=0.3)"
    ),
}
INITIAL = {"batchnorm2d": Case({"type": "batchnorm2d"}, ((50, 2, 2),), "nn.BatchNorm2d(50)")}
