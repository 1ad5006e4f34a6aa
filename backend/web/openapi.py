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

from backend.actions.compare import Comparison
from backend.actions.devices import Devices
from backend.actions.evaluation import EvaluationAnswer
from backend.actions.infer import Answer, Answers
from backend.events.ticks import EndEvent, TickEvent
from backend.parsing.augment_preview import AugmentPreview
from backend.parsing.benchmarks import BenchmarkBody
from backend.parsing.queries import (
    BenchmarkEvents,
    Compared,
    ComparedCurves,
    Curves,
    Deleting,
    ModelPage,
    Page,
    Query,
    RunEvents,
    RunPage,
    RunsEvents,
    RunTable,
    Since,
    Stream,
    WeightsQuery,
)
from backend.parsing.requests import (
    Body,
    CalibrateBody,
    CancelBody,
    DefineBody,
    EvaluateBody,
    InferBody,
    LabelBody,
    PromoteBody,
    ResumeBody,
    SaveBody,
    TrainBody,
)
from backend.state.payloads import BenchmarkStateEvent, StateEvent
from backend.state.records import Json
from backend.training.payloads import LogEvent, MetricEvent, ProgressEvent, StepEvent
from backend.web.benchmarks import (
    AcceptedBenchmark,
    Benchmark,
    BenchmarkLogEvent,
    BenchmarkProgressEvent,
    CellEvent,
    ListedBenchmark,
)
from backend.web.components import REASONS, errors
from backend.web.metrics import Metrics
from backend.web.views import Accepted, Defined, ListedRun, Model, ModelWithRuns, Promoted, Run
from nets.architecture.schema import LAYER, architecture_schema, layer_schemas
from nets.examples import PublicNetwork
from nets.inspection.report import Report
from nets.spec.fields import wire_names
from nets.training.metrics import EpochMetrics
from nets.training.samples import SamplePrediction

EVERYWHERE = (400, 401, 403, 408, 413, 414, 431, 500, 503, 507)
IDS = {
    "run_id": "The id of a run.",
    "model_id": "The id of a model.",
    "benchmark_id": "The id of a benchmark.",
    "name": "The name of an example.",
}
Schema = Mapping[str, Any]
VIEWS: tuple[type[Any], ...] = (
    *(Model, ModelWithRuns, Defined, Run, ListedRun, Accepted, Promoted, Metrics, Answer, Answers),
    *(EpochMetrics, SamplePrediction, StateEvent, MetricEvent, StepEvent, ProgressEvent, LogEvent),
    *(TickEvent, EndEvent),
    *(Comparison, Devices, Report, PublicNetwork, EvaluationAnswer),
    *(Benchmark, ListedBenchmark, AcceptedBenchmark),
    *(BenchmarkStateEvent, CellEvent, BenchmarkProgressEvent, BenchmarkLogEvent),
)
STREAM = "text/event-stream"
SVG, PNG = "image/svg+xml", "image/png"
LONGEST_SUMMARY = 64
BETWEEN_SENTENCES = re.compile(r"(?<=\.) (?=[A-Z`0-9])")
SUBJECTS: Mapping[str, tuple[str, str]] = {  # by the blueprint that the routes stand in: a tag, and what it is about
    "training": ("Training", "Start, cancel and resume runs."),
    "inspection": ("Inspect", "What a network costs before it trains."),
    "runs": ("Runs", "Records, metrics and live events of runs."),
    "events": ("Events", "The events of many runs in one stream, and a test of the way to the client."),
    "benchmarks": ("Benchmarks", "Networks measured side by side, on several devices."),
    "compare": ("Compare", "Several runs side by side."),
    "weights": ("Weights", "What a run has learned, for other programs."),
    "models": ("Models", "Stored definitions, and the runs promoted into them."),
    "evaluation": ("Evaluate", "Kept weights, measured on a data set."),
    "infer": ("Predict", "What a trained network says of images."),
    "devices": ("Devices", "What runs train on, and what it was measured to do."),
    "catalog": ("Server", "What this server offers, how it is, and what describes it."),
}
EVENTS: Mapping[str, Any] = {
    "state": StateEvent,
    "metric": MetricEvent,
    "step": StepEvent,
    "progress": ProgressEvent,
    "log": LogEvent,
}


