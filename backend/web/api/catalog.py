"""What this server offers and how it is: data sets, layer types, health."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from flask import Response, current_app, jsonify
from flask.typing import ResponseReturnValue

from backend.actions.augment_preview import Previews
from backend.actions.health import Health
from backend.actions.pictures import Easel
from backend.errors import not_found
from backend.parsing.augment_preview import AugmentPreview
from backend.parsing.editors import model_schema, train_schema
from backend.state.records import Json
from backend.web.catalog import combinator_entries, dataset_entries, layer_entries
from backend.web.openapi import document
from backend.web.pictures import picture_answer
from backend.web.query import asked
from backend.web.routes import route
from nets import examples


def schema_answer(schema: Json) -> Response:
    """A JSON Schema, to be read by people too."""
    return Response(f"{json.dumps(schema, indent=2)}\n", mimetype="application/schema+json")


@dataclass(frozen=True)
class CatalogRoutes:
    """Under /api."""

    data_dir: Path
    health: Health
    previews: Previews
    easel: Easel

    @route("GET", "/datasets")
    def list_datasets(self) -> ResponseReturnValue:
        """Every data set, and which of them are on this disk."""
        return jsonify({"datasets": dataset_entries(self.data_dir)})

    @route("GET", "/augment-preview")
    def get_augment_preview(self) -> ResponseReturnValue:
        """Samples of a data set before and after augmentation, as training would see them: a PNG."""
        return picture_answer(self.easel, self.previews.of(asked(AugmentPreview)))

    @route("GET", "/layers")
    def list_layers(self) -> ResponseReturnValue:
        """Every layer type and combinator with its fields and an example."""
        return jsonify({"layers": layer_entries(), "combinators": combinator_entries()})

    @route("GET", "/examples")
    def list_examples(self) -> ResponseReturnValue:
        """Public networks as bodies of `POST /api/train`, each with its source, its recipe and what it reaches."""
        return jsonify({"examples": examples.networks()})

    @route("GET", "/examples/<name>")
    def get_example(self, name: str) -> ResponseReturnValue:
        """One public network; its `body` is what `POST /api/train` takes."""
        if name not in examples.names():
            raise not_found("example", name, listing="/api/examples")
        return jsonify(examples.network(name))

    @route("GET", "/health")
    def get_health(self) -> ResponseReturnValue:
        """Health of the server. `status` is `ok`, or `degraded` if the state directory cannot be written."""
        return jsonify(self.health.now())

    @route("GET", "/schema/train.json")
    def get_train_schema(self) -> ResponseReturnValue:
        """The body of `POST /api/train` as a stand-alone JSON Schema, for editors."""
        return schema_answer(train_schema())

    @route("GET", "/schema/model.json")
    def get_model_schema(self) -> ResponseReturnValue:
        """The body of `POST /api/models` as a stand-alone JSON Schema, for editors."""
        return schema_answer(model_schema())

    @route("GET", "/openapi.json")
    def get_openapi(self) -> ResponseReturnValue:
        """This document: every endpoint with its parameters, body and answers."""
        return jsonify(document(current_app))
