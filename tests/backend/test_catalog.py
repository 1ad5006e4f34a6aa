"""What the server tells about itself: data sets, layer types."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from backend.state.records import Json
from backend.web.catalog import dataset_entries, layer_entries
from nets import examples
from nets.architecture.combinators import COMBINATORS
from nets.architecture.read import parse_architecture
from nets.datasets import DATASETS
from nets.errors import SpecError
from nets.layers import LAYERS
from nets.layers.groups import GROUPS
from tests.backend.conftest import Trained
from tests.nets.dataset_files import arrays


def test_every_data_set_is_listed(trained: Trained) -> None:
    entries = trained.client.get("/api/datasets").json["datasets"]
    assert [entry["name"] for entry in entries] == list(DATASETS)
    by_name = {entry["name"]: entry for entry in entries}
    assert by_name["digits"]["bundled"] and by_name["digits"]["cached"] and by_name["digits"]["download_mb"] is None
    assert by_name["mnist"]["shape"] == [28, 28, 1] and by_name["mnist"]["classes"] == [str(n) for n in range(10)]
    assert by_name["mnist"]["cached"] is False and by_name["mnist"]["train_size"] == 60_000


def test_a_data_set_that_no_run_can_read_is_not_cached(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").write_bytes(b"<html>Sign in to this network</html>")
    [entry] = [entry for entry in dataset_entries(tmp_path) if entry["name"] == "mnist"]
    assert (entry["cached"], entry["source"]) == (False, None)
    assert entry["problem"].endswith("delete it, then run `lamina datasets prepare mnist`")
    np.savez(tmp_path / "mnist.npz", **arrays("mnist")._asdict())
    [entry] = [entry for entry in dataset_entries(tmp_path) if entry["name"] == "mnist"]
    assert (entry["cached"], entry["source"], entry["problem"]) == (True, "cache", None)


def test_every_layer_type_is_listed_as_it_is_registered(trained: Trained) -> None:
    entries = trained.client.get("/api/layers").json["layers"]
    assert {entry["type"] for entry in entries} == set(LAYERS)
    for entry in entries:
        assert LAYERS.parse(entry["example"], ("example",)).type == entry["type"]
        assert set(entry["required"]) <= entry["fields"].keys()
        assert set(entry["aliases"].values()) <= entry["fields"].keys()
        assert entry["description"]
    [linear] = [entry for entry in entries if entry["type"] == "linear"]
    assert {"in", "out"} <= linear["fields"].keys() and linear["aliases"]["units"] == "out"
    assert linear["also"] == ["dense"]


def test_examples_are_listed_and_each_has_a_body_that_is_taken(trained: Trained) -> None:
    listed = trained.client.get("/api/examples").json["examples"]
    assert [each["name"] for each in listed] == list(examples.names())
    name = "keras-mnist-convnet"
    one = trained.client.get(f"/api/examples/{name}").json
    assert one in listed and (one["parameters"], one["claim"]["accuracy"]) == (34_826, 0.99)
    assert trained.client.post("/api/inspect", json=one["body"]).json["totals"]["params"] == 34_826
    refused = trained.client.get("/api/examples/keras")
    assert refused.status_code == 404 and "GET /api/examples lists the known ones" in refused.json["error"]


def test_an_entry_is_enough_to_draw_a_form_from() -> None:
    """Each field has a title, a sentence, and what it takes; types stand in groups, and examples are such forms."""
    for entry in layer_entries():
        assert entry["group"] in GROUPS, "name the module of the type in nets/layers/groups.py"
        assert entry["order"] == list(entry["fields"])
        for field in entry["fields"].values():
            assert field["title"] and field["description"]
            assert {"type", "enum", "const", "anyOf", "$ref"} & field.keys()
        schema = entry["schema"]
        assert (
            schema["required"] == ["type", *entry["required"]] and schema["properties"].keys() > entry["fields"].keys()
        )
        for example in entry["examples"]:
            said = example["layer"].keys()
            assert said <= schema["properties"].keys() and set(schema["required"]) <= said
            assert example["gives"]["kind"] in entry["gives"]
        assert entry["papers"] or entry["pytorch"] or entry["keras"], "say whose layer this is"
    papers = {entry["type"]: (entry["papers"], entry["pytorch"]) for entry in layer_entries()}
    assert papers["batchnorm2d"][1] == ["nn.BatchNorm2d"] and papers["residual_block"] == (["He et al., 2016"], [])


def test_combinators_are_listed_as_they_are_registered(trained: Trained) -> None:
    entries = trained.client.get("/api/layers").json["combinators"]
    assert {entry["type"] for entry in entries} == set(COMBINATORS)
    for entry in entries:
        end = [{"type": "flatten"}, {"type": "linear", "out": 10}]
        shape = list(COMBINATORS[entry["type"]].given.shape)
        body = {"input_shape": shape, "layers": [entry["example"], *end]}
        assert parse_architecture(body).graph.classes == 10
        assert set(entry["required"]) <= entry["fields"].keys() and entry["description"]


@pytest.mark.parametrize("name", [name for name, layer in LAYERS.items() if layer.arity[0] == 1])
def test_what_a_layer_type_takes_is_what_the_validator_takes(name: str) -> None:
    [entry] = [entry for entry in layer_entries() if entry["type"] == name]
    several = {"type": "conv2d", "out_channels": 12, "kernel_size": 1}  # of which halves and quarters can be had
    before: dict[str, list[Json]] = {"image": [several], "features": [{"type": "linear", "out": 50}]}  # 50: of no image
    for kind, layers in before.items():
        body = {"layers": [*layers, entry["example"], {"type": "flatten"}, {"type": "linear", "out": 10}]}
        accepted = entry["takes"] in (kind, "any") or (kind == "image" and entry["converts"])
        with nullcontext() if accepted else pytest.raises(SpecError, match=rf"layers\[.\]: {name} expects"):
            parse_architecture(body)


def test_examples_put_in_a_row_are_a_network() -> None:
    """Of images, those that keep height and width: rows of pools end in one pixel."""

    def fits(entry: Json) -> bool:
        first = LAYERS[entry["type"]].examples[0]
        if entry["inputs"]["least"] > 1 or entry["takes"] not in ("image", "any", "features"):
            return False
        size = first.gives.shape[1:] == first.takes[0].shape[1:] and first.gives.kind == first.takes[0].kind
        return size or (entry["takes"] != "image" and first.gives.kind == "features")

    row = [entry["example"] for entry in layer_entries() if fits(entry)]
    assert parse_architecture({"layers": [*row, {"type": "linear", "out": 10}]}).graph.classes == 10
    assert len(row) > 30


@pytest.mark.parametrize("entry", layer_entries(), ids=lambda entry: entry["type"])
def test_limits_of_fields_are_those_of_the_validator_in_the_words_of_json_schema(entry: Json) -> None:
    for field, schema in entry["fields"].items():
        assert not {"ge", "gt", "le", "lt"} & set(re.findall(r'"(\w+)":', json.dumps(schema)))
        for part in schema.get("anyOf", [schema]):
            if part.get("type") in ("integer", "number"):
                assert {"minimum", "exclusiveMinimum"} & part.keys() and {"maximum", "exclusiveMaximum"} & part.keys()
                for limit, step in (("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1), ("exclusiveMaximum", 0)):
                    if limit in part:
                        assert f"layer.{field}" in refused({**entry["example"], field: part[limit] + step}), limit
                    if limit in part and step:
                        assert f"layer.{field}" not in refused({**entry["example"], field: part[limit]}), limit


def refused(layer: Json) -> list[str]:
    """The places that a layer on its own is refused for."""
    try:
        LAYERS.parse(layer, ("layer",))
    except SpecError as error:
        return [problem.place for problem in error.problems]
    return []
