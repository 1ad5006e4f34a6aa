"""The folders under the state directory that hold a run's weights, explain them, and hold where training stopped."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from backend.state.files import DESCRIPTION, RUN_ID, TRAINING, WEIGHTS, sync_folder
from backend.state.records import Json
from nets.architecture.architecture import Architecture
from nets.checkpoint import save_weights
from nets.durable import write_durably
from nets.errors import CheckpointError
from nets.hyperparams.hyperparams import Hyperparams
from nets.network import Variables
from nets.training.snapshot import Snapshot, load_snapshot, save_snapshot


class Checkpoints:
    """`<state_dir>/<run_id>/{weights.msgpack,run.json,training.msgpack}`. What has weights.msgpack is complete.

    training.msgpack: the state after the run's last epoch, written before anyone is told of the epoch.
    """

    def __init__(self, state_dir: Path) -> None:
        self.root = state_dir.resolve()

    def folder(self, run_id: str) -> Path:
        """The folder of a run, whether it exists or not; `ValueError` for an id that is no plain name."""
        if not RUN_ID.fullmatch(run_id):
            raise ValueError(f"{run_id!r} is not a run id")
        return self.root / run_id

    def weights(self, run_id: str) -> Path:
        """The weight file of a run, whether it exists or not; holds after the state directory was renamed."""
        return self.folder(run_id) / WEIGHTS

    def write(self, run_id: str, description: Json, variables: Variables) -> tuple[str, str]:
        """Save `variables`, and `description` with their hash beside them; `saved_model_path` and SHA-256 in hex.

        The weights get their name last, when everything is on the disk: a crash leaves either all or no weights.
        """
        folder = self._made(run_id)
        unnamed = folder / f"{WEIGHTS}.new"
        sha256 = save_weights(unnamed, variables)
        text = json.dumps({"run_id": run_id, **description, "weights_sha256": sha256}, indent=2, allow_nan=False)
        write_durably(folder / DESCRIPTION, f"{text}\n".encode())
        os.replace(unnamed, folder / WEIGHTS)
        sync_folder(folder)
        return f"{self.root.name}/{run_id}/{WEIGHTS}", sha256

    def training(self, run_id: str) -> Path:
        """The training state of a run, whether it exists or not."""
        return self.folder(run_id) / TRAINING

    def keep(self, run_id: str, snapshot: Snapshot) -> None:
        """Make `snapshot` the training state of a run, in place of the one before."""
        save_snapshot(self._made(run_id) / TRAINING, snapshot, owner=run_id)

    def snapshot(self, run_id: str, architecture: Architecture, hyperparams: Hyperparams, *, epoch: int) -> Snapshot:
        """The training state of a run whose record tells of `epoch` epochs, or the one after it, not yet told of.

        CheckpointError where it is gone, damaged, of another run or network, or not of this time.
        """
        snapshot = load_snapshot(self.training(run_id), architecture, hyperparams, owner=run_id)
        if snapshot.epoch not in (epoch, epoch + 1):
            raise CheckpointError(
                f"the training state {TRAINING} is that of epoch {snapshot.epoch}, and the record that of epoch {epoch}"
            )
        return snapshot

    def _made(self, run_id: str) -> Path:
        folder = self.folder(run_id)
        if not folder.is_dir():
            folder.mkdir(parents=True)
            sync_folder(self.root)
        return folder

    def resolve(self, saved_model_path: str) -> Path:
        """The weight file that a `saved_model_path` names; `ValueError` unless it is the form that `write` returns.

        Nothing outside the state directory can be named, by `..`, absolute path or symbolic link. The first part is
        what the state directory was called when the path was told: only the run says which file it is.
        """
        rule = f"a saved_model_path has the form {self.root.name}/<run_id>/{WEIGHTS}"
        parts = saved_model_path.split("/") if isinstance(saved_model_path, str) else []
        if len(parts) != 3 or parts[0] in ("", ".", "..") or parts[2] != WEIGHTS or not RUN_ID.fullmatch(parts[1]):
            raise ValueError(f"{rule}, got {saved_model_path!r}")
        path = self.root / parts[1] / WEIGHTS
        if path.resolve() != path:
            raise ValueError(f"{rule} without symbolic links, got {saved_model_path!r}")
        return path

    def exists(self, saved_model_path: str | None) -> bool:
        """Whether a record's weights are on the disk."""
        try:
            return saved_model_path is not None and self.resolve(saved_model_path).is_file()
        except ValueError:
            return False

    def cut_back(self, run_id: str) -> None:
        """Leave a run nothing but its training state: no weights that it did not end with, nothing half-written."""
        folder = self.folder(run_id)
        if folder.is_symlink() or not folder.is_dir():
            return
        (folder / WEIGHTS).unlink(missing_ok=True)
        for entry in folder.iterdir():
            if entry.name != TRAINING:
                entry.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()

    def remove(self, run_id: str) -> None:
        """Remove a run's folder, if there is one: the weights first, so that no incomplete folder has them."""
        folder = self.folder(run_id)
        if folder.is_symlink() or not folder.is_dir():
            return
        (folder / WEIGHTS).unlink(missing_ok=True)
        shutil.rmtree(folder)
