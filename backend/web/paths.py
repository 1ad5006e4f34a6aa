"""Paths as clients put them together: a slash too many at either end of a part changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any


def tidy(path: str) -> str:
    """`//api//models/` is `/api/models`: a base and a path, each with its slash.

    Further inside, two slashes stay: an id may be missing there, and `/api/models//save` is no `/api/models/save`.
    """
    path = re.sub(r"^/{2,}", "/", path)
    path = re.sub(r"^/api/{2,}", "/api/", path)
    return path.rstrip("/") or "/"


class Tidy:
    """A WSGI application that gets its paths tidy, before anything looks at them."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if path.endswith("/") or "//" in path:
            environ["PATH_INFO"] = tidy(path)
        return self._application(environ, start_response)
