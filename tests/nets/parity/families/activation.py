"""Functions of each value, softmax and its like."""

from tests.nets.parity.case import Case

IMAGE, STEPS, FEATURES = (3, 3, 4), (4, 5), (6,)

CASES = {
    "relu": Case({"type": "relu"}, (IMAGE,), "nn.ReLU()"),
    "sigmoid": Case({"type": "sigmoid"}, (IMAGE,), "nn.Sigmoid()", spread=3),
    "tanh": Case({"type": "tanh"}, (IMAGE,), "nn.Tanh()", spread=3),
    "softmax": Case({"type": "softmax"}, (FEATURES,), "nn.Softmax(dim=1)"),
    "softmax of pixels": Case({"type": "softmax"}, (IMAGE,), "nn.Softmax(dim=1)"),
    "softmax of steps": Case({"type": "softmax"}, (STEPS,), "nn.Softmax(dim=2)"),
    "flatten": Case({"type": "flatten"}, (IMAGE,), "nn.Flatten()"),
    "flatten of steps": Case({"type": "flatten"}, (STEPS,), "nn.Flatten()"),
}
