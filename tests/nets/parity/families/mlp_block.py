"""Two linear layers in a row, over features or steps."""

from tests.nets.parity.case import Case

STEPS = (5, 6)


def mlp(arguments: str, takes: tuple[int, ...], **fields: object) -> Case:
    return Case({"type": "mlpblock", "hidden": 7, **fields}, (takes,), f"Mlp({arguments})")


CASES = {
    "mlpblock": mlp("6, 7, 6", STEPS),
    "mlpblock of features": mlp("6, 7, 4, activation=nn.ReLU", (6,), out=4, activation="relu"),
    "mlpblock over the steps": mlp("5, 7, 5, turn=True", STEPS, over="length"),
    "mlpblock over the steps without biases": mlp("5, 7, 3, turn=True, bias=False", STEPS, over="length", out=3, bias=False),
}  # fmt: skip
INITIAL = {
    "mlpblock": Case({"type": "mlpblock", "hidden": 60}, ((4, 40),), "Mlp(40, 60, 40)"),
    "mlpblock over the steps": Case({"type": "mlpblock", "hidden": 60, "over": "length"}, ((40, 4),), "Mlp(40, 60, 40)"),
}  # fmt: skip
