"""What a run may take: the least of everything that limits this process."""

from __future__ import annotations

import json
import subprocess
import sys

import psutil
import pytest

import nets
from backend import control_groups
from backend.training import limits as module
from backend.training.limits import Limits
from nets.datasets import info
from nets.errors import SpecError
from nets.process.device_memory import PREALLOCATE
from tests.nets.fake_devices import CPU, H100, place

GB = 10**9


def test_the_least_limit_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < Limits().memory() <= psutil.virtual_memory().total
    assert Limits(memory_gb=1).memory() == GB
    monkeypatch.setattr(control_groups, "free", lambda: [2 * GB, 5])
    assert Limits(memory_gb=1).memory() == 5


def test_a_process_of_its_own_gets_what_this_one_leaves_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nets.parse_architecture({"input_size": 784, "layers": [{"type": "linear", "out": 10}]})
    hyperparams = nets.parse_hyperparams({"dataset_type": "digits", "device": "gpu"})
    data = info("digits")
    monkeypatch.delenv(PREALLOCATE, raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    place(monkeypatch, H100, CPU)
    monkeypatch.setattr(module, "check_pace", lambda *args, **kwargs: None)
    Limits().check(network, hyperparams, data, kernels="xla")
    with pytest.raises(SpecError, match=r"on gpu:0, needs .*XLA_PYTHON_CLIENT_PREALLOCATE=false"):
        Limits().check(network, hyperparams, data, kernels="xla", apart=True)
    Limits().check(network, hyperparams.model_copy(update={"device": "cpu"}), data, kernels="xla", apart=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not keep to such limits")
@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_what_ulimit_leaves_is_known(limit: str) -> None:
    code = (
        "import json, resource; from backend.training.limits import Limits, free_host_memory; from nets.process import allocator;"
        "allocator.keep(); list(free_host_memory()); import psutil;"
        f"used = psutil.Process().memory_info(); resource.setrlimit(resource.{limit}, (20 * 10**9,) * 2);"
        "free = list(free_host_memory()); block = bytearray(10**9); del block;"
        "print(json.dumps([free[-1], list(free_host_memory())[-1]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    assert 10 * GB < before < 20 * GB
    assert abs(before - after) < 0.1 * GB, "what is freed stays with the process, and can be had again"
