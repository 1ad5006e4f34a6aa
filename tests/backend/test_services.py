"""The parts of a server over a state directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from backend.config import Kernels, settings_from
from backend.training import executor
from nets import inference
from nets.kernels import Choice
from tests.backend.conftest import BODY, finish, offline_app, parts


def test_a_state_directory_of_everybody_is_used_without_compiled_programs(tmp_path: Path) -> None:
    (tmp_path / "state" / "compiled").mkdir(parents=True)
    (tmp_path / "state").chmod(0o777)
    app = offline_app(tmp_path)
    try:
        (warning,) = app.test_client().get("/api/health").json["warnings"]
    finally:
        parts(app).close()
    assert "compiled programs are not kept" in warning and warning.endswith(
        "state may be written to by others (mode 0777): chmod go-w it"
    )
    assert str(tmp_path) not in warning
    assert not any((tmp_path / "state" / "compiled").iterdir())


@pytest.mark.slow
def test_the_choice_of_kernels_reaches_whatever_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []

    def noted(name: str, original: Any) -> Any:
        return lambda *args, **how: asked.append((name, how.get("kernels"))) or original(*args, **how)

    monkeypatch.setattr(executor, "fit", noted("train", executor.fit))
    monkeypatch.setattr(inference, "plan_for", noted("predict", inference.plan_for))
    app = offline_app(tmp_path, kernels="xla")
    try:
        client = app.test_client()
        run = finish(client, client.post("/api/train", json=BODY).json["run_id"])
        assert (run["state"], run["kernels"]) == ("succeeded", "xla"), run["error"]
        assert client.get("/api/runs").json["runs"][0]["kernels"] == "xla"
        body = {"run_id": run["run_id"], "pixels": run["sample_predictions"][0]["grid"]}
        body["pixels"] = [[grey / 255 for grey in row] for row in body["pixels"]]
        assert client.post("/api/infer", json=body).status_code == 200
        model = parts(app).store.get_model(run["model_id"])
        assert model is not None
        ahead = parts(app).compile_ahead.workload_of(model)
        assert ahead is not None and ahead.kernels == "xla"
    finally:
        parts(app).close()
    assert set(asked) == {("train", "xla"), ("predict", "xla")}


def test_the_choices_of_the_setting_are_those_of_the_library() -> None:
    assert get_args(Kernels) == get_args(Choice)
    for choice in get_args(Choice):
        assert settings_from({"kernels": choice}, {}).kernels == settings_from({}, {"LAMINA_KERNELS": choice}).kernels
