"""The parts of a server over a state directory."""

from __future__ import annotations

from pathlib import Path

from tests.backend.conftest import offline_app, parts


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
