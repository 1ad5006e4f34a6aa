"""A store as years of use leave it, made in a minute: `python -m tests.load.full_store STATE_DIR`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from backend.events.wire import state_data
from backend.state.curve import extended
from backend.state.records import Json, RunRecord, utc_now
from backend.state.rows import RUN_COLUMNS, checksum, dumps, to_columns
from backend.state.store import STORE_FILE, Store
from backend.state.tables import insert, renew
from nets.hyperparams.hyperparams import parse_hyperparams
from tests.nets.builders import REFERENCE

GRID = [[(row * column) % 256 for column in range(28)] for row in range(28)]
SAMPLES: list[Json] = [{"grid": GRID, "label": 7, "prediction": 7, "confidence": 0.98765}] * 8


def metric(run_id: str, epoch: int, epochs: int) -> Json:
    falling = 1 / (1 + epoch)
    return {
        "run_id": run_id,
        "epoch": epoch,
        "train_loss": 0.1234567890123 + falling,
        "val_loss": 0.2345678901234 + falling,
        "train_accuracy": 0.987654321 - falling / 2,
        "val_accuracy": 0.976543210 - falling / 2,
        "learning_rate": 0.001,
        "epoch_time": 0.6543210987,
        "samples_per_sec": 6543.210987654,
        "progress": epoch / epochs,
        "eta_seconds": (epochs - epoch) * 0.6543210987,
    }


def record(run_id: str, model_id: str, epochs: int) -> RunRecord:
    now = utc_now()
    return RunRecord(
        run_id=run_id,
        model_id=model_id,
        state="succeeded",
        created_at=now,
        architecture=REFERENCE,
        hyperparams=parse_hyperparams(
            {"epochs": epochs, "dataset_type": "mnist", "optimizer": {"type": "adam"}}
        ).to_json(),
        dataset="mnist",
        dataset_named=True,
        queued=True,
        epochs_total=epochs,
        epoch=epochs,
        started_at=now,
        completed_at=now,
        test_accuracy=0.9876,
        test_loss=0.0456,
        saved_model_path=f"state/{run_id}/weights.msgpack",
        weights_sha256="0" * 64,
        sample_predictions=SAMPLES,
        device="cpu: a processor of eight cores",
        precision="float32",
        compile_seconds=2.34,
        versions={
            "lamina": "1.0.0",
            "jax": "0.4.38",
            "jaxlib": "0.4.38",
            "flax": "0.10.2",
            "optax": "0.2.4",
            "numpy": "2.1.3",
        },
    )


def history(run_id: str, epochs: int) -> Iterator[tuple[str, Json]]:
    yield "state", state_data(run_id, "queued")
    yield "state", state_data(run_id, "running")
    for epoch in range(1, epochs + 1):
        yield "metric", metric(run_id, epoch, epochs)
    yield "state", state_data(run_id, "succeeded", test_accuracy=0.9876, sample_predictions=SAMPLES)


def add(store: Store, runs: Iterator[RunRecord]) -> None:
    """Runs with all their events, in one transaction."""
    with store._write() as connection:
        models = set()
        for ended, run in enumerate(runs, start=1):
            curve, events = None, []
            for number, (name, data) in enumerate(history(run.run_id, run.epochs_total), start=1):
                curve = extended(curve, number, data) if name == "metric" else curve
                values = (run.run_id, number, name, dumps(data))
                events.append((*values, checksum(values)))
            if run.model_id not in models:
                models.add(run.model_id)
                definition = {"model_id": run.model_id, "name": run.model_id, "architecture": dumps(REFERENCE)}
                times = {"created_at": run.created_at, "updated_at": run.created_at}
                insert(connection, "models", {**definition, **times, "trained": False, "runs_total": 0})
            columns = {name: getattr(run, name) for name in RUN_COLUMNS} | {"curve": curve}
            insert(connection, "runs", {**to_columns(columns, allowed=RUN_COLUMNS), "ended": ended})
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", events)
        for model_id in models:
            renew(connection, model_id)


def fill(state_dir: Path, *, runs: int = 20_000, models: int = 200, long: int = 10, epochs: int = 100_000) -> None:
    """`runs` of five epochs, dealt to `models`; and a model `m_long` with `long` runs of `epochs`, which is the newest."""
    store = Store(state_dir / STORE_FILE)
    short = (record(f"r_{number}", f"m_{number % models}", 5) for number in range(runs))
    add(store, short)
    add(store, (record(f"r_long_{number}", "m_long", epochs) for number in range(long)))
    store.close()


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
