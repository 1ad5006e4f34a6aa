"""How networks are computed on each platform: one plan per platform and use."""

from __future__ import annotations

from typing import Literal

from nets.kernels.cpu import sequences
from nets.kernels.cpu.fusions import FUSIONS
from nets.kernels.cpu.machine import Machine, product_unit
from nets.kernels.cpu.native import conv as native
from nets.kernels.cpu.plan import CpuPlan
from nets.kernels.cpu.rows import KERNELS
from nets.kernels.plan import Plan
from nets.kernels.xla.plan import XlaPlan
from nets.numerics.numerics import Numerics

__all__ = ["Choice", "CpuPlan", "Plan", "XlaPlan", "cpu_plan", "plan_for"]

# auto: the fastest. products: no machine code of ours, everything heavy a product of matrices. xla: XLA's own way.
Choice = Literal["auto", "products", "xla"]


def plan_for(platform: str, *, training: bool, precision: str = "float32", kernels: Choice = "auto") -> Plan:
    """The plan for `platform` (jax's name of a backend). `precision`: float32 | bfloat16 (see `Numerics`)."""
    numerics = Numerics(precision, platform)
    if platform != "cpu" or not training or kernels == "xla":
        return XlaPlan(numerics)
    return cpu_plan(Machine(precision, product_unit(), kernels == "auto" and native.available(precision)))


def cpu_plan(machine: Machine) -> CpuPlan:
    """The plan for training on a CPU with all its rows."""
    return CpuPlan(
        Numerics(machine.precision),
        (*KERNELS, *sequences.KERNELS),
        (*FUSIONS, *sequences.FUSIONS),
        machine,
    )