BENCHMARK_EVENTS: Mapping[str, Any] = {
    "state": BenchmarkStateEvent,
    "cell": CellEvent,
    "progress": BenchmarkProgressEvent,
    "log": BenchmarkLogEvent,
}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def listed(items: Schema) -> Json:
    return {"type": "array", "items": items}


def obj(required: Mapping[str, Schema], **optional: Schema) -> Json:
    """An object with these fields; answers may gain others in time."""
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def optional(schema: Schema) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT = {"type": "string"}
NUMBER = {"type": "number"}
FLAG = {"type": "boolean"}
OBJECT = {"type": "object"}
OCTETS = "application/octet-stream"
BINARY = {"type": "string", "format": "binary"}


@dataclass(frozen=True)
class Operation:
    """What an endpoint takes and answers. `answers`: schema by status; another media type by `(status, type)`.

    takes: the types that its body may have. events: of a stream, the types of their data by name.
    """

    answers: Mapping[int | tuple[int, str], Schema]
    takes: tuple[type[Body], ...] = ()
    needs_body: bool = True
    errors: tuple[int, ...] = ()
    query: type[Query] = Query
    events: Mapping[str, Any] = field(default_factory=lambda: EVENTS)

    @property
    def fields(self) -> Collection[str]:
        """Those of the body."""
        return {name for body in self.takes for name in wire_names(body)}


