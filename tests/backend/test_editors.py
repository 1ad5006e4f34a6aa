"""What an editor is told of a body is what the server takes."""

from __future__ import annotations

import copy
import json
import random
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.parsing.editors import model_schema, train_schema
from backend.parsing.requests import DefineBody, PromoteBody, TrainBody, check
from nets.architecture.combinators import COMBINATORS
from nets.errors import SpecError
from nets.layers import LAYERS
from nets.optimizers import OPTIMIZERS
from tests.backend.conftest import BODY, NET, PARAMS, parts
from tests.nets.builders import input_of
from tests.patches import applied

HOUSE = Path(__file__).parent.parent.parent
TRAIN = jsonschema_rs.validator_for(train_schema())
MODEL = jsonschema_rs.validator_for(model_schema())
HEAD = [{"type": "flatten"}, {"type": "linear", "out": 10}]


def bodies_of_readmes() -> list[dict[str, Any]]:
    """The bodies of trainings in READMEs, in blocks of JSON and behind `<<'BODY'`."""
    found = []
    for path in sorted({HOUSE / "README.md", *HOUSE.glob("backend/**/*.md"), *HOUSE.glob("nets/**/*.md")}):
        text = path.read_text()
        blocks = re.findall(r"```jsonc?\n(.*?)```", text, re.DOTALL) + re.findall(
            r"<<'?BODY'?\n(.*?)\nBODY", text, re.DOTALL
        )
        for block in blocks:
            try:
                value = json.loads(block)
            except ValueError:
                continue
            if isinstance(value, dict) and "layers" in value:
                value = {"architecture": value}
            if isinstance(value, dict) and "architecture" in value:
                found.append(value)
    return found


def with_layer(layer: Any) -> dict[str, Any]:
    return {"architecture": {"input_shape": [4, 8, 8], "layers": [layer, *HEAD]}}


GOOD: list[dict[str, Any]] = [
    {"$schema": "./train.schema.json", **BODY, "name": "x", "tags": ["a"], "queue": True},
    *bodies_of_readmes(),
    *({"architecture": {**input_of(example.takes[0]), "layers": [dict(example.json), *HEAD]}} for kind in LAYERS.values() for example in kind.examples if len(example.takes) == 1),
    *({"architecture": {**input_of(kind.given), "layers": [dict(example), *HEAD]}} for kind in COMBINATORS.values() for example in kind.examples),
    *({**BODY, "hyperparams": {"optimizer": {"type": name, "momentum": 0.9, "learning_rate": 0.1}}} for name in OPTIMIZERS),
    {**BODY, "hyperparams": {"dataset": "digits", "max_samples": None, "epochs": 3.0}},
    with_layer({"type": "conv2d", "filters": 3, "kernel": [3, 3], "name": "a", "x": 3, "label": "y", "padding": "same"}),
    {"architecture": {"input_size": 784, "layers": [{"type": "linear", "in": None, "units": 5, "name": "a"}, {"type": "relu", "inputs": "a"}, *HEAD]}},
    {"architecture": {"input_size": 784, "layers": [{"type": "linear", "out": 784, "name": "a"}, {"type": "linear", "shares": "a"}, *HEAD]}},
    with_layer({"type": "parallel", "branches": [[], [{"type": "relu"}]], "merge": {"type": "concat", "axis": "channels"}}),
    with_layer({"type": "residual", "layers": [{"type": "repeat", "times": 2, "layers": [{"type": "relu"}]}], "shortcut": None}),
]  # fmt: skip
STORED: list[dict[str, Any]] = [
    {"model_id": "m_1"},
    {"model_id": "m_1", "hyperparams": {"optimizer": {"lr": 0.1}}},
    {"resume_from": "r_1", "hyperparams": {"epochs": 9}, "architecture": None},
]
BAD: list[tuple[str, Any]] = [
    ("/architecture/layers/0/type", "linaer"),
    ("/architecture/layers/0/type", None),
    ("/architecture/layers/0/otu", 3),
    ("/architecture/layers/0/kernel_size", 3),
    ("/architecture/layers/0/out", 0),
    ("/architecture/layers/0/out", "16"),
    ("/architecture/layers/0/name", "a.b"),
    ("/architecture/layers/0/shares", 3),
    ("/architecture/layers", []),
    ("/architecture/layers", [{"type": "linear", "in": 3}]),
    ("/architecture/layers", [{"out": 3}]),
    ("/architecture/layers", ["relu"]),
    ("/architecture/layers", [{"type": "conv2d", "out_channels": 3}]),
    ("/architecture/layers", [{"type": "dropout", "p": 1}]),
    ("/architecture/layers", [{"type": "repeat", "times": 2, "layers": [{"type": "linaer"}]}]),
    ("/architecture/layers", [{"type": "parallel", "branches": [[{"type": "relu", "x_": 1}], []]}]),
    ("/architecture/layers", [{"type": "parallel", "branches": [[], []], "merge": "addd"}]),
    ("/architecture/layers", [{"type": "parallel", "branches": [[], []], "merge": {"type": "concat", "axes": 1}}]),
    ("/architecture/input_size", 0),
    ("/architecture/input_sise", 3),
    ("/architecture", None),
    ("/hyperparams/epochs", 0),
    ("/hyperparams/epoch", 3),
    ("/hyperparams/loss", "mes"),
    ("/hyperparams/loss", {"type": "huber", "beta": 1}),
    ("/hyperparams/dataset_type", "mnits"),
    ("/hyperparams/precision", "float16"),
    ("/hyperparams/optimizer", {"type": "addam"}),
    ("/hyperparams/optimizer", {"lr": 0.1}),
    ("/hyperparams/optimizer", {"type": "adam", "alpha": 0.5}),
    ("/hyperparams/optimizer", {"type": "sgd", "lr": 0}),
    ("/hyperparams", []),
    ("/$schema", 3),
    ("/seed", 3),
    ("/name", " "),
]


