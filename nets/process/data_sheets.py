"""What data sheets say of devices: the most operations of each precision, and the bandwidth of the memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nets.facts import DataSheet, Peak

T, G = 10**12, 10**9

NO_BFLOAT16 = "it has no units for bfloat16: XLA computes in float32 what operands rounded to bfloat16 give"
NO_FLOAT32 = "a TPU multiplies bfloat16: a true float32 product takes it several passes, whose rate no data sheet names"
UNKNOWN = "no data sheet of this kind is known here; compare with the measured peak"
OF_A_CPU = (
    "it follows from the clock under load and the number of vector units, which no data sheet states together; "
    "compare with the measured peak"
)


@dataclass(frozen=True)
class Sheet:
    """One kind of device, by a pattern of what JAX calls it.

    Dense products, without sparsity, operations in 10^12 a second: float32 without tensor cores, which true float32
    cannot use, bfloat16 with sums in float32. bandwidth: 10^9 bytes a second.
    """

    kind: re.Pattern[str]
    float32: float | None
    bfloat16: float | None
    bandwidth: float
    source: str


def _sheet(kind: str, float32: float | None, bfloat16: float | None, bandwidth: float, source: str) -> Sheet:
    return Sheet(re.compile(kind, re.IGNORECASE), float32, bfloat16, bandwidth, source)


V100 = "NVIDIA V100 Tensor Core GPU data sheet, 2020"
A100 = "NVIDIA A100 Tensor Core GPU data sheet, 2022"
H100 = "NVIDIA H100 Tensor Core GPU data sheet, 2024"
H200 = "NVIDIA H200 Tensor Core GPU data sheet, 2024"
B200 = "NVIDIA Blackwell data sheet (HGX B200), 2025; one GPU of the board"
TPU = "Cloud TPU documentation, system architecture of "

# The first that is found in the kind; the narrower names of a family come first. MIG slices match none.
SHEETS = (
    _sheet(r"\bB200\b", 75, 2250, 7700, B200),
    _sheet(r"\bH200 NVL\b", 60, 835.5, 4800, H200),
    _sheet(r"\bH200\b", 67, 989.5, 4800, H200),
    _sheet(r"\bH100 NVL\b", 60, 835.5, 3900, H100),
    _sheet(r"\bH100 PCIe\b", 51, 756.5, 2000, "NVIDIA H100 Tensor Core GPU data sheet, 2022"),
    _sheet(r"\bH100 80GB HBM3\b|\bH100 SXM", 67, 989.5, 3350, H100),
    _sheet(r"\bA100-SXM\d?-80GB\b", 19.5, 312, 2039, A100),
    _sheet(r"\bA100 80GB PCIe\b|\bA100-PCIE-80GB\b", 19.5, 312, 1935, A100),
    _sheet(r"\bA100-(SXM\d?|PCIE)-40GB\b", 19.5, 312, 1555, "NVIDIA A100 Tensor Core GPU data sheet, 2020"),
    _sheet(r"\bL40S\b", 91.6, 362.05, 864, "NVIDIA L40S data sheet, 2023"),
    _sheet(r"\bL4\b", 30.3, 121, 300, "NVIDIA L4 Tensor Core GPU data sheet, 2023"),
    _sheet(r"\bV100S", 16.4, None, 1134, V100),
    _sheet(r"\bV100-(SXM\d?|DGXS)", 15.7, None, 900, V100),
    _sheet(r"\bV100-(PCIE|FHHL)", 14, None, 900, V100),
    _sheet(r"\bT4\b", 8.1, None, 320, "NVIDIA T4 Tensor Core GPU data sheet, 2019"),
    _sheet(r"\bRTX 3090$", 35.6, 71, 936, "NVIDIA Ampere GA102 GPU architecture, 2021"),
    _sheet(r"\bRTX 4090$", 82.6, 165.2, 1008, "NVIDIA Ada GPU architecture, 2023"),
    # Of a TPU v2 or v3 a device of JAX is one of the two cores of a chip.
    _sheet(r"^TPU v2$", None, 22.5, 350, f"{TPU}TPU v2; half a chip"),
    _sheet(r"^TPU v3$", None, 61.5, 450, f"{TPU}TPU v3; half a chip"),
    _sheet(r"^TPU v4$", None, 275, 1200, f"{TPU}TPU v4"),
    _sheet(r"^TPU (v5 lite|v5e)$", None, 197, 819, f"{TPU}TPU v5e"),
    _sheet(r"^TPU v5p?$", None, 459, 2765, f"{TPU}TPU v5p"),
    _sheet(r"^TPU (v6 lite|v6e)$", None, 918, 1638, f"{TPU}TPU v6e"),
)


def data_sheet(platform: str, kind: str) -> DataSheet:
    """Of a device, by the kind that JAX calls it; null with the reason where nothing is known."""
    if platform == "cpu":
        return _nothing(OF_A_CPU)
    sheet = next((sheet for sheet in SHEETS if sheet.kind.search(kind) and "MIG" not in kind), None)
    if sheet is None:
        return _nothing(UNKNOWN)
    return {
        "float32": _peak(sheet.float32, NO_FLOAT32),
        "bfloat16": _peak(sheet.bfloat16, NO_BFLOAT16),
        "bandwidth": sheet.bandwidth * G,
        "source": sheet.source,
    }


def _peak(value: float | None, reason: str) -> Peak:
    known = value is not None
    return {"flops_per_second": value * T if value is not None else None, "reason": None if known else reason}


def _nothing(reason: str) -> DataSheet:
    return {"float32": _peak(None, reason), "bfloat16": _peak(None, reason), "bandwidth": None, "source": None}
