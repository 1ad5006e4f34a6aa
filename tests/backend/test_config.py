"""Settings: where they come from, what they may be, and who sees them."""

from __future__ import annotations

import pytest

from backend.config import (
    ConfigError,
    Settings,
    as_environment,
    as_flags,
    default_data_dir,
    settings_from,
)
from nets import datasets


def test_flag_beats_environment_beats_default():
    both = settings_from({"port": "1"}, {"LAMINA_PORT": "2"})
    environment = settings_from({}, {"LAMINA_PORT": "2", "LAMINA_HOST": ""})
    assert (both.port, environment.port, Settings().port) == (1, 2, 8080)
    assert environment.host == "127.0.0.1", "an empty variable counts as unset"


def test_settings_survive_a_command_line(tmp_path):
    settings = Settings(port=1, state_dir=tmp_path, data_dir=tmp_path / "data sets", threads=9, max_streams=8)
    words = as_flags(settings)
    flags = {flag[2:].replace("-", "_"): value for flag, value in zip(words[::2], words[1::2], strict=True)}
    assert settings_from(flags, {}) == settings


def test_default_data_directory_is_that_of_the_library(monkeypatch, tmp_path):
    for place in ("", str(tmp_path)):
        monkeypatch.setenv("TFDS_DATA_DIR", place)
        assert default_data_dir() == datasets.default_data_dir()


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        ({"port": "99999"}, {}, "--port: expected a whole number from 0 to 65535, got '99999'"),
        ({}, {"LAMINA_PORT": "http"}, "LAMINA_PORT: expected a whole number from 0 to 65535, got 'http'"),
        ({"host": "a b"}, {}, "--host: expected text without spaces, got 'a b'"),
        ({"log_level": "loud"}, {}, "--log-level: expected one of debug, info, warning, error, got 'loud'"),
        ({"state_dir": "~nobody-at-all/x"}, {}, "--state-dir: "),
    ],
)
def test_bad_values_name_their_source(flags, environ, message):
    with pytest.raises(ConfigError) as problem:
        settings_from(flags, environ)
    assert str(problem.value).startswith(message)


def test_secrets_stay_out_of_command_lines():
    settings = Settings(token="hush-hush", allow_anonymous=True, allowed_hosts=("a.example", "b.example"))
    words = as_flags(settings)
    assert "hush-hush" not in " ".join(words)
    flags = {flag[2:].replace("-", "_"): text for flag, text in zip(words[::2], words[1::2], strict=True)}
    assert settings_from(flags, as_environment(settings)) == settings
