"""The table of convolutions in nets/kernels/README.md: `python -m tests.nets.kernels.algorithms` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

import nets.kernels
from nets.kernels.cpu import limits
from nets.kernels.cpu.convolution import ALGORITHMS

README = Path(nets.kernels.__file__).parent / "README.md"
START, END = "<!-- table: python -m tests.nets.kernels.algorithms -->", "<!-- end -->"


def table() -> str:
    """In markdown, with what every limit is."""
    lines = ["| | row | takes | does | limits | source |", "|---|---|---|---|---|---|"]
    for number, row in enumerate(ALGORITHMS, 1):
        named = "<br>".join(f"`{name}`{_value(name)}" for name in row.limits)
        lines.append(f"| {number} | `{row.name}` | {row.takes} | {row.does} | {named} | {row.source} |")
    return "\n".join(lines)


def _value(name: str) -> str:
    value = getattr(limits, name)
    if not isinstance(value, int | float):
        return ""  # by precision, unit or size
    return f" {value >> 20} MiB" if isinstance(value, int) and value >= 1 << 20 else f" {value}"


if __name__ == "__main__":
    pattern = re.compile(f"{re.escape(START)}.*?{re.escape(END)}", re.DOTALL)
    README.write_text(pattern.sub(f"{START}\n{table()}\n{END}", README.read_text()))