def taken(body: Any, request: type[Any] = TrainBody) -> bool:
    try:
        check(request, body)
    except SpecError:
        return False
    return True


@pytest.mark.parametrize("schema", [train_schema(), model_schema()], ids=["train", "model"])
def test_a_schema_stands_alone(schema: Any) -> None:
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema" and schema["$id"]
    text = json.dumps(schema)
    assert {found.group(1) for found in re.finditer(r'"\$ref": "#/\$defs/([^"]+)"', text)} <= schema["$defs"].keys()
    assert text.count('"$ref"') == text.count('"$ref": "#/$defs/')
    for name, part in schema["$defs"].items():
        assert part.get("description"), name
    for field, part in schema["properties"].items():
        assert part.get("description"), field


@pytest.mark.parametrize("body", GOOD, ids=lambda body: json.dumps(body)[:60])
def test_what_the_server_takes_is_right(body: dict[str, Any]) -> None:
    TRAIN.validate(body)
    assert taken(body)


@pytest.mark.parametrize("body", STORED, ids=lambda body: json.dumps(body)[:60])
def test_what_is_stored_need_not_be_written(body: dict[str, Any]) -> None:
    TRAIN.validate(body)
    assert not TRAIN.is_valid({**body, "model_id": None, "resume_from": None})


def test_there_are_bodies_in_the_readmes() -> None:
    assert len(bodies_of_readmes()) >= 3


@pytest.mark.parametrize("body", GOOD, ids=lambda body: json.dumps(body)[:60])
def test_definitions_of_models_are_right(body: dict[str, Any]) -> None:
    part = {name: body[name] for name in ("$schema", "architecture", "hyperparams", "name") if name in body}
    MODEL.validate(part)
    assert taken(part, DefineBody)


@pytest.mark.parametrize(("place", "value"), BAD, ids=str)
def test_what_the_server_refuses_is_wrong(place: str, value: Any) -> None:
    body = applied([{"op": "add", "path": place, "value": value}], BODY)
    assert not taken(body) and not TRAIN.is_valid(body)


def test_every_type_has_its_fields_examples_and_words() -> None:
    schema = train_schema()
    assert schema["$defs"]["Layer"]["properties"]["type"]["enum"] == [
        *(*LAYERS, *COMBINATORS),
        *(word for kind in (*LAYERS.values(), *COMBINATORS.values()) for word in kind.also),
    ]
    for name in LAYERS:
        fields = schema["$defs"][f"layer.{name}"]["properties"]
        assert (
            fields["type"].get("enum", [fields["type"].get("const")]) == [name, *LAYERS[name].also]
            and all("description" in part for part in fields.values())
            or name
        ), name
    conv = schema["$defs"]["layer.conv2d"]
    assert conv["properties"]["stride"]["default"] == 1 and conv["properties"]["filters"] and conv["examples"]


