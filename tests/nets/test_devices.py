"""Which devices there are, what they are called, and which one is meant."""

from __future__ import annotations

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
