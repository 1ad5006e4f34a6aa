"""Who may ask: the token, the Host header, the Origin of a page, and the headers that every answer carries."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Mapping
from types import MappingProxyType

from flask import Response, request

from backend.config import Settings
from backend.errors import ApiError

LOCAL_ORIGINS = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?\Z")
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
EVENTS = re.compile(r"/api/(runs/[^/]+/events|events(/test)?)")
OPEN_PATHS = frozenset({"/api/health"})  # for whatever watches the server
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ANY = "*"

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)


def check(settings: Settings) -> None:
    """Refuse the current request unless it may be answered. Raises ApiError 400, 401 or 403."""
    _check_host(settings)
    _check_origin(settings)
    if settings.token and request.method != "OPTIONS":  # browsers send a preflight without the token
        _check_token(settings.token)


def add_headers(response: Response) -> Response:
    """Nothing that a browser gets from here is guessed at, framed, run, or kept."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def allows_host(name: str, settings: Settings) -> bool:
    """Whether a Host header may name `name`, lower case and without brackets or port.

    Against DNS rebinding: a page whose name was made to point here names itself. An address in numbers cannot be
    rebound, so a server that listens on all addresses takes any of them.
    """
    if ANY in settings.allowed_hosts or name in settings.allowed_hosts or is_loopback(name):
        return True
    if name == settings.host.lower():
        return True
    return _is_address(name) and _is_wildcard(settings.host)


def allows_origin(origin: str, settings: Settings) -> bool:
    """Whether a page of `origin` may read answers and change things: local ones, and those that a setting names."""
    named = ANY in settings.cors_origins or origin in settings.cors_origins
    return named or LOCAL_ORIGINS.match(origin) is not None


def _check_host(settings: Settings) -> None:
    header = request.environ.get("HTTP_HOST")
    if header is None:
        if request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":  # no browser speaks it
            return
        raise ApiError(400, "The Host header is missing; HTTP/1.1 requires it")
    match = HOST.fullmatch(header)
    name = match[1].strip("[]").lower().rstrip(".") if match else ""
    if not allows_host(name, settings):
        raise ApiError(
            403,
            f"The Host header names {ascii(header[:80])}, which is not a name of this server; "
            "add it to LAMINA_ALLOWED_HOSTS",
        )


def _check_origin(settings: Settings) -> None:
    """A page elsewhere must not change anything, not even by a CORS-simple request."""
    origin = request.headers.get("Origin")
    if request.method in SAFE_METHODS or origin is None or allows_origin(origin, settings):
        return
    if origin.partition("://")[2] != request.environ.get("HTTP_HOST"):
        raise ApiError(
            403,
            f"Web pages of {ascii(origin[:80])} may not change anything here; add the origin to LAMINA_CORS_ORIGINS",
        )


def _check_token(token: str) -> None:
    path = request.path
    if path in OPEN_PATHS or not (path.startswith("/api") or path == "/metrics"):
        return
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    came = sent.strip() if scheme.lower() == "bearer" else ""
    if not came and EVENTS.fullmatch(path):
        came = request.args.get("token", "")
    if not hmac.compare_digest(came.encode("utf-8", "replace"), token.encode()):
        cure = "send it as the header Authorization: Bearer <token>, an event stream also as ?token=<token>"
        what = "the token is wrong" if came else "a token is required"
        raise ApiError(401, f"{what.capitalize()}: {cure}", headers={"WWW-Authenticate": 'Bearer realm="lamina"'})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_wildcard(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified
