"""What is known of the processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from nets.kernels.cpu.convolution import choose
from nets.kernels.cpu.machine import Machine, product_unit
from nets.kernels.cpu.problem import ConvProblem
from nets.numerics.windows import Geometry


def test_vectors_that_would_be_half_empty_are_left_to_products_of_matrices() -> None:
    double, full = (Machine("float32", unit, native=True) for unit in ("double_pumped", "full_width"))
    assert all(machine.native_for(batch) for machine in (double, full) for batch in (16, 32, 48, 60, 64, 256))
    assert full.native_for(100) and not double.native_for(100)
    assert not any(machine.native_for(batch) for machine in (double, full) for batch in (0, 1, 10, 20, 50))
    assert not Machine("float32", "full_width").native_for(64)


def test_what_is_computed_seldom_is_computed_by_what_compiles_soonest() -> None:
    often, seldom = (Machine("float32", "full_width", True, seldom) for seldom in (False, True))
    assert all(seldom.native_for(batch) for batch in (1, 10, 20, 64)) and not seldom.native_for(0)
    assert not Machine("float32", "full_width", seldom=True).native_for(64)
    of = [ConvProblem.of((3, 3, 256, 256), Geometry(), (16, 16), 64, machine) for machine in (often, seldom)]
    assert [choose(problem).name for problem in of] == ["winograd_phases", "native"]


@pytest.mark.parametrize(
    ("flags", "unit"),
    [
        ("avx512_bf16 amx_bf16 avx_vnni", "amx"),
        ("avx512_bf16 avx_vnni", "full_width"),
        ("avx512_bf16", "double_pumped"),
        ("avx2", "double_pumped"),
        (None, "double_pumped"),
    ],
)
def test_the_unit_is_told_by_what_linux_says(flags: str | None, unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> str:
        if flags is None:
            raise FileNotFoundError(path)
        return f"flags : fpu {flags}\n"

    monkeypatch.setattr(Path, "read_text", read)
    assert product_unit.__wrapped__() == unit
