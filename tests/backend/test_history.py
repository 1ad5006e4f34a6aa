"""What runs have taken, for predictions."""

from tests.backend.conftest import BODY, NET, Trained, parts


def test_a_run_of_the_same_structure_tells_how_long_the_next_takes(trained: Trained) -> None:
    store, client = parts(trained.app).store, trained.client
    run = next(each for each in store.list_runs() if each.run_id == trained.run_id)
    found = client.post("/api/inspect", json={**BODY, "name": "another"}).json["predicted"]["cpu:0"]
    assert "same structure" in found["basis"]
    assert run.timing and found["seconds_per_epoch"] == run.timing["median_epoch_seconds"]
    other = client.post("/api/inspect", json={"architecture": NET, "hyperparams": {"batch_size": 31}})
    assert "same structure" not in other.json["predicted"]["cpu:0"]["basis"]
