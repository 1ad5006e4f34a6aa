"""A small HTTP client of the contract, on the standard library alone: what the demo speaks with."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

Json = Any


class ClientError(Exception):
    """A request that failed; `status` is 0 when there was no answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Event:
    """One Server-Sent Event; `id` is empty for a transient one."""

    name: str
    data: Json
    id: str


class Client:
    """Speaks to one server, e.g. "http://127.0.0.1:8080"; `timeout` in seconds of silence, `token` if it has one."""

    def __init__(self, url: str, *, timeout: float = 60.0, token: str = "") -> None:
        self.url = url
        self.timeout = timeout
        self.token = token
        # Without proxies: the server is on this machine.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> Json:
        return self._answer(urllib.request.Request(self.url + path))

    def post(self, path: str, body: Json = None) -> Json:
        """Posts `body` as JSON; nothing at all when it is None."""
        data = b"" if body is None else json.dumps(body, allow_nan=False).encode()
        headers = {"Content-Type": "application/json"}
        return self._answer(urllib.request.Request(self.url + path, data=data, headers=headers, method="POST"))

    def events(self, path: str) -> Iterator[Event]:
        """The events of a stream until the server ends it."""
        with self._open(urllib.request.Request(self.url + path, headers={"Accept": "text/event-stream"})) as lines:
            try:
                yield from parse_events(raw.decode() for raw in lines)
            except (OSError, HTTPException) as reason:
                raise ClientError(0, f"the event stream broke off: {reason}") from None

    def _answer(self, request: urllib.request.Request) -> Json:
        with self._open(request) as answer:
            try:
                return json.load(answer)
            except (OSError, HTTPException) as reason:
                raise ClientError(0, f"the answer broke off: {reason}") from None

    def _open(self, request: urllib.request.Request) -> Any:
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            return self.opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise ClientError(refusal.code, error_text(refusal.read())) from None
        except (OSError, HTTPException) as reason:
            raise ClientError(0, f"no answer from {self.url}: {getattr(reason, 'reason', reason)}") from None


def error_text(body: bytes) -> str:
    """The `error` of an error body, or the body itself where it is no JSON."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:500]


def parse_events(lines: Iterator[str]) -> Iterator[Event]:
    """Events out of the lines of a stream whose data is JSON. Source: the HTML standard, section 9.2.6."""
    name, ident, data = "message", "", list[str]()
    for raw in lines:
        line = raw.rstrip("\r\n")
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line and data:
            yield Event(name=name, data=json.loads("\n".join(data)), id=ident)
            name, ident, data = "message", "", []
        elif field == "event":
            name = value
        elif field == "id":
            ident = value
        elif field == "data":
            data.append(value)
