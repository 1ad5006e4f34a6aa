"""The READMEs promise only what is there: their tables are the registries', their commands and their code are run."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import nets
from backend.config import Settings
from backend.demo.local_server import LocalServer, free_port
from nets.architecture.read import parse_architecture
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.layers import LAYERS
from nets.network import initial_variables
from tests.readme_tables import PLACE, READMES, TABLES, TOP, renewed

SERVER = TOP / "backend" / "README.md"
CLIENT = TOP / "backend" / "client" / "README.md"
NETS = TOP / "nets" / "README.md"

IMPORTS = """
from typing import Annotated, Literal
import jax
from jax import Array
from pydantic import Field
from nets.layers.base import Bound, Example, Layer, register
from nets.spec.fields import Real
from nets.spec.values import image
"""

TRACE = """curl() { command curl --max-time 60 -w '%{stderr}<%{http_code}>\\n' "$@"; }\n"""


def name_of(path):
    return str(path.relative_to(TOP))


def blocks(path, language):
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", READMES, ids=name_of)
def test_the_tables_are_those_of_the_code(path):
    assert path.read_text() == renewed(path.read_text()), "run `python -m tests.readme_tables`"


def test_every_table_is_somewhere():
    assert sorted(found[2] for path in READMES for found in PLACE.finditer(path.read_text())) == sorted(TABLES)


@pytest.mark.parametrize("path", READMES, ids=name_of)
def test_every_link_leads_to_a_file_or_a_heading(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith("https://"):
            continue
        name, _, heading = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.is_file(), target
        headings = re.findall(r"^#+ (.*)$", there.read_text(), flags=re.MULTILINE) if heading else []
        assert not heading or heading in map(anchor, headings), target


def anchor(heading):
    """What GitHub calls a heading in links: small letters, hyphens for blanks, and no marks such as backticks."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", [SERVER, NETS], ids=name_of)
def test_every_room_is_named(path):
    listed = path.read_text().partition("## Rooms")[2]
    rooms = [each for each in path.parent.iterdir() if each.is_dir() and each.joinpath("__init__.py").exists()]
    assert all(f"`{room.name}/`" in listed for room in rooms), rooms


@pytest.mark.parametrize("body", [json.loads(block) for block in blocks(NETS, "json")])
def test_every_network_as_json_is_one(body):
    assert parse_architecture(body["architecture"]) and parse_hyperparams(body.get("hyperparams"))


def test_the_examples_in_python_work(tmp_path, monkeypatch, capsys):
    library, inspected, _, layer_type = blocks(NETS, "python")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}
    exec(library, names)
    assert names["probabilities"].shape == (3, 10)
    assert len(capsys.readouterr().out.splitlines()) == 2
    exec(inspected, names)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "conv2d_0 [32, 28, 28] 320 225792" and told[5].startswith("{'params': 63050, ")
    assert told[-1].startswith("[[32, 28, 28], [32, 28, 28], [32, 14, 14], None, None] ['is required")
    try:
        exec(IMPORTS + layer_type, names)
        layers = [{"type": "squared_relu", "slope": 0.2}, {"type": "linear", "in": 784, "out": 10}]
        architecture = parse_architecture({"input_size": 784, "layers": layers})
        assert architecture.graph.nodes[0].layer.slope == 0.2
    finally:
        LAYERS.pop("squaredrelu", None)


@pytest.mark.slow
def test_the_example_of_a_benchmark_measures(tmp_path, monkeypatch, capsys):
    library, _, benchmark, _ = blocks(NETS, "python")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}
    exec(library + benchmark, names)
    (cell,) = names["results"]["cells"]
    assert cell["error"] is None and str(cell["samples_per_second"]["median"]) in capsys.readouterr().out


def test_the_lines_of_numpy_predict_as_the_network_does(tmp_path, monkeypatch):
    architecture = parse_architecture(json.loads(blocks(NETS, "json")[0])["architecture"])
    statistics = {"mean": np.array([0.2], np.float32), "std": np.array([0.3], np.float32)}
    variables = initial_variables(architecture.graph, seed=1, statistics=statistics)
    images = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)
    monkeypatch.chdir(tmp_path)
    np.savez("weights.npz", **nets.named_arrays(architecture, variables))
    lines = next(block for block in blocks(NETS, "py") if "np.load" in block)
    assert len(lines.strip().splitlines()) <= 12
    names = {"images": images}
    exec(lines, names)
    names["w"].close()
    expected = nets.Predictor(architecture, variables).probabilities(images)
    np.testing.assert_allclose(names["probabilities"], expected, atol=1e-6)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("needs bash and curl")
    folder = tmp_path_factory.mktemp("server")
    settings = Settings(port=free_port(first=0), state_dir=folder / "state", data_dir=folder / "data")
    with LocalServer(settings) as server:
        server.wait_until_healthy()
        yield server


def walk(server: LocalServer, path: Path, here: Path) -> subprocess.CompletedProcess[str]:
    """What bash printed when it ran all shell blocks in one go; the status of each answer is on standard error."""
    script = TRACE + "\n".join(blocks(path, "sh")).replace("http://127.0.0.1:8080", server.client.url)
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done


def statuses(done):
    return re.findall(r"<(\d+)>", done.stderr)


def test_the_minute_with_curl_ends_in_an_answer(server, tmp_path):
    done = walk(server, TOP / "README.md", tmp_path)
    assert statuses(done) == ["202", "200", "200", "200"]
    assert '"probabilities"' in done.stdout


def test_the_walk_through_the_server_answers_as_its_readme_says(server, tmp_path):
    done = walk(server, SERVER, tmp_path)
    assert statuses(done).count("201") == 2
    assert statuses(done).count("202") == 9
    assert [status for status in statuses(done) if status >= "400"] == ["409", "400", "422", "404"]
    assert '"state":"cancelled"' in done.stdout
    for pointer in ("/architecture/layers/1/type", "/hyperparams/epochs", "/pixels"):
        assert f'"pointer":"{pointer}"' in done.stdout


@pytest.mark.slow
def test_the_notebook_of_the_client_runs(server, tmp_path, monkeypatch, capsys):
    (notebook,) = blocks(CLIENT, "python")
    monkeypatch.setenv("LAMINA_URL", server.client.url)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "notebook"}
    exec(notebook, names)
    told = capsys.readouterr().out
    assert "/hyperparams/epochs must be at least 1, got 0" in told and told.count("stays") == 1
    assert len((tmp_path / "rates.csv").read_text().splitlines()) == 16 and (tmp_path / "digits.npz").exists()
    assert [values for values in names["side_by_side"].metrics["val_loss"].values() if None in values] == []
    assert not list(server.client.runs(tag="rates", state="failed"))


def test_the_networks_of_the_library_are_taken_by_the_server(server, tmp_path):
    """Last in this file: the first of them still trains afterwards."""
    assert statuses(walk(server, NETS, tmp_path)) == [*["202"] * 5, "200", "202"]  # one is a preview
