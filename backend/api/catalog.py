"""What this server offers and how it is: data sets, layer types, health."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from backend.catalog import dataset_entries, layer_entries
from backend.health import health
from backend.services import services

bp = Blueprint("catalog", __name__)


@bp.get("/datasets")
def list_datasets() -> ResponseReturnValue:
    return jsonify({"datasets": dataset_entries(services().settings.data_dir)})


@bp.get("/layers")
def list_layers() -> ResponseReturnValue:
    return jsonify({"layers": layer_entries()})


@bp.get("/health")
def get_health() -> ResponseReturnValue:
    """`status` is `ok`, or `degraded` when the state directory cannot be written."""
    return jsonify(health(services()))
