"""What a run takes of memory, beside what it claims: a process of its own for each, as the high-water mark only rises.

usage: python -m tests.nets.memory_probe REQUEST

REQUEST is JSON: `layers`, and what else of `hyperparams`, `shape` (channels, height, width) and `samples` is not as
usual. Prints JSON: `claim`, `expected` and `peak` in bytes over what the process took before, and both by their parts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def probe(request: dict[str, Any], *, timeout: float = 600) -> dict[str, Any]:
    """What `main` prints, from a new process."""
    command = [sys.executable, "-m", "tests.nets.memory_probe", json.dumps(request)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{request}: {done.returncode}: {done.stderr[-2000:]}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def resident(field: str) -> int:
    """Bytes of this process: `VmRSS` now, `VmHWM` at most since `forget`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


def forget() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    from nets import parse_architecture, parse_hyperparams
    from nets.process.device import prepare_process
    from nets.training.programs import rehearse, smallest

    prepare_process()  # as the server does
    request = json.loads(sys.argv[1])
    channels, height, width = request.get("shape", (1, 28, 28))
    architecture = parse_architecture({"input_shape": [channels, height, width], "layers": request["layers"]})
    wanted = {"epochs": 2, "max_samples": None, "optimizer": {"type": "sgd"}, **request.get("hyperparams", {})}
    wanted["optimizer"] = {**wanted["optimizer"], "lr": 1e-6}  # labels are random: nothing is to be learned, or diverge
    hyperparams = parse_hyperparams(wanted)
    rehearse(smallest())
    parts = {}
    start = resident("VmRSS")
    for part, _ in stages(architecture, hyperparams, request, parts):
        parts[part] = resident("VmHWM") - start
        forget()
    claim, expected = parts.pop("claim"), parts.pop("expected")
    print(
        json.dumps(
            {
                "claim": sum(claim.values()),
                "expected": expected,
                "peak": max(parts.values()),
                "claims": claim,
                "peaks": parts,
            }
        )
    )


def stages(architecture: Any, hyperparams: Any, request: dict[str, Any], parts: dict[str, Any]) -> Any:
    """The life of a run, from its images to answers: after each part its name."""
    import numpy as np

    from nets import Predictor, fit, load_weights, save_weights
    from nets.datasets import Dataset, DatasetInfo
    from nets.inspection.memory import memory_expected, memory_needed
    from nets.spec.values import image
    from nets.training.cache import ProgramCache
    from nets.training.events import EpochEnd, Finished, Progress
    from nets.training.snapshot import load_snapshot, save_snapshot

    channels, height, width = architecture.graph.input.shape
    train, test = request.get("samples", 2000), request.get("test", 500)
    classes = tuple(map(str, range(architecture.graph.classes)))
    info = DatasetInfo("made", "Made", "", image(channels, height, width), classes, train, test, None, True, "")
    claim = memory_needed(architecture, hyperparams, info)
    parts["claim"] = {name: value for name, value in asdict(claim).items()}
    parts["expected"] = memory_expected(architecture, hyperparams, info).total
    forget()
    random = np.random.default_rng(0)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
        images = random.integers(0, 256, (count, height, width, channels), np.uint8)
        return images, random.integers(0, len(classes), count).astype(np.int64)

    dataset = Dataset(info, *drawn(train), *drawn(test))
    yield "data", None
    with tempfile.TemporaryDirectory() as folder:
        state, weights = Path(folder, "state"), Path(folder, "weights")
        phase, finished, snapshot, programs = "loading", None, None, ProgramCache()
        for event in fit(architecture, hyperparams, dataset, programs=programs):
            if isinstance(event, Progress) and event.phase != phase:
                yield phase, None
                phase = event.phase
            if isinstance(event, EpochEnd):
                save_snapshot(state, event.take())
                yield "snapshot", None
            if isinstance(event, Finished):
                yield "test", None
                save_weights(weights, event.variables)
                finished = True
                yield "weights", None
        assert finished
        del event
        snapshot = load_snapshot(state, architecture, hyperparams)
        further = hyperparams.model_copy(update={"epochs": hyperparams.epochs + 1})
        for _ in fit(architecture, further, dataset, resume=snapshot, programs=programs):
            snapshot = None
        yield "resumed", None
        predictor = Predictor(architecture, load_weights(weights, architecture))
        yield "loaded", None
        for count in (1, 1, 16, 300):
            predictor.probabilities(random.random((count, height, width, channels), np.float32))
        yield "answers", None


if __name__ == "__main__":
    main()
