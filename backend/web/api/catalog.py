"""What this server offers and how it is: data sets, layer types, health."""

from __future__ import annotations

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue

from backend.actions.health import health
from backend.services import services
from backend.web.catalog import dataset_entries, layer_entries
from backend.web.openapi import document

bp = Blueprint("catalog", __name__)


@bp.get("/datasets")
def list_datasets() -> ResponseReturnValue:
    """Every data set, and which of them are on this disk."""
    return jsonify({"datasets": dataset_entries(services().settings.data_dir)})


@bp.get("/layers")
def list_layers() -> ResponseReturnValue:
    """Every layer type with its fields and an example."""
    return jsonify({"layers": layer_entries()})


@bp.get("/health")
def get_health() -> ResponseReturnValue:
    """`status` is `ok`, or `degraded` when the state directory cannot be written."""
    return jsonify(health(services()))


@bp.get("/openapi.json")
def get_openapi() -> ResponseReturnValue:
    """This document: every endpoint with what it takes and answers."""
    return jsonify(document(current_app))
