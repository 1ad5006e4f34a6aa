"""What pages of other origins may send and read (CORS): flask-cors, and the methods of each path."""

from __future__ import annotations

from flask import Flask, Response, request
from flask_cors import CORS
from werkzeug.exceptions import NotFound

from backend.config import Settings
from backend.web import access

METHODS = "Access-Control-Allow-Methods"
EXPOSED = (
    *("Location", "Link", "Retry-After", "Allow", "Content-Disposition", "WWW-Authenticate"),
    *("ETag", "Accept-Ranges", "Content-Range", "X-Checksum-Sha256"),
)
MAX_AGE = 3600  # seconds that a browser need not ask again


def register(app: Flask, settings: Settings) -> None:
    """After the routes: their methods are those that are advertised."""
    methods = sorted({method for rule in app.url_map.iter_rules() for method in rule.methods or ()})
    origins = [access.LOCAL_ORIGINS, *settings.cors_origins]
    CORS(app, resources=r"/api/.*", origins=origins, methods=methods, expose_headers=EXPOSED, max_age=MAX_AGE)


def answer_preflight() -> Response | None:
    """For an unknown path, too: the page then reads the 404, which names the path, where a browser would blame CORS."""
    asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    return Response() if asks and isinstance(request.routing_exception, NotFound) else None


def name_methods(response: Response) -> Response:
    """Of a path that there is, those that it takes."""
    if METHODS in response.headers and "Allow" in response.headers:
        response.headers[METHODS] = response.headers["Allow"]
    return response
