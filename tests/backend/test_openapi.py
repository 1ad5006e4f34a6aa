"""The OpenAPI document is that of the server that is running."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
from pathlib import Path

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.config import Settings
from backend.demo.local_server import LocalServer, free_port
from backend.web.openapi import OPERATIONS, document
from nets.architecture.combinators import COMBINATORS
from nets.layers import LAYERS

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method"
)


# Of each body with layers, every value of every field of every type makes tens of thousands: they are only drawn from.
DRAWN_FROM = """
[[operations]]
include-path-regex = "^/api/(train|inspect|models|models/[^/]+|models/[^/]+/save)$"
phases.coverage.enabled = false
"""


def test_every_route_is_documented_and_every_row_is_a_route(app: Flask) -> None:
    routes = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api")
    }
    assert routes == set(OPERATIONS)


def test_every_operation_has_a_sentence_and_every_reference_a_schema(app: Flask) -> None:
    made = document(app)
    for path in made["paths"].values():
        for operation in path.values():
            assert operation["summary"].endswith(".")
            assert {"400", "401", "403", "500", "503"} <= operation["responses"].keys()
    text = json.dumps(made)
    for name in made["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text
    assert text.count('"$ref"') == sum(
        text.count(f'"$ref": "#/components/schemas/{name}"') for name in made["components"]["schemas"]
    )


def test_bounds_are_those_of_json_schema(client: FlaskClient) -> None:
    made = client.get("/api/openapi.json").get_json()["components"]["schemas"]
    epochs = made["Hyperparams"]["properties"]["epochs"]
    assert (epochs["minimum"], epochs["maximum"]) == (1, 100_000)
    assert made["layer.conv2d"]["properties"]["stride"]["anyOf"][0]["maximum"] == 64


def test_an_answer_has_a_state_wherever_it_has_a_status(client: FlaskClient) -> None:
    """`status` is the earlier name, but for health, whose status is the server's."""
    made = client.get("/api/openapi.json").get_json()
    found = []
    for path, operations in made["paths"].items():
        for answer in (answer for one in operations.values() for answer in one["responses"].values()):
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
            schema = made["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
            if "status" in (names := schema.get("properties", {})) and path != "/api/health":
                assert names["state"]["const"] == names["status"]["const"] and "state" in schema["required"]
                found.append(path)
    assert len(found) == 4


def test_each_layer_is_described_by_itself_and_told_apart_by_its_type(client: FlaskClient) -> None:
    made = client.get("/api/openapi.json").get_json()["components"]["schemas"]
    layer = made["Layer"]
    kinds = {**LAYERS, **COMBINATORS}
    assert layer["oneOf"] == [{"$ref": f"#/components/schemas/layer.{name}"} for name in kinds]
    assert set(layer["discriminator"]["mapping"]) == {*LAYERS.words(), *COMBINATORS.words()}
    known = {"$ref": "#/components/schemas/Layer", "components": {"schemas": made}}
    check = jsonschema_rs.validator_for(known)
    for kind in kinds.values():
        for example in kind.examples:
            sent = dict(getattr(example, "json", example))
            for name in (sent["type"], *kind.also):
                check.validate({**sent, "type": name, "name": "a", "x": 1})
            assert not check.is_valid({**sent, "unheard_of": 1})
    assert not check.is_valid({"type": "unheard_of"})
    assert not check.is_valid({"type": "repeat", "times": 2, "layers": [{"type": "conv2d", "kernel_size": "3"}]})


@pytest.mark.parametrize("body", ["TrainBody", "DefineBody"])
def test_bodies_can_be_drawn_from_what_the_document_says(client: FlaskClient, body: str) -> None:
    """A generator first brings a schema into a normal form, which it gives up on where one place has too much in it."""
    made = client.get("/api/openapi.json").get_json()["components"]["schemas"]
    whole = jsonschema_rs.canonicalize({"$ref": f"#/components/schemas/{body}", "components": {"schemas": made}})
    assert whole.kind is not jsonschema_rs.canonical.CanonicalKind.RAW


@pytest.mark.slow
def test_thousands_of_made_up_requests_find_nothing_undocumented(tmp_path: Path) -> None:
    """schemathesis against a server over a real socket: no 5xx, no status, type or body that is not in the document."""
    settings = Settings(port=free_port(first=0), state_dir=tmp_path / "state", data_dir=tmp_path / "data")
    with LocalServer(settings) as server:
        server.wait_until_healthy()
        (tmp_path / "schemathesis.toml").write_text(DRAWN_FROM)
        command = [
            str(Path(sysconfig.get_path("scripts")) / "schemathesis"),
            *("run", f"{server.client.url}/api/openapi.json", "--max-examples", "30", "--seed", "1"),
            *("--exclude-path-regex", "events", "--request-timeout", "30", "--no-color"),
            *("--suppress-health-check", "too_slow"),  # of a busy machine
            *("--checks", f"{CHECKS}"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-5000:]
        found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
        assert found and int(found[1]) == int(found[2]) > 2000, done.stdout[-1000:]
        assert server.client.get("/api/health")["status"] == "ok"
    assert not any("Traceback" in line for line in server.lines)
