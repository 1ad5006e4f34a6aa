"""Functions of each value, softmax and its like."""

from tests.nets.parity.case import Case

IMAGE, STEPS, FEATURES = (3, 3, 4), (4, 5), (6,)


def case(module: str, *, takes: tuple[int, ...] = IMAGE, spread: float = 3, **layer: object) -> Case:
    """A layer on values far enough from 0 for all of its pieces."""
    return Case(layer, (takes,), module, spread=spread)


CASES = {
    "gelu": case("nn.GELU()", type="gelu"),
    "gelu by tanh": case("nn.GELU(approximate='tanh')", type="gelu", approximate="tanh"),
    "relu": case("nn.ReLU()", type="relu"),
    "sigmoid": case("nn.Sigmoid()", type="sigmoid"),
    "tanh": case("nn.Tanh()", type="tanh"),
    "softmax": case("nn.Softmax(dim=1)", type="softmax", takes=FEATURES),
    "softmax of pixels": case("nn.Softmax(dim=1)", type="softmax"),
    "softmax of steps": case("nn.Softmax(dim=2)", type="softmax", takes=STEPS),
    "logsoftmax": case("nn.LogSoftmax(dim=1)", type="logsoftmax"),
    "logsoftmax of steps": case("nn.LogSoftmax(dim=2)", type="log_softmax", takes=STEPS),
    "softmin": case("nn.Softmin(dim=1)", type="softmin"),
    "relu6": case("nn.ReLU6()", type="relu6", spread=6),
    "leakyrelu": case("nn.LeakyReLU()", type="leaky_relu"),
    "leakyrelu of a slope": case("nn.LeakyReLU(0.3)", type="leakyrelu", negative_slope=0.3),
    "prelu": case("nn.PReLU()", type="prelu", takes=FEATURES),
    "prelu of channels": case("nn.PReLU(3)", type="prelu", num_parameters=3),
    "rrelu": Case({"type": "rrelu"}, (IMAGE,), "nn.RReLU()", random=True),
    "rrelu of bounds": Case({"type": "rrelu", "lower": 0.1, "upper": 0.2}, (IMAGE,), "nn.RReLU(0.1, 0.2)", random=True),
    "elu": case("nn.ELU()", type="elu"),
    "elu of alpha": case("nn.ELU(0.3)", type="elu", alpha=0.3),
    "celu": case("nn.CELU()", type="celu"),
    "celu of alpha": case("nn.CELU(0.3)", type="celu", alpha=0.3),
    "selu": case("nn.SELU()", type="selu"),
    "silu": case("nn.SiLU()", type="swish"),
    "mish": case("nn.Mish()", type="mish"),
    "hardswish": case("nn.Hardswish()", type="hardswish"),
    "hardsigmoid": case("nn.Hardsigmoid()", type="hardsigmoid"),
    "scale": case("Scale(0.3)", type="scale", factor=0.3),
    "scale that is learned": case("Scale(0.3, 1)", type="scale", factor=0.3, learned=True),
    "scale of each channel": case("Scale(0.3, 3)", type="scale", learned=True, per_channel=True),
    "hardtanh": case("nn.Hardtanh()", type="hardtanh"),
    "hardtanh of bounds": case("nn.Hardtanh(-3, 0.5)", type="hardtanh", min_val=-3, max_val=0.5),
    "softplus": case("nn.Softplus()", type="softplus"),
    "softplus of beta": case("nn.Softplus(2.0, 1.0)", type="softplus", beta=2, threshold=1),
    "softplus far away": case("nn.Softplus()", type="softplus", spread=60),
    "softsign": case("nn.Softsign()", type="softsign"),
    "tanhshrink": case("nn.Tanhshrink()", type="tanhshrink"),
    "softshrink": case("nn.Softshrink()", type="softshrink"),
    "softshrink of lambd": case("nn.Softshrink(1.5)", type="softshrink", lambd=1.5),
    "hardshrink": case("nn.Hardshrink()", type="hardshrink"),
    "hardshrink of lambd": case("nn.Hardshrink(1.5)", type="hardshrink", lambd=1.5),
    "threshold": case("nn.Threshold(0.1, 20.0)", type="threshold", threshold=0.1, value=20),
    "logsigmoid": case("nn.LogSigmoid()", type="logsigmoid"),
    "glu": case("nn.GLU(dim=1)", type="glu", takes=(4, 3, 4)),
    "glu of steps": case("nn.GLU(dim=2)", type="glu", takes=(4, 6)),
    "identity": case("nn.Identity()", type="identity"),
    "flatten": case("nn.Flatten()", type="flatten"),
    "flatten of steps": case("nn.Flatten()", type="flatten", takes=STEPS),
}
INITIAL = {
    "prelu": Case({"type": "prelu", "num_parameters": 500}, ((500,),), "nn.PReLU(500)"),
    "prelu of init": Case({"type": "prelu", "num_parameters": 500, "init": 0.1}, ((500,),), "nn.PReLU(500, init=0.1)"),
}
