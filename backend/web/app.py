"""The application: a table of contents."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, g, request
from flask.json.provider import DefaultJSONProvider

from backend.quoting import known, without_secrets
from backend.services import Services
from backend.telemetry import Telemetry
from backend.web import access, body, cors, endpoints, error_handlers, overload, paths, query

logger = logging.getLogger("lamina.http")

UNKNOWN = "(none)"  # the route of a path that has none, and the method of one that HTTP does not know


def create_app(services: Services) -> Flask:
    """A WSGI application over a running server's parts: `app.extensions["lamina"]`, for whoever ends them."""
    settings = services.settings
    app = Flask("lamina", static_folder=None)
    app.json = StrictJson(app)
    app.url_map.merge_slashes = False  # an empty part may be an id that is missing
    app.wsgi_app = paths.Tidy(app.wsgi_app)  # type: ignore[method-assign]
    app.config["MAX_BODY_BYTES"] = settings.max_body_mb << 20
    app.extensions["lamina"] = services
    app.before_request(start_clock)
    app.before_request(partial(overload.check, settings))
    app.before_request(partial(access.check, settings))
    app.before_request(cors.answer_preflight)
    app.before_request(query.check_query)
    app.before_request(body.read_body)  # whoever may not ask is answered before
    app.after_request(log_request)
    app.after_request(partial(count_request, services.telemetry))
    app.after_request(access.add_headers)
    app.after_request(cors.name_methods)
    endpoints.register(app, services)
    error_handlers.register(app)
    cors.register(app, settings)
    return app


class StrictJson(DefaultJSONProvider):
    """Finite numbers only, and fields in the order in which they were put."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return super().dumps(obj, **{"allow_nan": False, **kwargs})


def start_clock() -> None:
    g.started = time.monotonic()


def count_request(telemetry: Telemetry, response: Response) -> Response:
    route = request.url_rule.rule if request.url_rule else UNKNOWN
    seconds = time.monotonic() - g.started
    telemetry.count_request(route, known(request.method, UNKNOWN), response.status_code, seconds=seconds)
    return response


def log_request(response: Response) -> Response:
    """One line per request; an event stream gets a second one when it closes."""
    run_id = g.get("run_id") or (request.view_args or {}).get("run_id")
    logger.info(
        "%s %s %d %.1f ms%s%s",
        known(request.method, "(other)"),
        quote(without_secrets(request.path)),  # no line breaks or control characters of a client in the log
        response.status_code,
        1000 * (time.monotonic() - g.started),
        f" run={quote(without_secrets(run_id))}" if run_id else "",
        " opened" if response.mimetype == "text/event-stream" else "",
    )
    return response
