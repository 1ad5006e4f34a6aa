"""The networks of finished runs: loaded once, compiled once, and the recently used ones kept."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backend.state.checkpoints import Checkpoints
from backend.state.records import RunRecord
from nets import datasets
from nets.architecture.read import parse_architecture
from nets.checkpoint import load_weights
from nets.inference import Predictor, Readers
from nets.kernels import Choice


@dataclass(frozen=True)
class Fingerprint:
    """What changes when a file is written, replaced or cut off."""

    inode: int
    size: int
    modified: int  # nanoseconds, as the next
    changed: int

    @classmethod
    def of(cls, path: Path) -> Fingerprint | None:
        """None where there is no such file."""
        try:
            return cls.by(path.stat())
        except OSError:
            return None

    @classmethod
    def by(cls, found: os.stat_result) -> Fingerprint:
        """Of a file by what the system says of it."""
        return cls(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True)
class Loaded:
    """A run's network in memory. `shape`: (channels, height, width) of its images."""

    run_id: str
    model_id: str
    dataset: str
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    file: Fingerprint
    predictor: Predictor


class Predictors:
    """The `capacity` most recently used networks, by run. Safe from any thread."""

    def __init__(self, checkpoints: Checkpoints, *, kernels: Choice = "auto", capacity: int = 16) -> None:
        self._checkpoints, self._kernels = checkpoints, kernels
        self._capacity = capacity
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # one at a time: two requests for one run load it once
        self._kept: OrderedDict[str, Loaded] = OrderedDict()
        self._readers = Readers()

    def kept(self, run_id: str) -> Loaded | None:
        """A network that is in memory, and whose file is the one that was verified when it was loaded.

        A file that was touched since is read and verified again: a record and its weights never drift apart unnoticed.
        """
        with self._lock:
            loaded = self._kept.get(run_id)
            if loaded is not None:
                self._kept.move_to_end(run_id)
        if loaded is None or loaded.file != Fingerprint.of(self._checkpoints.weights(run_id)):
            return None
        return loaded

    def load(self, run: RunRecord) -> Loaded:
        """The network of a succeeded run with its weights on the disk. Raises CheckpointError."""
        with self._loading:
            if (loaded := self.kept(run.run_id)) is not None:
                return loaded
            loaded = self._read(run)
            with self._lock:
                self._kept[run.run_id] = loaded
                while len(self._kept) > self._capacity:
                    self._kept.popitem(last=False)
            return loaded

    def forget(self, run_ids: Iterable[str]) -> None:
        with self._lock:
            for run_id in run_ids:
                self._kept.pop(run_id, None)

    def _read(self, run: RunRecord) -> Loaded:
        path = self._checkpoints.weights(run.run_id)
        before = Fingerprint.of(path)
        architecture = parse_architecture(run.architecture)
        variables = load_weights(path, architecture, sha256=run.weights_sha256)
        assert before is not None, "it has just been read"
        return Loaded(
            run_id=run.run_id,
            model_id=run.model_id,
            dataset=run.dataset,
            classes=tuple(datasets.info(run.dataset).classes),
            shape=architecture.graph.input.shape,
            file=before,
            predictor=Predictor(
                architecture,
                variables,
                precision=run.precision or "float32",
                views=run.hyperparams.get("test_time_augmentation"),
                kernels=self._kernels,
                readers=self._readers,
            ),
        )
