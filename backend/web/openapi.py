"""`GET /api/openapi.json`: every endpoint, built from the routes, the layer registry and the records.

To add an endpoint, add a row to `OPERATIONS`; its sentence is the docstring of the view. A test compares the rows with
the routes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from flask import Flask
from pydantic import TypeAdapter

from backend.actions.infer import Answer, Answers
from backend.parsing.ids import MODEL_ID
from backend.parsing.requests import MAX_CURSOR, MAX_DESCRIPTION, MAX_ID, MAX_LISTED, MAX_NAME, MAX_SINCE
from backend.state.records import ACTIVE, DETAILS, TERMINAL, Json
from backend.web.event_stream import LAST_EVENT_ID
from backend.web.metrics import Metrics
from backend.web.views import Accepted, Defined, ListedRun, Model, ModelWithRuns, Promoted, Run
from nets.hyperparams.hyperparams import Hyperparams
from nets.hyperparams.optimizers import OPTIMIZERS
from nets.layers import LAYERS
from nets.training.events import EpochMetrics, SamplePrediction

EVERYWHERE = (400, 401, 403, 408, 413, 414, 431, 500, 503, 507)
REASONS = {
    400: "The body or the query is malformed or invalid; `errors` lists every problem with its place",
    401: "The token is missing or wrong",
    403: "The Host or Origin header is not allowed",
    404: "Not found",
    408: "The body arrived too slowly",
    409: "The state of the run or model does not allow it",
    413: "The body is too large",
    414: "The path and its query are too long",
    415: "The body is not application/json",
    422: "The pixels are wrong",
    431: "The headers are too large",
    500: "The server failed; its log has the details",
    503: "The server is overloaded or stopping; see Retry-After",
    507: "The state directory cannot be written: the disk is full or read-only",
}

Schema = Mapping[str, Any]
VIEWS: tuple[type[Any], ...] = (
    *(Model, ModelWithRuns, Defined, Run, ListedRun, Accepted, Promoted, Metrics, Answer, Answers),
    *(EpochMetrics, SamplePrediction),
)


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def listed(items: Schema) -> Json:
    return {"type": "array", "items": items}


def obj(required: Mapping[str, Schema], **optional: Schema) -> Json:
    """An object with these fields; answers may gain others in time."""
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def body(*required: str, **fields: Schema) -> Json:
    """An object with these fields and no others."""
    shape: Json = {"type": "object", "properties": fields, "additionalProperties": False}
    return {**shape, "required": list(required)} if required else shape


def optional(schema: Schema) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT = {"type": "string"}
NUMBER = {"type": "number"}
FLAG = {"type": "boolean"}
OBJECT = {"type": "object"}
NAME = optional({"type": "string", "minLength": 1, "maxLength": MAX_NAME, "pattern": r"\S"})
DESCRIPTION = optional({"type": "string", "maxLength": MAX_DESCRIPTION})
RUN_ID = {"type": "string", "minLength": 1, "maxLength": MAX_ID, "pattern": r"\S"}
NEW_MODEL_ID = optional({"type": "string", "maxLength": MAX_ID, "pattern": f"^{MODEL_ID.pattern}$"})
DEFINITION: dict[str, Schema] = {
    "name": NAME,
    "description": DESCRIPTION,
    "architecture": optional(ref("Architecture")),
    "hyperparams": optional(ref("Hyperparams")),
}
STANDING: dict[str, Schema] = {"trained": optional(FLAG), "saved_model_path": optional(TEXT)}
PROMOTION = {"run_id": RUN_ID, "model_id": NEW_MODEL_ID, "name": NAME, "description": DESCRIPTION}
PIXELS = {"type": "array", "description": "Numbers from 0 to 1, row by row from the top, flat or nested."}


@dataclass(frozen=True)
class Operation:
    """What an endpoint takes and answers. `answers`: schema by status; another media type by `(status, type)`."""

    answers: Mapping[int | tuple[int, str], Schema]
    takes: Schema | None = None
    example: Json | None = None
    needs_body: bool = True
    errors: tuple[int, ...] = ()
    query: Mapping[str, Schema] = field(default_factory=dict)

    @property
    def fields(self) -> Collection[str]:
        """Those of the body."""
        return self.takes["properties"] if self.takes else ()


SMALL: Json = {
    "architecture": {
        "input_size": 784,
        "layers": [{"type": "linear", "out": 16}, {"type": "relu"}, {"type": "linear", "out": 10}, {"type": "softmax"}],
    },
    "hyperparams": {"epochs": 1, "max_samples": 128, "dataset_type": "digits"},
    "queue": True,
}
LIMIT = {"type": "integer", "minimum": 1, "maximum": MAX_LISTED}
SINCE = {"since": {"type": "integer", "minimum": 0, "maximum": MAX_SINCE}, "limit": LIMIT}
PAGED = {"limit": LIMIT, "before": {"type": "integer", "minimum": 1, "maximum": MAX_CURSOR}}
DETAIL = f"({'|'.join(DETAILS)})"
OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("GET", "/api/models"): Operation({200: listed(ref("Model"))}, query=PAGED),
    ("POST", "/api/models"): Operation(
        {200: ref("Defined"), 201: ref("Defined")},
        body(**DEFINITION, **STANDING, model_id=NEW_MODEL_ID),
        errors=(404, 409),
    ),
    ("GET", "/api/models/<model_id>"): Operation({200: ref("ModelWithRuns")}, query=PAGED),
    ("PATCH", "/api/models/<model_id>"): Operation(
        {200: ref("Defined")}, body(**DEFINITION, **STANDING, model_id=NEW_MODEL_ID)
    ),
    ("DELETE", "/api/models/<model_id>"): Operation(
        {200: obj({"model_id": TEXT, "deleted": FLAG, "runs_deleted": listed(TEXT)})}, errors=(409,)
    ),
    ("POST", "/api/models/<model_id>/save"): Operation(
        {200: {"anyOf": [ref("Defined"), ref("Promoted")]}},
        body(**{**DEFINITION, **PROMOTION, "run_id": optional(RUN_ID)}),
        errors=(409,),
    ),
    ("POST", "/api/models/save"): Operation({201: ref("Promoted")}, body("run_id", **PROMOTION), errors=(404, 409)),
    ("POST", "/api/train"): Operation(
        {202: ref("Accepted")},
        body(
            **DEFINITION,
            model_id=NEW_MODEL_ID,
            queue=optional(FLAG),
            resume_from=optional(RUN_ID),
            update_model=optional(FLAG),
        ),
        SMALL,
        errors=(404, 409),
    ),
    ("POST", "/api/train/<run_id>/cancel"): Operation(
        {202: obj({"run_id": TEXT, "status": TEXT})}, body(), needs_body=False, errors=(409,)
    ),
    ("GET", "/api/runs"): Operation(
        {200: obj({"runs": listed(ref("ListedRun")), "next": optional({"type": "integer"}), "warnings": listed(TEXT)})},
        query={
            "model_id": TEXT,
            "state": {"enum": [*ACTIVE, *TERMINAL]},
            "include": {"type": "string", "pattern": f"^{DETAIL}(,{DETAIL})*$"},
            **PAGED,
        },
    ),
    ("GET", "/api/runs/<run_id>"): Operation({200: ref("Run")}),
    ("DELETE", "/api/runs/<run_id>"): Operation({200: obj({"run_id": TEXT, "deleted": FLAG})}, errors=(409,)),
    ("POST", "/api/runs/<run_id>/resume"): Operation(
        {202: ref("Accepted")}, body(queue=optional(FLAG)), needs_body=False, errors=(409,)
    ),
    ("GET", "/api/runs/<run_id>/metrics"): Operation({200: ref("Metrics"), (200, "text/csv"): TEXT}, query=SINCE),
    ("GET", "/api/runs/<run_id>/metrics.csv"): Operation({(200, "text/csv"): TEXT}, query=SINCE),
    ("GET", "/api/runs/<run_id>/events"): Operation(
        {(200, "text/event-stream"): TEXT, 204: {}}, query={"token": TEXT, **dict.fromkeys(LAST_EVENT_ID, TEXT)}
    ),
    ("POST", "/api/infer"): Operation(
        {200: {"anyOf": [ref("Answer"), ref("Answers")]}},
        body(run_id=optional(RUN_ID), model_id=NEW_MODEL_ID, pixels=optional(PIXELS), batch=optional(PIXELS)),
        errors=(404, 409, 422),
    ),
    ("GET", "/api/datasets"): Operation({200: obj({"datasets": listed(OBJECT)})}),
    ("GET", "/api/layers"): Operation({200: obj({"layers": listed(OBJECT)})}),
    ("GET", "/api/health"): Operation(
        {
            200: obj(
                {
                    "status": {"enum": ["ok", "degraded"]},
                    "warnings": listed(TEXT),
                    "version": TEXT,
                    "uptime_seconds": NUMBER,
                }
            )
        }
    ),
    ("GET", "/api/openapi.json"): Operation({200: OBJECT}),
}


def document(app: Flask) -> Json:
    """The OpenAPI 3.1 document of an application."""
    paths: dict[str, Json] = {}
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods or ()):
            operation = OPERATIONS.get((method, rule.rule))
            if operation is not None:
                sentence = (app.view_functions[rule.endpoint].__doc__ or "").strip()
                path = paths.setdefault(re.sub(r"<(\w+)>", r"{\1}", rule.rule), {})
                path[method.lower()] = _operation(operation, rule.rule, rule.endpoint, sentence)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lamina",
            "version": version("lamina"),
            "description": "Trains neural networks given as JSON, streams the metrics, and predicts. Every endpoint "
            "ignores the query parameter `_`, and refuses unknown and repeated ones.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(operation: Operation, rule: str, endpoint: str, sentence: str) -> Json:
    names = re.findall(r"<(\w+)>", rule)
    parameters: list[Json] = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in operation.query.items()]
    described: Json = {"operationId": endpoint.replace(".", "_"), "summary": sentence.split("\n")[0]}
    if parameters:
        described["parameters"] = parameters
    errors = {*EVERYWHERE, *operation.errors, *([404] if names else [])}
    if operation.takes is not None:
        errors.add(415)
        example = {} if operation.example is None else {"example": operation.example}
        content = {"application/json": {"schema": operation.takes, **example}}
        described["requestBody"] = {"required": operation.needs_body, "content": content}
    described["responses"] = {**_answers(operation), **{str(status): _error(status) for status in sorted(errors)}}
    return described


def _answers(operation: Operation) -> Json:
    answers: Json = {}
    for key, schema in operation.answers.items():
        status, media = key if isinstance(key, tuple) else (key, "application/json")
        answer = answers.setdefault(str(status), {"description": "Success"})
        if schema:
            answer.setdefault("content", {})[media] = {"schema": schema}
    return answers


def _error(status: int) -> Json:
    return {"description": REASONS[status], "content": {"application/json": {"schema": ref("Error")}}}


def schemas() -> Json:
    """The named parts. Answers are what the types of the views say, which mypy holds the views to."""
    made: Json = {}
    for view in VIEWS:
        schema = TypeAdapter(view).json_schema(mode="serialization", ref_template=ref("{model}")["$ref"])
        made |= {**schema.pop("$defs", {}), view.__name__: schema}
    for name in ("Run", "ListedRun", "Accepted", "Metrics"):
        made[name]["properties"]["metrics"]["items"] = {"allOf": [ref("EpochMetrics"), obj({"run_id": TEXT})]}
    for name in ("Run", "ListedRun"):
        made[name]["properties"]["sample_predictions"]["anyOf"][0]["items"] = ref("SamplePrediction")
    return {
        "Error": obj({"error": TEXT}, errors=listed(obj({"pointer": TEXT, "detail": TEXT}))),
        "Architecture": _architecture(),
        "Hyperparams": _hyperparams(),
        **made,
    }


def _architecture() -> Json:
    """The frame and, as a choice, every layer type with its fields and their other names."""
    size = optional({"type": "integer", "minimum": 1})
    frame = {name: size for name in ("input_size", "input_channels", "input_height", "input_width")}
    shape = optional({"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 3, "maxItems": 3})
    layers = {"type": "array", "minItems": 1, "items": LAYERS.schema()}
    return {**body("layers", **frame, input_shape=shape, layers=layers), "title": "Architecture"}


def _hyperparams() -> Json:
    schema = Hyperparams.model_json_schema()
    fields = {**schema["properties"], "optimizer": OPTIMIZERS.schema()}
    fields["dataset"] = fields["dataset_type"]
    return {"type": "object", "description": schema["description"], "properties": fields}
