"""Sheets of samples before and after augmentation."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.cli.top import main
from backend.client import Unusable
from backend.commands.augmenting import asked_for
from nets.augment.listed import parse_augment
from nets.plots.sheet import sheet
from nets.training.preview import preview
from tests.backend.conftest import Trained, serving
from tests.nets.builders import stripes

FLIP = [{"type": "horizontal_flip", "p": 1}]


def test_the_sheet_is_a_png_of_samples_as_training_sees_them(client: Any) -> None:
    query = {"augment": json.dumps(FLIP), "dataset": "digits", "count": 2, "times": 1}
    answer = client.get("/api/augment-preview", query_string=query)
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    page = np.asarray(Image.open(BytesIO(answer.data)))
    size, left, top = 84, 12 + 64, 12  # three times as large as the images
    before = page[top : top + size, left : left + size]
    after = page[top + size + 8 : top + 2 * size + 8, left : left + size]
    assert before.std() > 10
    assert np.array_equal(before[:, ::-1], after)
    again = client.get("/api/augment-preview", query_string=query, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ({}, 400, "augment"),
        ({"augment": "[{"}, 400, "must be JSON such as"),
        ({"augment": '[{"type": "blur", "kernel_size": 4}]'}, 400, "augment[0].kernel_size: must be odd, got 4"),
        ({"augment": "[]", "count": "0"}, 400, "count: must be a whole number from 1 to 16"),
        ({"augment": "[]", "dataset": "cifar10"}, 409, "fetch it with `lamina datasets prepare cifar10`"),
    ],
)
def test_what_cannot_be_shown_is_said(client: Any, query: dict[str, str], status: int, told: str) -> None:
    answer = client.get("/api/augment-preview", query_string=query)
    assert answer.status_code == status
    assert told in answer.get_data(as_text=True).replace('\\"', '"')


@pytest.mark.slow
def test_mixed_samples_are_shown_mixed() -> None:
    images = stripes(6).train_inputs[:6]
    (mixed,) = preview(parse_augment([{"type": "mixup", "alpha": 50}], ()), images, seed=1, times=1)
    assert (mixed.shape, mixed.dtype) == (images.shape, np.uint8)
    assert abs(float(mixed.mean()) - float(images.mean())) < 1
    assert sheet([("before", images), ("after", mixed)]).startswith(b"\x89PNG")


def test_the_command_takes_lists_and_bodies(tmp_path: Any) -> None:
    body = {"architecture": {}, "hyperparams": {"augment": FLIP, "dataset_type": "digits"}}
    (tmp_path / "body.json").write_text(json.dumps(body))
    assert asked_for(str(tmp_path / "body.json")) == (FLIP, "digits")
    assert asked_for(json.dumps(FLIP)) == asked_for(json.dumps(FLIP[0])) == (FLIP, None)
    with pytest.raises(Unusable, match="has no augment"):
        asked_for('{"hyperparams": {}}')
    with pytest.raises(Unusable, match="cannot be read"):
        asked_for(str(tmp_path / "missing.json"))


def test_the_command_draws_what_a_server_knows(trained: Trained, tmp_path: Path, capsys: Any) -> None:
    """The picture of the address, and an error of the server as a line and an exit code."""
    file, listed = tmp_path / "sheet.png", json.dumps(FLIP)
    words = ["--dataset", "digits", "--count", "2", "--times", "1", "--seed", "3"]
    query = {"augment": listed, "dataset": "digits", "count": 2, "times": 1, "seed": 3}
    with serving(trained.app) as url:
        assert main(["--url", url, "augment", listed, "-o", str(file), *words]) == 0
        assert file.read_bytes() == trained.client.get("/api/augment-preview", query_string=query).data
        capsys.readouterr()
        assert main(["--url", url, "augment", '{"type": "flip_around"}', "-o", str(file)]) != 0
    assert "augment[0].type: must be one of" in capsys.readouterr().err


def test_an_accepted_run_says_what_sees_augmented_images(client: Any) -> None:
    network = {"input_size": 784, "layers": [{"type": "linear", "out": 10}]}
    hyperparams = {"epochs": 1, "max_samples": 64, "dataset_type": "digits", "augment": FLIP}
    answer = client.post("/api/train", json={"architecture": network, "hyperparams": hyperparams})
    assert (answer.status_code, answer.json["augmented"]) == (202, "training")
    assert answer.json["hyperparams"]["augment"] == FLIP
    (doubt,) = (each for each in answer.json["doubts"] if each["rule"] == "flipped_writing")
    assert doubt["pointer"] == "/hyperparams/augment/0"
