"""Parts of the OpenAPI document that no type of a request or of a record describes: what statuses mean, and errors."""

from __future__ import annotations

from typing import get_args

from backend.errors import Part
from backend.state.records import Json
from nets.errors import CODES

TEXT: Json = {"type": "string"}
REASONS = {
    200: "Success",
    201: "Created",
    202: "Accepted; what happens next, the events of the run tell",
    204: "There is nothing more to tell",
    206: "The part that was asked for",
    304: "The client has it already",
    400: "The body or the query is malformed or invalid; `errors` lists every problem with its place",
    401: "The token is missing or wrong",
    403: "The Host or Origin header is not allowed",
    404: "Not found",
    408: "The body arrived too slowly",
    409: "The state of the run or model does not allow it",
    412: "The file is not the one that If-Match names",
    413: "The body is too large",
    414: "The path and its query are too long",
    415: "The body is not application/json",
    416: "The file has no bytes in that range",
    422: "The pixels are wrong",
    431: "The headers are too large",
    500: "The server failed; its log has the details",
    503: "The server is overloaded or stopping; see Retry-After",
    507: "The state directory cannot be written: the disk is full or read-only",
}


def errors() -> Json:
    """The body of every error, and its parts."""
    return {"Error": ERROR, "Problem": problem(), "Change": CHANGE}


ERROR: Json = {
    "type": "object",
    "description": "What every request that fails is answered with.",
    "required": ["error"],
    "properties": {
        "error": {**TEXT, "description": "One sentence for people."},
        "errors": {
            "type": "array",
            "description": "Every problem of the body or the query, up to 100, where there are such.",
            "items": {"$ref": "#/components/schemas/Problem"},
        },
    },
}
CHANGE: Json = {
    "type": "object",
    "description": "One operation of a JSON Patch (RFC 6902).",
    "required": ["op", "path"],
    "properties": {
        "op": {"enum": ["add", "remove", "replace", "move"]},
        "path": TEXT,
        "from": {**TEXT, "description": "Of `move`."},
        "value": {"description": "Of `add` and `replace`."},
    },
}


def problem() -> Json:
    """One broken rule of a request."""
    codes = "\n".join(f"- `{code}`: {sentence}" for code, sentence in CODES.items())
    return {
        "type": "object",
        "description": "One broken rule of a request, in words and for programs.",
        "required": ["in", "pointer", "detail", "code", "expected", "got"],
        "properties": {
            "in": {"enum": list(get_args(Part)), "description": "Which part of the request `pointer` points into."},
            "name": {**TEXT, "description": "Of a problem in the query: the parameter."},
            "pointer": {
                **TEXT,
                "description": "A JSON Pointer (RFC 6901) to the value; of a query, to the parameter, e.g. `/limit`.",
            },
            "detail": {**TEXT, "description": "A sentence with the rule, what came, and the cure."},
            "code": {"enum": list(CODES), "description": f"The kind of rule.\n\n{codes}"},
            "expected": {
                "description": "An object is a JSON Schema of what is allowed: of the value; of the name for "
                "`unknown_field`; `{}` where no value of this place alone would do. Anything else is the one value "
                "that is right, which is never an object."
            },
            "got": {
                "description": "The value that came, long ones cut, with three dots where something is left out; null "
                "where nothing came."
            },
            "suggestion": {**TEXT, "description": "The name or value that was probably meant."},
            "fix": {
                "type": "array",
                "description": "A JSON Patch for the request as it was sent: it removes this problem for certain.",
                "items": {"$ref": "#/components/schemas/Change"},
            },
        },
    }
