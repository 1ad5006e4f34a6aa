"""The process that measures one repeat of a cell: reads a job on standard input, writes JSON lines.

usage: python -m nets.benchmarks.cell < JOB

Lines are `{"phase", "fraction"}`, at last one of `{"measured"}` or `{"error"}`. It ends when whoever started it is
gone.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import jax

from nets.architecture.read import parse_architecture
from nets.benchmarks.measuring import Job, measured, reached, results_of
from nets.calibration.calibration import Calibration, keep, kept
from nets.calibration.peaks import measured_peaks
from nets.errors import NetsError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.process.device import prepare_process
from nets.process.devices import find

PR_SET_PDEATHSIG = 1  # prctl(2)


def job_of(sent: dict[str, Any]) -> Job:
    """What `nets.benchmarks.worker` sends."""
    chosen = {name: sent[name] for name in ("device", "precision", "batch_size", "seed")}
    return Job(
        architecture=parse_architecture(sent["body"]["architecture"]),
        hyperparams=parse_hyperparams({**sent["body"]["hyperparams"], **chosen}),
        data=sent["data"],
        data_dir=Path(sent["data_dir"]),
        programs=Path(sent["programs"]),
        warmup_seconds=sent["warmup_seconds"],
        measured_seconds=sent["measured_seconds"],
        loss_steps=sent["loss_steps"],
        max_samples=sent["max_samples"],
        target=sent["target"],
        target_epochs=sent["target_epochs"],
    )


def peaks_of(sent: dict[str, Any]) -> dict[str, Any]:
    """Measure what a device can do, and keep it for later benchmarks."""
    device, folder = find(sent["device"]), Path(sent["calibrations"])
    peaks = measured_peaks(device)
    keep(folder, peaks.of(kept(folder, device) or Calibration.blank(device)))
    return {"flops": dict(peaks.flops), "bandwidth": peaks.bandwidth}


def main() -> int:
    parent = os.getppid()
    if sys.platform == "linux":  # it may be compiling, or in the middle of a dispatch, when that one is killed
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    sent = json.loads(sys.stdin.readline())
    prepare_process()
    jax.config.update("jax_default_device", find(sent["device"]))
    try:
        if sent["kind"] == "peaks":
            tell({"measured": peaks_of(sent)})
            return 0
        job = job_of(sent)
        for line in results_of(reached(job) if sent["kind"] == "target" else measured(job)):
            if os.getppid() != parent:
                return 1
            tell({"phase": line[0], "fraction": line[1]} if isinstance(line, tuple) else {"measured": line})
    except (NetsError, ValueError) as error:
        tell({"error": str(error)})
        return 1
    except Exception as error:  # out of memory on a device, a compiler that gives up
        tell({"error": f"{type(error).__name__}: {str(error).partition(chr(10))[0][:500]}"})
        return 1
    return 0


def tell(line: dict[str, Any]) -> None:
    print(json.dumps(line, allow_nan=False), flush=True)


if __name__ == "__main__":
    sys.exit(main())
