"""Which devices there are, what they are called, and which one is meant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jax
import pytest

from nets.errors import BrokenRule
from nets.process import devices
from tests.nets.fake_devices import CPU, H100, L4, place


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch, H100, L4, CPU)


@pytest.mark.usefixtures("two_gpus")
def test_every_device_of_every_platform_has_a_name() -> None:
    assert list(devices.by_name()) == ["gpu:0", "gpu:1", "cpu:0"]
    assert [devices.name_of(device) for device in devices.all_devices()] == ["gpu:0", "gpu:1", "cpu:0"]


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("name", "device"), [(None, H100), ("gpu", H100), ("gpu:0", H100), ("gpu:1", L4), ("cpu", CPU), ("cpu:0", CPU)]
)
def test_a_platform_alone_is_its_first_device_and_no_name_the_default(name: str | None, device: object) -> None:
    assert devices.find(name) is device


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("name", "near"),
    [("cuda:1", "gpu:1"), ("CUDA", "gpu"), ("GPU:0", "gpu:0"), ("gpu1", "gpu:1"), ("gpu:2", None), ("tpu", None)],
)
def test_another_word_is_refused_with_what_there_is(name: str, near: str | None) -> None:
    """What another library calls a device here is put in its place; without such a one, the default is."""
    with pytest.raises(BrokenRule, match="one of gpu, gpu:0, gpu:1, cpu, cpu:0") as refused:
        devices.find(name)
    problem = refused.value.at(("hyperparams", "device"))
    assert (problem.code, problem.suggestion) == ("not_one_of", near)
    assert problem.expected == {"enum": ["gpu", "gpu:0", "gpu:1", "cpu", "cpu:0"]}
    assert [change.to_json() for change in problem.fix] == [
        {"op": "replace", "path": "/hyperparams/device", "value": near}
    ]


@pytest.mark.usefixtures("two_gpus")
def test_a_device_is_described_without_being_measured() -> None:
    told = devices.describe(devices.find("gpu:0"))
    assert (told["id"], told["kind"], told["default"], told["cuda"]) == ("gpu:0", "NVIDIA H100 80GB HBM3", True, "12.9")
    assert told["memory"]["free_bytes"] == 59 << 30
    assert told["data_sheet"]["float32"]["flops_per_second"] == 67e12
    assert not devices.describe(devices.find("cpu"))["default"]


def test_this_machine() -> None:
    told = devices.describe(devices.find("cpu:0"))
    assert (told["platform"], told["memory"]["of"]) == ("cpu", "host")
    assert told["data_sheet"]["float32"] == {
        "flops_per_second": None,
        "reason": told["data_sheet"]["bfloat16"]["reason"],
    }
    assert devices.host()["processor"]["cores"] >= 1


def test_for_the_default_device_nothing_is_set() -> None:
    """Lest JAX take what it has compiled before for something else."""
    with devices.on(devices.default_device()):
        assert jax.config.jax_default_device is None
    with jax.default_device(jax.local_devices()[0]), devices.on(devices.default_device()):
        assert jax.config.jax_default_device == devices.default_device()


WHERE_IT_TRAINS = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
import numpy as np
from pathlib import Path
from nets import ProgramCache, fit, parse_architecture, parse_hyperparams
from nets.datasets import load
from nets.process.devices import name_of
from nets.process.device import keep_compiled_programs, prepare_process
prepare_process()
keep_compiled_programs(Path(FOLDER))
layers = [{"type": "conv2d", "out_channels": 4, "kernel_size": 3}, {"type": "dropout", "p": 0.2},
          {"type": "batchnorm2d"}, {"type": "linear", "out": 10}]
network, data, programs = parse_architecture({"input_size": 784, "layers": layers}), load("digits", Path(".")), ProgramCache()
weights = {}
for device in (None, "cpu:0", "cpu:1"):
    fields = {"epochs": 2, "max_samples": 100, "batch_size": 32, "optimizer": {"type": "adam"}, "device": device}
    before = {id(array) for array in jax.live_arrays()}
    for event in fit(network, parse_hyperparams(fields), data, programs=programs):
        arrays = [array for array in jax.live_arrays() if id(array) not in before]
        assert {name_of(place) for array in arrays for place in array.devices()} == {device or "cpu:0"}, arrays
        assert jax.config.jax_default_device is None  # of whoever takes the events
        if type(event).__name__ == "Compiled":
            compilation = event.compilation  # the last one tells of all programs
    print(device, compilation["kind"])
    weights[device] = event.variables, event.test_loss
    del arrays, event
    for one, other in zip(jax.tree.leaves(weights[None]), jax.tree.leaves(weights[device]), strict=True):
        np.testing.assert_array_equal(one, other)
"""


@pytest.mark.slow
def test_a_run_is_on_the_device_that_it_names_and_gives_the_same_numbers_to_the_last_bit(tmp_path: Path) -> None:
    """Also where its programs are from the disk, which keeps those of each device apart."""
    command = [sys.executable, "-W", "error", "-c", WHERE_IT_TRAINS.replace("FOLDER", repr(str(tmp_path / "kept")))]
    first, again = (subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2))
    assert first.splitlines() == ["None cold", "cpu:0 process", "cpu:1 cold"]
    assert again.splitlines() == ["None disk", "cpu:0 process", "cpu:1 disk"]
