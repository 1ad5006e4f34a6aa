"""What the plan for training on a CPU is, but for its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nets.architecture.graph import Graph
from nets.kernels.cpu import before_pool, limits
from nets.kernels.cpu.convolution import choose, footprint
from nets.kernels.cpu.gemm import OLD_EMITTERS, OPTIONS, OPTIONS_OF_IMAGES, barrier
from nets.kernels.cpu.machine import Machine
from nets.kernels.cpu.problem import ConvProblem
from nets.kernels.footprint import Footprint
from nets.kernels.plan import Plan, Rates, Way
from nets.numerics.windows import Geometry, Pair


@dataclass(frozen=True)
class CpuPlan(Plan):
    """Images channels first and batch last, everything heavy a matrix product or machine code of ours."""

    machine: Machine = Machine()

    name = "cpu"

    @property
    def rates(self) -> Rates:
        # Of two cores that do nothing else.
        fast = self.machine.precision == "bfloat16" and self.machine.unit != "double_pumped"
        return Rates(5e11 if fast else 2.5e11, 1.6e9)

    def compiler_options(self, graph: Graph) -> Mapping[str, str | bool]:
        return OPTIONS_OF_IMAGES if graph.has_images else OPTIONS

    def set_apart(self, updates: Any, graph: Graph) -> Any:
        # What the older generator makes of a loop that writes where it reads goes one value at a time: roots and
        # quotients take four times as long there. They get arrays of their own, and only the sum is made in place.
        return barrier(updates) if graph.has_images and OLD_EMITTERS else updates

    def micro_batch(self, graph: Graph) -> int | None:
        return limits.IMAGES_AT_A_TIME if graph.has_images else limits.FEATURES_AT_A_TIME

    @property
    def evaluation_batch(self) -> int | None:
        return limits.IMAGES_AT_A_TIME

    @property
    def least_copies(self) -> int | None:
        return limits.LOOP_LEAST_BLOCKS

    @property
    def least_positions(self) -> int:
        return limits.LOOP_LEAST_POSITIONS

    @property
    def seldom(self) -> CpuPlan:
        return replace(self, machine=replace(self.machine, seldom=True))

    def native_for(self, batch: int) -> bool:
        return self.machine.native_for(batch)

    def footprint(self, kernel: tuple[int, ...], at: Geometry, size: Pair, batch: int) -> Footprint:
        return footprint(ConvProblem.of(kernel, at, size, batch, self.machine))

    def way(self, kernel: tuple[int, ...], at: Geometry, size: Pair, batch: int, *, pooled: bool) -> Way:
        problem = ConvProblem.of(kernel, at, size, batch, self.machine)
        if pooled and before_pool.fits(problem):
            return Way("before_pool", before_pool.DOES)
        found = choose(problem)
        return Way(found.name, found.does)
