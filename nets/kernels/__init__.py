"""How convolutions, pooling, norms and dense layers are computed on each platform: one plan per platform and use."""

from __future__ import annotations

from nets.kernels.cpu import CpuPlan
from nets.kernels.cpu.machine import product_unit
from nets.kernels.cpu.native import conv as native
from nets.kernels.plan import Plan
from nets.kernels.xla.plan import XlaPlan

__all__ = ["CpuPlan", "Plan", "XlaPlan", "plan_for"]


def plan_for(platform: str, *, training: bool, precision: str = "float32") -> Plan:
    """The fastest plan for `platform` (jax's name of a backend). `precision`: float32 | bfloat16 (see `XlaPlan`)."""
    if platform == "cpu" and training:
        return CpuPlan(precision, product_unit(), native.available(precision))
    return XlaPlan(precision, platform)
