"""/metrics: for Prometheus."""

from __future__ import annotations

from flask import Blueprint, Response, request
from prometheus_client.exposition import choose_encoder

from backend.services import services

bp = Blueprint("monitoring", __name__)


@bp.get("/metrics")
def get_metrics() -> Response:
    """Everything that is counted and measured, in the format that the Accept header asks for."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(services().telemetry.registry), content_type=content_type)