def test_the_schemas_are_served_and_named_in_bodies_without_an_effect(
    app: Flask, client: FlaskClient, held: threading.Event
) -> None:
    for name, schema in (("train", train_schema()), ("model", model_schema())):
        answer = client.get(f"/api/schema/{name}.json")
        assert answer.mimetype == "application/schema+json" and answer.get_json() == schema
    sent = {"architecture": NET, "hyperparams": PARAMS, "queue": True}
    records = []
    for body in (sent, {"$schema": "http://127.0.0.1:8080/api/schema/train.json", **sent}):
        answer = client.post("/api/train", json=body)
        assert answer.status_code == 202
        records.append(client.get(f"/api/runs/{answer.json['run_id']}").json)
    assert records[0]["request_sha256"] == records[1]["request_sha256"]
    asked = {"$schema": "x", "model_id": "m_x", "architecture": NET}
    made = client.post("/api/models", json=asked)
    assert (made.status_code, client.patch("/api/models/m_x", json={"$schema": "y"}).status_code) == (201, 200)
    assert client.post("/api/models/m_x/save", json={"$schema": "x", "architecture": NET}).status_code == 200
    record = parts(app).store.get_model("m_x")
    assert record is not None and "$schema" not in json.dumps([record.architecture, records, made.json])
    assert taken({"$schema": "x", "run_id": "r_1"}, PromoteBody)
    assert client.post("/api/train", json={**sent, "editors": "x"}).status_code == 400
    assert client.post("/api/train", json={**sent, "$schema": 3}).json["errors"][0]["pointer"] == "/$schema"


VALUES = [
    None,
    0,
    1,
    -1,
    2,
    5,
    10,
    12,
    3.5,
    "x",
    "64",
    "same",
    [],
    {},
    [1, 2],
    True,
    "relu",
    {"type": "relu"},
    784,
    "adam",
    ["a"],
]
NAMES = [
    "in",
    "out",
    "units",
    "kernel",
    "type",
    "name",
    "inputs",
    "shares",
    "epoch",
    "lr",
    "fooo",
    "layers",
    "momentum",
]
STRUCTURE = {"wrong_type", "unknown_field", "not_one_of"}  # what a schema can tell


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*path, key)
        yield from places(part, (*path, key))


def broken(body: Any, choose: random.Random) -> Any:
    """A body with one to three changes."""
    body = copy.deepcopy(body)
    for _ in range(choose.choice([1, 1, 2, 3])):
        *way, last = choose.choice([*places(body)] or [("architecture",)])
        around = body
        for part in way:
            around = around[part]
        what = choose.randrange(4)
        if what == 0 or last not in (around if isinstance(around, dict) else range(len(around))):
            around[last] = copy.deepcopy(choose.choice(VALUES))
        elif what == 1:
            del around[last]
        elif what == 2 and isinstance(around, dict):
            around[choose.choice(NAMES)] = around.pop(last)
        elif isinstance(around, list):
            around.insert(last, copy.deepcopy(around[last]))
    return body


@pytest.mark.slow
def test_thousands_of_broken_bodies_are_told_alike_and_mended(client: FlaskClient) -> None:
    """By the schema and by the server, whose fixes remove the problems that they come with."""
    choose, fixed = random.Random(1), 0
    for _ in range(2000):
        body = {**broken(choose.choice(GOOD), choose), "model_id": "m_unknown"}  # looked for once the body is right
        found = client.post("/api/train", json=body).json.get("errors", [])
        assert found or TRAIN.is_valid(body), body
        assert not TRAIN.is_valid(body) or not STRUCTURE & {problem["code"] for problem in found}, (body, found)
        for problem in (problem for problem in found if "fix" in problem):
            left = client.post("/api/train", json=applied(problem["fix"], body)).json.get("errors", [])
            assert (problem["pointer"], problem["code"]) not in {(one["pointer"], one["code"]) for one in left}, problem
            fixed += 1
    assert fixed > 50
