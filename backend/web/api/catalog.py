"""What this server offers and how it is: data sets, layer types, health."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flask import current_app, jsonify
from flask.typing import ResponseReturnValue

from backend.actions.health import Health
from backend.web.catalog import combinator_entries, dataset_entries, layer_entries
from backend.web.openapi import document
from backend.web.routes import route


@dataclass(frozen=True)
class CatalogRoutes:
    """Under /api."""

    data_dir: Path
    health: Health

    @route("GET", "/datasets")
    def list_datasets(self) -> ResponseReturnValue:
        """Every data set, and which of them are on this disk."""
        return jsonify({"datasets": dataset_entries(self.data_dir)})

    @route("GET", "/layers")
    def list_layers(self) -> ResponseReturnValue:
        """Every layer type and combinator with its fields and an example."""
        return jsonify({"layers": layer_entries(), "combinators": combinator_entries()})

    @route("GET", "/health")
    def get_health(self) -> ResponseReturnValue:
        """Health of the server. `status` is `ok`, or `degraded` if the state directory cannot be written."""
        return jsonify(self.health.now())

    @route("GET", "/openapi.json")
    def get_openapi(self) -> ResponseReturnValue:
        """This document: every endpoint with its parameters, body and answers."""
        return jsonify(document(current_app))
