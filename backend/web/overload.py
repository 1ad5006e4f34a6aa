"""Beyond the limit of requests at one time: a clear 503, where the worker has waited in vain for a place."""

from __future__ import annotations

from flask import request

from backend.config import Settings
from backend.errors import ApiError
from backend.web.environ import CROWDED

RETRY_SECONDS = 1


def check(settings: Settings) -> None:
    """Refuse the current request, unread, where the server says that it has no place. Raises ApiError 503."""
    if request.environ.get(CROWDED):
        raise ApiError(
            503,
            f"The server is busy with {settings.threads} requests (--threads); try again in {RETRY_SECONDS} s",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )
