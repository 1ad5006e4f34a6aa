"""/metrics: for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest

from backend.web.routes import route


@dataclass(frozen=True)
class MonitoringRoutes:
    """At the root."""

    registry: CollectorRegistry

    @route("GET", "/metrics")
    def get_metrics(self) -> Response:
        """All that is counted and measured, in the format that the Accept header asks for; else as plain text."""
        try:
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
            return Response(encode(self.registry), content_type=content_type)
        except (TypeError, ValueError):  # a version that the library does not read, such as a quoted one
            return Response(generate_latest(self.registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
