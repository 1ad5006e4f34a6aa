"""What data sheets say of the devices that JAX names."""

from __future__ import annotations

import pytest

from nets.process.data_sheets import SHEETS, data_sheet

KINDS = {  # as JAX calls them, with 10^12 operations of float32 and bfloat16
    "NVIDIA A100-SXM4-40GB": (19.5, 312),
    "NVIDIA A100-SXM4-80GB": (19.5, 312),
    "NVIDIA A100 80GB PCIe": (19.5, 312),
    "NVIDIA H100 80GB HBM3": (67, 989.5),
    "NVIDIA H100 PCIe": (51, 756.5),
    "NVIDIA H100 NVL": (60, 835.5),
    "NVIDIA H200": (67, 989.5),
    "NVIDIA L4": (30.3, 121),
    "NVIDIA L40S": (91.6, 362.05),
    "Tesla V100-SXM2-16GB": (15.7, None),
    "Tesla T4": (8.1, None),
    "NVIDIA GeForce RTX 3090": (35.6, 71),
    "NVIDIA GeForce RTX 4090": (82.6, 165.2),
    "NVIDIA B200": (75, 2250),
    "TPU v2": (None, 22.5),
    "TPU v4": (None, 275),
    "TPU v5 lite": (None, 197),
    "TPU v5": (None, 459),
    "TPU v6 lite": (None, 918),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_own_peaks(kind: str) -> None:
    told = data_sheet("tpu" if kind.startswith("TPU") else "gpu", kind)
    for found, expected in zip((told["float32"], told["bfloat16"]), KINDS[kind], strict=True):
        assert found["flops_per_second"] == (expected and expected * 1e12)
        assert (found["reason"] is None) == (expected is not None)
    assert told["source"] and told["bandwidth"]


@pytest.mark.parametrize("kind", ["NVIDIA L40", "NVIDIA GeForce RTX 3090 Ti", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "?"])
def test_of_other_kinds_nothing_is_said(kind: str) -> None:
    told = data_sheet("gpu", kind)
    assert told["float32"]["flops_per_second"] is None and told["float32"]["reason"]
    assert told["source"] is None


def test_bandwidth_and_operations_are_of_the_usual_size() -> None:
    for sheet in SHEETS:
        assert 100 < sheet.bandwidth < 10_000 and sheet.source
        assert sheet.float32 is None or sheet.bfloat16 is None or sheet.bfloat16 > 1.9 * sheet.float32 - 1
