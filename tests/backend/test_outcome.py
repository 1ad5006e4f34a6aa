"""How the end of a run is put into words."""

from __future__ import annotations

import pytest

from backend.training.outcome import failed, without_paths


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[Errno 2] No such file or directory: '/home/ada/data/mnist.npz'", "mnist.npz'"),
        ("Could not load features.json in /srv/tfds/mnist/3.0.1/, sorry", "in 3.0.1, sorry"),
        ("/tmp/a b (/var/x/y)", "a b (y)"),
        ("resume it with POST /api/runs/r_1/resume.", "POST /api/runs/r_1/resume."),
        ("https://example.org/a/b cannot be reached", "https://example.org/a/b cannot"),
        ("put it into manual/mnist of the data directory", "manual/mnist of"),
        ("1/2 of 3 / 4 and/or 5", "1/2 of 3 / 4 and/or 5"),
    ],
)
def test_sentences_for_clients_name_files_but_no_places(text: str, told: str) -> None:
    assert told in without_paths(text)
    for place in ("/home/", "/srv/", "/tmp/", "/var/"):
        assert place not in without_paths(text) and place not in failed(text).fields["error"]
