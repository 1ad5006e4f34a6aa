"""A picture as an HTTP response: drawn for who does not have it."""

from __future__ import annotations

from flask import Response, request

from backend.actions.pictures import Easel, Picture

POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # a picture that is opened by itself loads and runs nothing


def picture_answer(easel: Easel, picture: Picture) -> Response:
    """It; 304 for who has it, without drawing it."""
    known = request.if_none_match.contains_weak(picture.tag)
    response = Response(status=304) if known else Response(easel.drawn(picture), mimetype=picture.media)
    response.set_etag(picture.tag)
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Content-Security-Policy"] = POLICY
    if not known:
        response.headers["Content-Disposition"] = f'inline; filename="{picture.name}.{picture.ending}"'
    return response
