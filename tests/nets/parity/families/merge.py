"""Merges of two and more inputs."""

from __future__ import annotations

from tests.nets.parity.case import Case

IMAGE, STEPS, ROW = (2, 3, 4), (4, 3), (5,)


def merge(kind: str, torch: str, *takes: tuple[int, ...], **fields: object) -> Case:
    return Case({"type": kind, **fields}, takes, torch)


CASES = {
    "add": merge("add", "Merge(torch.add)", ROW, ROW),
    "add of three images": merge("add", "Merge(torch.add)", IMAGE, IMAGE, IMAGE),
    "multiply": merge("multiply", "Merge(torch.mul)", IMAGE, IMAGE),
    "multiply of three sequences": merge("multiply", "Merge(torch.mul)", STEPS, STEPS, STEPS),
    "subtract": merge("subtract", "Merge(torch.sub)", STEPS, STEPS),
    "average of four": merge("average", "Average()", IMAGE, IMAGE, IMAGE, IMAGE),
    "maximum": merge("maximum", "Merge(torch.maximum)", IMAGE, IMAGE),
    "maximum of three rows": merge("maximum", "Merge(torch.maximum)", ROW, ROW, ROW),
    "concat": merge("concat", "Concat()", IMAGE, (3, 3, 4)),
    "concat below each other": merge("concat", "Concat(2)", IMAGE, (2, 1, 4), (2, 2, 4), axis="height"),
    "concat beside each other": merge("concat", "Concat(-1)", IMAGE, (2, 3, 1), axis=-1),
    "concat of steps": merge("concat", "Concat(1)", STEPS, (2, 3), axis="length"),
    "concat of features": merge("concat", "Concat(2)", STEPS, (4, 2)),
    "concat of rows": merge("concat", "Concat()", ROW, (3,), (1,)),
}
