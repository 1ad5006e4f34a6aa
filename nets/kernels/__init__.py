"""How convolutions, pooling, norms and dense layers are computed on each platform: one plan per platform and use."""

from __future__ import annotations

from typing import Literal

from nets.kernels.cpu import CpuPlan
from nets.kernels.cpu.machine import product_unit
from nets.kernels.cpu.native import conv as native
from nets.kernels.plan import Plan
from nets.kernels.xla.plan import XlaPlan

__all__ = ["Choice", "CpuPlan", "Plan", "XlaPlan", "plan_for"]

# auto: the fastest. products: no machine code of ours, everything heavy a product of matrices. xla: XLA's own way.
Choice = Literal["auto", "products", "xla"]


def plan_for(platform: str, *, training: bool, precision: str = "float32", kernels: Choice = "auto") -> Plan:
    """The plan for `platform` (jax's name of a backend). `precision`: float32 | bfloat16 (see `XlaPlan`)."""
    if platform == "cpu" and training and kernels != "xla":
        return CpuPlan(precision, product_unit(), kernels == "auto" and native.available(precision))
    return XlaPlan(precision, platform)
