"""What an epoch costs, down to the disk, does not depend on how many came before it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backend.samples import eventually
from tests.backend.test_training import Server

EPOCHS, PART = 20_000, 5000
FEW = 0.005  # of the epochs are faster: what else the machine does shows in the others, for seconds at a time


def trained(folder: Path, monkeypatch: pytest.MonkeyPatch, epochs: int) -> tuple[np.ndarray, list[int], int]:
    """Seconds of the training thread in each epoch but the first, bytes of each checkpoint, number of events kept."""
    server, told, written = Server(folder), [], []
    publish, keep = server.log.publish, server.checkpoints.keep

    def heard(run_id: str, name: str, *arguments: Any, **fields: Any) -> int:
        event_id = publish(run_id, name, *arguments, **fields)
        if name == "metric":
            told.append(time.thread_time())  # not what other processes take
        return event_id

    def kept(run_id: str, *arguments: Any) -> None:
        keep(run_id, *arguments)
        written.append(server.checkpoints.training(run_id).stat().st_size)

    monkeypatch.setattr(server.log, "publish", heard)
    monkeypatch.setattr(server.checkpoints, "keep", kept)
    run_id = server.start().submit(epochs=epochs, max_samples=64, batch_size=32)
    eventually(lambda: server.store.tail(run_id)[0] == "succeeded", within=600)
    events = len(server.store.events(run_id))
    server.close()
    return np.diff(told), written, events


@pytest.mark.slow
@pytest.mark.timed
def test_the_last_epochs_take_as_long_as_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, written, events = trained(tmp_path, monkeypatch, EPOCHS)
    assert np.quantile(seconds[-PART:], FEW) / np.quantile(seconds[:PART], FEW) <= 1.1
    assert max(written) - min(written) < 16
    assert events > EPOCHS
