"""Results of benchmarks: their schema, and what tells bodies apart."""

import json

import jsonschema_rs
import pytest
from pydantic import ValidationError

from nets import parse_architecture, parse_hyperparams
from nets.benchmarks.results import RESULTS, body_sha256, json_schema
from tests.nets.benchmark_results import example


def test_results_fit_the_published_schema_and_come_back_the_same():
    results = example(platforms=("cpu", "gpu"))
    text = RESULTS.dump_json(results)
    jsonschema_rs.validator_for(json_schema()).validate(json.loads(text))
    assert RESULTS.validate_json(text, strict=True) == results


def test_what_is_no_result_is_refused():
    with pytest.raises(ValidationError, match="cells.0.batch_size"):
        RESULTS.validate_python({**example(), "cells": [{**example()["cells"][0], "batch_size": "many"}]}, strict=True)
    with pytest.raises(ValidationError, match="schema"):
        RESULTS.validate_python({**example(), "schema": "lamina-bench/0"}, strict=True)


def test_a_body_is_the_same_whatever_a_cell_chooses():
    def sha256(layers: list[dict], **hyperparams: object) -> str:
        network = parse_architecture({"input_size": 784, "layers": layers})
        return body_sha256({"architecture": network.to_json(), "hyperparams": parse_hyperparams(hyperparams).to_json()})

    layers = [{"type": "linear", "out": 10}]
    same = sha256(layers)
    assert same == sha256([{"type": "linear", "out_features": 10}], batch_size=16, precision="bfloat16", seed=42)
    assert same != sha256(layers, seed=1)
    assert same != sha256([{"type": "linear", "out": 10, "bias": False}])
