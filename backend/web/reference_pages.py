"""The pages for people: the index at `/`, and the reference at `/docs`. They tell nothing of what the server holds."""

from __future__ import annotations

import gzip
import html
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from string import Template
from types import MappingProxyType
from typing import Any

from flask import Response, request

from backend.parsing.requests import TrainBody
from backend.state.records import Json

ABOUT = "Trains neural networks given as JSON, streams their metrics, and predicts."
TOKEN = "Where the server has a token, add -H 'Authorization: Bearer <token>'; the pages / and /docs need none."
LINKS = {  # by name: where, and what is there
    "docs": ("/docs", "the reference of all endpoints"),
    "health": ("/api/health", "how the server is"),
    "openapi": ("/api/openapi.json", "the same reference for programs, as OpenAPI 3.1"),
    "train_schema": ("/api/schema/train.json", "the body of a training run for editors, as JSON Schema"),
    "metrics": ("/metrics", "what is measured, for Prometheus"),
}
# Nothing but what this server sends; RapiDoc's own styles stand in the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FILES: Mapping[str, str] = MappingProxyType(
    {
        "rapidoc.js": "text/javascript",
        "start.js": "text/javascript",
        "pages.css": "text/css",
        "icon.svg": "image/svg+xml",
    }
)


@dataclass(frozen=True)
class Content:
    """What a path answers with, compressed once. `tag`: changes with what it says."""

    zipped: bytes
    mimetype: str
    tag: str

    @classmethod
    def of(cls, text: str, mimetype: str) -> Content:
        return cls.packed(gzip.compress(text.encode(), 9, mtime=0), mimetype)

    @classmethod
    def packed(cls, zipped: bytes, mimetype: str) -> Content:
        return cls(zipped, mimetype, sha256(zipped).hexdigest()[:32])

    def response(self) -> Response:
        """Compressed for who takes it; 304 for who has it."""
        takes = request.accept_encodings.quality("gzip") > 0
        response = Response(self.zipped if takes else gzip.decompress(self.zipped), mimetype=self.mimetype)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Cache-Control"] = "no-cache"  # kept, and asked about each time: another version may be here
        response.vary.add("Accept-Encoding")
        if takes:
            response.headers["Content-Encoding"] = "gzip"
        response.set_etag(self.tag + "-gzip" * takes)
        response.make_conditional(request)
        return response


@cache
def file(name: str) -> Content:
    """One of `FILES`."""
    place = files("backend.web") / "reference"
    packed = place / f"{name}.gz"
    if packed.is_file():
        return Content.packed(packed.read_bytes(), FILES[name])
    return Content.of((place / name).read_text("utf-8"), FILES[name])


def page(name: str, **values: str) -> Content:
    """A page with values put in, which are HTML."""
    text = (files("backend.web") / "reference" / f"{name}.html").read_text("utf-8")
    return Content.of(Template(text).substitute(values), "text/html")


def reference_page(document: Json) -> Content:
    """The viewer, with the document in it: in a script, where only `<` could end what is data."""
    return page("docs", document=json.dumps(for_people(document), separators=(",", ":")).replace("<", "\\u003c"))


def for_people(part: Any) -> Any:
    """A document in fewer lines: without null where it says the same as nothing, without titles that repeat the names
    of fields, and with the data of events."""
    if isinstance(part, list):
        return [for_people(each) for each in part]
    if not isinstance(part, dict):
        return part
    if "x-events" in part:
        return {"schema": {"oneOf": list(part["x-events"].values())}}
    said = {name: for_people(each) for name, each in part.items() if not (name == "default" and each is None)}
    if isinstance(fields := said.get("properties"), dict):
        said["properties"] = {name: untitled(each) for name, each in fields.items()}
    choices = [each for each in said.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1 and len(said["anyOf"]) == 2:
        own = {name: each for name, each in said.items() if name not in ("anyOf", "title")}
        return {**choices[0], **own}
    return said


def untitled(schema: Any) -> Any:
    return {name: each for name, each in schema.items() if name != "title"} if isinstance(schema, dict) else schema


def index(base: str) -> Json:
    """What this is and where to begin, for programs. `base`: the address of the server, as it was asked for."""
    return {
        "name": "Lamina",
        "version": version("lamina"),
        "description": ABOUT,
        "links": {name: path for name, (path, _) in LINKS.items()},
        "begin": begin(base),
    }


def index_text(base: str) -> str:
    """The same for a terminal."""
    width = max(len(path) for path, _ in LINKS.values())
    links = "\n".join(f"  {base}{path:{width}}  {about}" for path, about in LINKS.values())
    return f"Lamina {version('lamina')}: {ABOUT}\n\n{links}\n\nBegin:\n\n  {begin(base)}\n\n{TOKEN}\n"


def index_page(base: str) -> Content:
    """The same for a browser."""
    rows = [f'<dt><a href="{path}">{path}</a></dt>\n<dd>{html.escape(about)}</dd>' for path, about in LINKS.values()]
    said = {"about": ABOUT, "begin": begin(base), "token": TOKEN, "version": version("lamina")}
    quoted = {name: html.escape(value, quote=False) for name, value in said.items()}
    return page("index", links="\n".join(rows), **quoted)


def begin(base: str) -> str:
    """A first run, as one line for a shell."""
    body = json.dumps({**TrainBody.example, "queue": True})
    return f"curl -s {base}/api/train -H 'Content-Type: application/json' -d {shlex.quote(body)}"
