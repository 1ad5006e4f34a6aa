"""The limits of the rows stand in one file."""

from __future__ import annotations

from nets.kernels.cpu import limits
from nets.kernels.cpu.convolution import ALGORITHMS
from tests.nets.kernels import algorithms


def test_every_limit_belongs_to_a_row_or_is_explained() -> None:
    named = {name for algorithm in ALGORITHMS for name in algorithm.limits}
    public = {name for name in vars(limits) if name.isupper() and not name.startswith("_")}
    assert named <= public
    text = algorithms.README.read_text()
    assert all(f"`{name}`" in text for name in public - named)
