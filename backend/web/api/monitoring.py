"""/metrics: for Prometheus."""

from __future__ import annotations

from flask import Blueprint, Response, request
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest

from backend.services import services

bp = Blueprint("monitoring", __name__)


@bp.get("/metrics")
def get_metrics() -> Response:
    """Everything that is counted and measured, in the format that the Accept header asks for; else as plain text."""
    registry = services().telemetry.registry
    try:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)
    except (TypeError, ValueError):  # a version that the library does not read, such as a quoted one
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
