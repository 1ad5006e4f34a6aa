"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from nets.kernels.plan import Activation, Bound, Plan
from nets.layers.base import Example, Layer, Misfit, Parameter, Shape, register, uniform
from nets.spec.fields import Boolean, Width


@register
class Linear(Layer):
    """`y = x W + b`. An image is flattened first. PyTorch's `nn.Linear`."""

    type: Literal["linear"] = "linear"
    in_features: Width | None = Field(None, alias="in", description="Features that come in; told by the layer before.")
    out_features: Width = Field(alias="out", description="Features that go out.")
    bias: Boolean = True

    aliases = {"units": "out", "input_dim": "in", "out_features": "out", "in_features": "in"}
    takes = "features"
    converts = True
    examples = (
        Example({"type": "linear", "out": 128}, (64, 7, 7), (128,)),
        Example({"type": "linear", "in": 3136, "out": 128}, (64, 7, 7), (128,)),
        Example({"type": "linear", "units": 10}, (128,), (10,)),
        Example({"type": "linear", "out": 5, "bias": False}, (7,), (5,)),
    )

    def misfits(self, shape: Shape) -> Iterator[Misfit]:
        yield from super().misfits(shape)
        if self.in_features is not None and self.in_features != shape[0]:
            yield Misfit.declared(self, "in", self.in_features, shape[0])

    def filled(self, shape: Shape) -> Self:
        return self.model_copy(update={"in_features": shape[0]})

    def output_shape(self, shape: Shape) -> Shape:
        return (self.out_features,)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        init = uniform(shape[0])
        kernel = Parameter((shape[0], self.out_features), init)
        return {"kernel": kernel, "bias": Parameter((self.out_features,), init)} if self.bias else {"kernel": kernel}

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        return plan.dense(x, bound.param("kernel"), bound.param("bias") if self.bias else None)
