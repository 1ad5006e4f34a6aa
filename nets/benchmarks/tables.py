"""Results as rows: for files of comma-separated values, and for whoever shows them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from nets.benchmarks.results import Results
from nets.spec.spreadsheets import harmless

NESTED_LISTS = ("values", "curve")  # what a row of numbers cannot hold; results.json has it


def rows(results: Results) -> Iterator[dict[str, Any]]:
    """A flat row for each cell: nested fields by dotted names, with what its device and body are."""
    devices = {(device["machine"], device["id"]): device for device in results["devices"]}
    bodies = {body["name"]: body for body in results["bodies"]}
    for cell in results["cells"]:
        device, body = devices[cell["machine"], cell["device"]], bodies[cell["body"]]
        known = {"device_kind": device["kind"], "body_sha256": body["sha256"], "params": body["params"]}
        yield {**flat(cell), **known, "flops_train": body["flops_train"], "dataset": body["dataset"]}


def flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested objects by dotted names, without lists of measurements."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            found |= flat(item, f"{before}{name}.")
        elif name not in NESTED_LISTS:
            found[before + name] = item
    return found


def to_csv(results: Results) -> str:
    """A line for each cell under a line of names. What is null is empty."""
    found = list(rows(results))
    names = dict.fromkeys(name for row in found for name in row)
    nested = [name for name in names if any(other.startswith(f"{name}.") for other in names)]
    file = io.StringIO()
    writer = csv.DictWriter(file, [name for name in names if name not in nested], lineterminator="\n", restval="")
    writer.writeheader()
    for row in found:
        kept = {name: value for name, value in row.items() if name not in nested}
        writer.writerow({name: harmless(value) if isinstance(value, str) else value for name, value in kept.items()})
    return file.getvalue()
