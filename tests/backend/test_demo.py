"""`lamina demo --once`, with a network that trains in a blink instead of the reference's."""

import socket

import numpy as np
import pytest

from backend.config import Settings
from backend.demo import tour
from nets import datasets

LAYERS = [{"type": "linear", "in": 784, "out": 32}, {"type": "relu"}, {"type": "linear", "in": 32, "out": 10}]


@pytest.fixture
def settings(tmp_path):
    """With a small data set under the name of MNIST: nothing is asked of the network."""
    digits = datasets.load("digits", tmp_path)
    arrays = {"train_images": digits.train_inputs, "train_labels": digits.train_labels}
    arrays |= {"test_images": digits.test_inputs, "test_labels": digits.test_labels}
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "mnist.npz", **arrays)
    return Settings(state_dir=tmp_path / "state", data_dir=tmp_path / "data")


@pytest.fixture
def small_example(monkeypatch):
    monkeypatch.setitem(tour.EXAMPLE, "architecture", {**tour.EXAMPLE["architecture"], "layers": LAYERS})


@pytest.mark.usefixtures("small_example")
def test_the_demo_tells_all_of_it_in_plain_lines(settings, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert tour.demo(settings, port_named=False, once=True) == 0
    told, complaints = capfd.readouterr()
    assert complaints == ""
    assert "\x1b" not in told
    assert [line.split()[0] for line in told.splitlines() if line[:1].isalpha()] == [
        "server", "train", "result", "promote", "infer", "by"
    ]  # fmt: skip
    assert "data set: mnist" in told
    assert [line.split()[0] for line in told.splitlines() if line.startswith("      ") and "%" in line][:5] == list(
        "12345"
    )
    assert told.count("says") == tour.PICTURES
    assert told.count("  curl ") == 4
    assert all(len(line.rstrip()) <= 80 for line in told.splitlines() if str(settings.state_dir.parent) not in line)
    assert (settings.state_dir / "demo" / "train.json").exists()


def test_a_port_in_use_is_told(settings, capfd):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        named = Settings(port=port, state_dir=settings.state_dir, data_dir=settings.data_dir)
        assert tour.demo(named, port_named=True, once=True) == 1
    assert f"{port} is in use" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("small_example")
def test_a_failed_run_fails_the_demo(settings, capfd, monkeypatch):
    exploding = {"type": "sgd", "lr": 1000.0, "weight_decay": 1000.0}
    monkeypatch.setitem(tour.EXAMPLE, "hyperparams", {**tour.EXAMPLE["hyperparams"], "optimizer": exploding})
    assert tour.demo(settings, port_named=False, once=True) == 1
    assert "lamina demo: the run failed: " in capfd.readouterr().err


@pytest.mark.slow
def test_without_a_device_the_demo_ends_at_once_with_the_sentence(settings, capfd, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "nonsense")
    assert tour.demo(settings, port_named=False, once=True) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("lamina demo: no device: JAX_PLATFORMS=nonsense cannot be used here (")