CANCEL = Operation(
    {202: obj({"run_id": TEXT, "state": {"const": "cancelling"}, "status": {"const": "cancelling"}})},
    (CancelBody,),
    needs_body=False,
    errors=(409,),
)
OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("GET", "/api/models"): Operation({200: listed(ref("Model"))}, query=ModelPage),
    ("POST", "/api/models"): Operation({200: ref("Defined"), 201: ref("Defined")}, (DefineBody,), errors=(404, 409)),
    ("GET", "/api/models/<model_id>"): Operation({200: ref("ModelWithRuns")}, query=Page),
    ("PATCH", "/api/models/<model_id>"): Operation({200: ref("Defined")}, (DefineBody,)),
    ("DELETE", "/api/models/<model_id>"): Operation(
        {200: obj({"model_id": TEXT, "deleted": FLAG, "runs_deleted": listed(TEXT)})}, errors=(409,)
    ),
    ("POST", "/api/models/<model_id>/save"): Operation(
        {200: {"anyOf": [ref("Defined"), ref("Promoted")]}}, (SaveBody, PromoteBody), errors=(409,)
    ),
    ("POST", "/api/models/save"): Operation({201: ref("Promoted")}, (PromoteBody,), errors=(404, 409)),
    ("POST", "/api/train"): Operation({202: ref("Accepted")}, (TrainBody,), errors=(404, 409)),
    ("POST", "/api/inspect"): Operation({200: ref("Report")}, (TrainBody,), errors=(404, 409)),
    ("POST", "/api/runs/<run_id>/cancel"): CANCEL,
    ("POST", "/api/train/<run_id>/cancel"): CANCEL,
    ("GET", "/api/runs"): Operation(
        {200: obj({"runs": listed(ref("ListedRun")), "next": optional({"type": "integer"}), "warnings": listed(TEXT)})},
        query=RunPage,
    ),
    ("GET", "/api/runs.csv"): Operation({(200, "text/csv"): TEXT}, query=RunTable),
    ("GET", "/api/runs/<run_id>"): Operation({200: ref("Run")}),
    ("PATCH", "/api/runs/<run_id>"): Operation({200: ref("Run")}, (LabelBody,)),
    ("DELETE", "/api/runs/<run_id>"): Operation(
        {200: obj({"run_id": TEXT, "deleted": FLAG}, model_deleted=FLAG)}, errors=(409,), query=Deleting
    ),
    ("POST", "/api/runs/<run_id>/resume"): Operation(
        {202: ref("Accepted")}, (ResumeBody,), needs_body=False, errors=(409,)
    ),
    ("GET", "/api/runs/<run_id>/metrics"): Operation({200: ref("Metrics"), (200, "text/csv"): TEXT}, query=Since),
    ("GET", "/api/runs/<run_id>/metrics.csv"): Operation({(200, "text/csv"): TEXT}, query=Since),
    ("GET", "/api/runs/<run_id>/events"): Operation({(200, "text/event-stream"): TEXT, 204: {}}, query=RunEvents),
    ("GET", "/api/compare"): Operation({200: ref("Comparison")}, query=Compared, errors=(404,)),
    ("GET", "/api/compare.csv"): Operation({(200, "text/csv"): TEXT}, query=Compared, errors=(404,)),
    ("GET", "/api/compare.svg"): Operation({(200, SVG): TEXT, 304: {}}, query=ComparedCurves, errors=(404,)),
    ("GET", "/api/runs/<run_id>/curves.svg"): Operation({(200, SVG): TEXT, 304: {}}, query=Curves),
    ("GET", "/api/runs/<run_id>/weights"): Operation(
        {(200, OCTETS): BINARY, (206, OCTETS): BINARY, 304: {}}, query=WeightsQuery, errors=(409, 412, 416)
    ),
    ("GET", "/api/events"): Operation({(200, "text/event-stream"): TEXT, 204: {}}, query=RunsEvents, errors=(404,)),
    ("GET", "/api/events/test"): Operation(
        {(200, STREAM): TEXT, 204: {}}, query=Stream, events={"tick": TickEvent, "end": EndEvent}
    ),
    ("POST", "/api/infer"): Operation(
        {200: {"anyOf": [ref("Answer"), ref("Answers")]}}, (InferBody,), errors=(404, 409, 422)
    ),
    ("POST", "/api/evaluate"): Operation({200: ref("EvaluationAnswer")}, (EvaluateBody,), errors=(404, 409)),
    ("POST", "/api/benchmarks"): Operation({202: ref("AcceptedBenchmark")}, (BenchmarkBody,), errors=(404, 409)),
    ("GET", "/api/benchmarks"): Operation(
        {
            200: obj(
                {
                    "benchmarks": listed(ref("ListedBenchmark")),
                    "next": optional({"type": "integer"}),
                    "warnings": listed(TEXT),
                }
            )
        },
        query=Page,
    ),
    ("GET", "/api/benchmarks/<benchmark_id>"): Operation({200: ref("Benchmark")}),
    ("DELETE", "/api/benchmarks/<benchmark_id>"): Operation(
        {200: obj({"benchmark_id": TEXT, "deleted": FLAG})}, errors=(409,)
    ),
    ("GET", "/api/benchmarks/<benchmark_id>.json"): Operation({200: OBJECT}, errors=(409,)),
    ("GET", "/api/benchmarks/<benchmark_id>.csv"): Operation({(200, "text/csv"): TEXT}, errors=(409,)),
    ("GET", "/api/benchmarks/<benchmark_id>.html"): Operation({(200, "text/html"): TEXT}, errors=(409,)),
    ("GET", "/api/benchmarks/<benchmark_id>/events"): Operation(
        {(200, STREAM): TEXT, 204: {}}, query=BenchmarkEvents, events=BENCHMARK_EVENTS
    ),
    ("POST", "/api/benchmarks/<benchmark_id>/cancel"): Operation(
        {202: obj({"benchmark_id": TEXT, "state": {"const": "cancelling"}})},
        (CancelBody,),
        needs_body=False,
        errors=(409,),
    ),
    ("GET", "/api/devices"): Operation({200: ref("Devices")}),
    ("POST", "/api/devices/calibrate"): Operation(
        {202: obj({"measuring": listed(TEXT)})}, (CalibrateBody,), needs_body=False, errors=(409,)
    ),
    ("GET", "/api/augment-preview"): Operation({(200, PNG): BINARY, 304: {}}, query=AugmentPreview, errors=(409,)),
    ("GET", "/api/datasets"): Operation({200: obj({"datasets": listed(OBJECT)})}),
    ("GET", "/api/examples"): Operation({200: obj({"examples": listed(ref("PublicNetwork"))})}),
    ("GET", "/api/examples/<name>"): Operation({200: ref("PublicNetwork")}),
    ("GET", "/api/layers"): Operation({200: obj({"layers": listed(OBJECT)})}),
    ("GET", "/api/health"): Operation(
        {
            200: obj(
                {
                    "status": {"enum": ["ok", "degraded"]},
                    "warnings": listed(TEXT),
                    "version": TEXT,
                    "uptime_seconds": NUMBER,
                    "state_bytes": optional({"type": "integer"}),
                    "retention": obj({"keep_runs": {"type": "integer"}, "keep_days": {"type": "integer"}}),
                }
            )
        }
    ),
    ("GET", "/api/openapi.json"): Operation({200: OBJECT}),
    ("GET", "/api/schema/train.json"): Operation({(200, "application/schema+json"): OBJECT}),
    ("GET", "/api/schema/model.json"): Operation({(200, "application/schema+json"): OBJECT}),
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
        "tags": [{"name": name, "description": about} for name, about in SUBJECTS.values()],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(operation: Operation, rule: str, endpoint: str, sentence: str) -> Json:
    names = re.findall(r"<(\w+)>", rule)
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "description": IDS[name], "schema": TEXT} for name in names
    ]
    parameters += _query(operation.query)
    subject, line = endpoint.partition(".")[0], sentence.split("\n")[0]
    described: Json = {"operationId": endpoint.replace(".", "_"), "tags": [SUBJECTS.get(subject, (subject, ""))[0]]}
    described["summary"] = brief(line)
    described |= {"description": line} if line != described["summary"] else {}
    if parameters:
        described["parameters"] = parameters
    failing = {*EVERYWHERE, *operation.errors, *([404] if names else [])}
    if operation.takes:
        failing.add(415)
        described["requestBody"] = {"required": operation.needs_body, "content": {"application/json": _body(operation)}}
    described["responses"] = {**_answers(operation), **{str(status): _error(status) for status in sorted(failing)}}
    return described


