"""How long a new server makes the first run of a network wait for its programs: those of the examples, or of a body.

usage: python -m tests.benchmarks.compile_times [-k KERNELS] [-b BATCH] [NAME | BODY.json ...]

Each is compiled in a process of its own, with nothing on the disk that another has compiled: every program that the run
waits for before its first step, side by side as it would, and then the one for the last batch of an epoch, which is
compiled while the first epoch trains. Prints a line each: the seconds that the run waits before its first step, those of
all processors until then and for the last batch, of each program on its thread, and how many native kernels came with
them. CPU seconds depend least on what else the machine does; two cores need at least half of them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from nets import examples, parse_architecture, parse_hyperparams
from nets.datasets import DATASETS
from nets.process.device import prepare_process
from nets.training.cache import ProgramCache
from nets.training.compilation import compilation
from nets.training.programs import compiling, rehearse, smallest
from nets.training.sampling import split_sizes
from nets.training.workload import workload_of
from tests.benchmarks.epochs import result

ROOT = Path(__file__).parents[2]
SAMPLES, TESTED = 50_000, 10_000  # of a data set that Lamina does not know
LIMIT = 600  # seconds


def body_of(wanted: str) -> dict[str, Any]:
    """Of an example's name, or of a file."""
    found: dict[str, Any] = (
        json.loads(Path(wanted).read_text()) if wanted.endswith(".json") else examples.network(wanted)["body"]
    )
    return found


def measured(body: dict[str, Any], kernels: Any) -> dict[str, Any]:
    """Of the compilation of a body, in this process."""
    architecture, hyperparams = parse_architecture(body["architecture"]), parse_hyperparams(body["hyperparams"])
    known = DATASETS.get(hyperparams.dataset_type or "")
    samples, tested = (known.train_size, known.test_size) if known else (SAMPLES, TESTED)
    train, validation = split_sizes(hyperparams, samples)
    samples = train + validation + tested
    workload = workload_of(architecture, hyperparams, train=train, samples=samples, kernels=kernels)
    rehearse(smallest())  # as a server does before anybody asks
    began, computed = time.perf_counter(), time.process_time()
    programs = result(compiling(workload, ProgramCache(), None, late=True))
    wall, cpu = time.perf_counter() - began, time.process_time() - computed
    origins = list(programs.origins)
    for late in programs.late:
        result(late.awaited(None))
        origins += late.arrivals()
    late_cpu = time.process_time() - computed - cpu
    told = compilation(origins, seconds=wall)
    return {
        "wall": round(wall, 2),
        "cpu": round(cpu, 2),
        "late cpu": round(late_cpu, 2),
        "programs": {each["name"]: round(each["seconds"], 2) for each in told["programs"]},
        "kernels": told["kernels"]["cold"]["count"],
        "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("wanted", nargs="*", metavar="NAME | BODY.json")
    arguments.add_argument("-k", "--kernels", default="auto", choices=["auto", "products", "xla"])
    arguments.add_argument("-b", "--batch", type=int)
    arguments.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    a = arguments.parse_args()
    if a.here:
        prepare_process()
        body = body_of(a.wanted[0])
        if a.batch:
            body["hyperparams"] = {**body["hyperparams"], "batch_size": a.batch}
        print(json.dumps(measured(body, a.kernels)))
        return
    for name in a.wanted or examples.names():
        command = [sys.executable, "-m", "tests.benchmarks.compile_times", "--here", "-k", a.kernels, name]
        if a.batch:
            command += ["-b", str(a.batch)]
        try:
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=LIMIT)
            found = done.stdout.strip() or f"ended with {done.returncode}"
        except subprocess.TimeoutExpired:
            found = f"not done after {LIMIT} s"
        print(f"{name:28} {found}", flush=True)


if __name__ == "__main__":
    main()
