"""`/` and `/docs`: what this server is, and how it is used, for people."""

from __future__ import annotations

from flask import Response, current_app, jsonify, request

from backend.web.openapi import document
from backend.web.reference_pages import Content, file, index, index_page, index_text, reference_page
from backend.web.routes import route


class ReferenceRoutes:
    """At the root. Neither page says anything of what the server holds, so neither needs a token."""

    def __init__(self) -> None:
        self._reference: Content | None = None  # made when it is first asked for: all routes are there by then

    @route("GET", "/")
    def get_index(self) -> Response:
        """What this is and where to begin: a page, JSON or plain text, as the Accept header prefers."""
        base = request.host_url.rstrip("/")
        kind = request.accept_mimetypes.best_match(["text/plain", "text/html", "application/json"], "text/plain")
        if kind == "text/html":
            response = index_page(base).response()
        elif kind == "application/json":
            response = jsonify(index(base))
        else:
            response = Response(index_text(base), mimetype="text/plain")
        response.vary.add("Accept")
        return response

    @route("GET", "/docs")
    def get_reference(self) -> Response:
        """The OpenAPI document, rendered."""
        if self._reference is None:
            self._reference = reference_page(document(current_app))
        return self._reference.response()

    @route("GET", "/docs/rapidoc.js")
    def get_viewer(self) -> Response:
        """The viewer: RapiDoc."""
        return file("rapidoc.js").response()

    @route("GET", "/docs/start.js")
    def get_start(self) -> Response:
        """What shows the document in the viewer."""
        return file("start.js").response()

    @route("GET", "/docs/pages.css")
    def get_style(self) -> Response:
        """The style of both pages."""
        return file("pages.css").response()

    @route("GET", "/docs/icon.svg")
    def get_icon(self) -> Response:
        """The icon of both pages."""
        return file("icon.svg").response()
