"""The README promises only what is there: its tables are the registries', its commands and its code are run."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from backend.config import Settings, settings_table
from backend.demo.local_server import LocalServer, free_port
from nets.architecture.read import parse_architecture
from nets.datasets import DATASETS
from nets.layers import LAYERS

README = (Path(__file__).parent.parent / "README.md").read_text()

IMPORTS = """
from typing import Annotated, Literal
import jax
from pydantic import Field
from nets.spec.fields import Real
from nets.kernels.plan import Activation, Bound, Plan
from nets.layers.base import Example, Layer, register
"""

TRACE = """curl() { command curl --max-time 60 -w '%{stderr}<%{http_code}>\\n' "$@"; }\n"""


def blocks(language):
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_the_settings_table_is_the_settings():
    assert settings_table() in README


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_is_listed(name):
    entry = DATASETS[name]
    size = f"{entry.train_size:,} + {entry.test_size:,} of {' x '.join(map(str, entry.shape))}"
    assert f"| `{name}` | {size} | {len(entry.classes)} | {entry.title} |" in README


def test_the_example_of_a_layer_type_works():
    (code,) = blocks("python")
    try:
        exec(IMPORTS + code, {"__name__": "readme"})
        layers = [{"type": "leaky_relu", "slope": 0.2}, {"type": "linear", "in": 784, "out": 10}]
        architecture = parse_architecture({"input_size": 784, "layers": layers})
        assert architecture.layers[0].slope == 0.2
    finally:
        LAYERS.pop("leaky_relu", None)


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """What bash printed when it ran all shell blocks in one go; the status of each answer is on standard error."""
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("needs bash and curl")
    here = tmp_path_factory.mktemp("walk")
    settings = Settings(port=free_port(first=0), state_dir=here / "state", data_dir=here / "data")
    with LocalServer(settings) as server:
        server.wait_until_healthy()
        script = TRACE + "\n".join(blocks("sh")).replace("http://127.0.0.1:8080", server.client.url)
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=200)


def test_every_command_of_the_walk_works(walk):
    assert walk.returncode == 0, walk.stderr


def test_the_walk_answers_as_the_readme_says(walk):
    statuses = re.findall(r"<(\d+)>", walk.stderr)
    assert statuses.count("201") == 2
    assert statuses.count("202") == 8
    assert [status for status in statuses if status >= "400"] == ["409", "400", "422", "404"]
    assert '"state":"cancelled"' in walk.stdout
    for pointer in ("/architecture/layers/1/type", "/hyperparams/epochs", "/pixels"):
        assert f'"pointer":"{pointer}"' in walk.stdout