def brief(line: str) -> str:
    """A sentence for a list of operations, without marks: the first one, of a long one what stands before a colon."""
    first = re.split(BETWEEN_SENTENCES, line)[0]
    if len(first) > LONGEST_SUMMARY:
        first = re.split(r"[:;] ", first)[0].rstrip(".") + "."
    return first.replace("`", "")


def _query(query: type[Query]) -> list[Json]:
    parameters = []
    for name, schema in query.model_json_schema().get("properties", {}).items():
        schema = {key: value for key, value in schema.items() if key != "title" and (key, value) != ("default", None)}
        about = schema.pop("description")
        parameters.append({"name": name, "in": "query", "description": about, "schema": schema})
    return parameters


def _body(operation: Operation) -> Json:
    one, *others = (ref(body.__name__) for body in operation.takes)
    examples = [body.example for body in operation.takes if body.example is not None]
    return {"schema": {"anyOf": [one, *others]} if others else one, **({"example": examples[0]} if examples else {})}


def _answers(operation: Operation) -> Json:
    answers: Json = {}
    for key, schema in operation.answers.items():
        status, media = key if isinstance(key, tuple) else (key, "application/json")
        answer = answers.setdefault(str(status), {"description": REASONS.get(status, "Success")})
        if schema:
            sent = {"x-events": {name: ref(kind.__name__) for name, kind in operation.events.items()}}
            answer.setdefault("content", {})[media] = {"schema": schema, **(sent if media == STREAM else {})}
    return answers


def _error(status: int) -> Json:
    return {"description": REASONS[status], "content": {"application/json": {"schema": ref("Error")}}}


def schemas() -> Json:
    """The named parts. Answers are what the views of records say; a test holds real ones against them."""
    made: Json = {}
    template = ref("{model}")["$ref"]
    for body in dict.fromkeys(body for operation in OPERATIONS.values() for body in operation.takes):
        schema = body.model_json_schema(ref_template=template)
        made |= {**schema.pop("$defs", {}), body.__name__: schema}
    for view in VIEWS:
        schema = TypeAdapter(view).json_schema(mode="serialization", ref_template=template)
        made |= {**schema.pop("$defs", {}), view.__name__: schema}
    for name in ("Run", "ListedRun", "Accepted", "Metrics"):
        made[name]["properties"]["metrics"]["items"] = {"allOf": [ref("EpochMetrics"), obj({"run_id": TEXT})]}
    for name in ("EvaluationAnswer", "StateEvent"):
        made[name]["properties"]["worst"]["items"] = ref("SamplePrediction")
    for name in ("Run", "ListedRun"):
        made[name]["properties"]["worst"]["anyOf"][0]["items"] = ref("SamplePrediction")
    for name in ("Run", "ListedRun", "StateEvent"):
        made[name]["properties"]["sample_predictions"]["anyOf"][0]["items"] = ref("SamplePrediction")
    made["Architecture"] = architecture_schema(ref(LAYER))
    return {**errors(), **made, **layer_schemas(ref("")["$ref"])}
