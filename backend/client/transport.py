"""Requests to one server: its address, its token, proxies, and every failure as one of our exceptions."""

from __future__ import annotations

import ipaddress
import json
import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from backend.client.errors import Faulty, Unavailable, Unreachable, Unusable, refusal

DEFAULT_URL = "http://127.0.0.1:8080"
CONNECT_SECONDS = 10.0
PAUSES = (0.2, 0.8)  # seconds before a GET is sent again, whose answer was lost
LONGEST_PAUSE = 5.0

Query = Mapping[str, object]


class Token(requests.auth.AuthBase):
    """The Bearer token of a request, or none: the passwords of ~/.netrc are for others."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Transport:
    """Sends requests to `url`, which may have a path if the server is behind a proxy. `timeout`: seconds of silence."""

    def __init__(self, url: str, *, token: str = "", timeout: float = 60.0) -> None:
        self.url = base_of(url)
        self.token = token
        self.timeout = timeout
        if not all("!" <= character <= "~" for character in token):
            raise Unusable("the token must be printable ASCII without spaces")
        self.session = requests.Session()
        host = urlsplit(self.url)
        self.session.auth = Token(token) if token or not host.username else (host.username, host.password or "")
        self.session.headers["User-Agent"] = "lamina-client"
        if is_loopback(host.hostname or ""):
            self.session.trust_env = False  # a proxy elsewhere cannot reach this machine under that name
            self.session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True

    def json(self, method: str, path: str, *, body: object = None, query: Query | None = None) -> Any:
        """The JSON of an answer. `body`: sent as JSON; None for an empty one."""
        return self.read_json(self.send(method, path, body=body, query=query))

    def read_json(self, response: requests.Response) -> Any:
        """The JSON of an answer that has come. Raises Faulty where it is none."""
        try:
            return response.json()
        except ValueError:
            kind = response.headers.get("Content-Type", "nothing")
            what = f"{self.place(response)} answered {response.status_code} with {kind} instead of JSON"
            raise Faulty(f"{what}; is this the address of a Lamina server?", status=response.status_code) from None

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        silence: float | None = None,
        again: bool = True,
    ) -> requests.Response:
        """An answer that is no error. `silence`: seconds without a byte before it counts as broken off.

        A GET whose answer was lost, or that the server has no room for, is sent again, unless `again` is False.
        """
        data = None if body is None else dumps(body)
        sent = dict(headers or {})
        if method != "GET":
            sent |= {"Content-Type": "application/json"}
        for pause in (*PAUSES[: len(PAUSES) if again and method == "GET" else 0], None):
            try:
                return self._once(method, path, data, query, sent, stream, silence or self.timeout)
            except (Unreachable, Unavailable) as problem:
                if pause is None or refused_connection(problem):
                    raise
                time.sleep(min(max(pause, problem.retry_after or 0.0), LONGEST_PAUSE))
        raise AssertionError("unreachable: the last pause is None")

    def _once(
        self,
        method: str,
        path: str,
        data: bytes | None,
        query: Query | None,
        headers: Mapping[str, str],
        stream: bool,
        silence: float,
    ) -> requests.Response:
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            response = self.session.request(
                method,
                self.url + path,
                params={name: str(value) for name, value in asked.items()},
                data=data,
                headers=headers,
                stream=stream,
                timeout=(min(CONNECT_SECONDS, silence), silence),
                allow_redirects=method in ("GET", "HEAD"),  # others would arrive as a GET
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as reason:
            raise Unusable(f"{self.url}: {reason}") from None
        except (requests.RequestException, OSError) as reason:
            raise self.lost(reason) from reason
        if response.ok and not response.is_redirect:
            return response
        raise self._refusal(response)

    def lost(self, reason: BaseException) -> Unreachable:
        """The exception for a connection that could not be made, or that broke off."""
        return Unreachable(f"no answer from {self.shown}: {said(reason)}")

    def _refusal(self, response: requests.Response) -> Exception:
        try:
            with response:
                if response.is_redirect:
                    where = response.headers["Location"]
                    message = f"{self.place(response)} has moved to {where}: give that address"
                    return Faulty(message, status=response.status_code)
                body = response.json()
        except ValueError:
            body = None
        except (requests.RequestException, OSError) as reason:
            return self.lost(reason)
        after = response.headers.get("Retry-After", "")
        seconds = float(after) if after.isdecimal() else None
        return refusal(response.status_code, body, place=self.place(response), retry_after=seconds)

    @property
    def shown(self) -> str:
        """The address without a password."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def place(self, response: requests.Response) -> str:
        """What was asked, for a message: never with a password or a query."""
        parts = urlsplit(response.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def base_of(url: str) -> str:
    """An address without a slash at its end; `host:port` stands for `http://host:port`. Raises Unusable."""
    text = url.strip()
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits or parts.query or parts.fragment or any(character.isspace() for character in text):
        raise Unusable(f"{url!r} is no address of a server: write http://host:port or https://host/path")
    return text.rstrip("/").removesuffix("/api")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def dumps(body: object) -> bytes:
    """JSON, with NumPy's numbers as numbers. Raises Unusable for what JSON does not have, such as NaN."""
    try:
        return json.dumps(body, allow_nan=False, default=plain).encode()
    except (TypeError, ValueError) as reason:
        raise Unusable(f"the body cannot be sent as JSON: {reason}") from None


def plain(value: object) -> object:
    """A NumPy number or array as Python's own."""
    to_list = getattr(value, "tolist", None)
    if to_list is None:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return to_list()


def refused_connection(problem: BaseException) -> bool:
    """Whether nothing listens at the address."""
    return any(isinstance(each, ConnectionRefusedError) for each in chain(problem))


def chain(error: BaseException) -> list[BaseException]:
    """An exception and those that it came of, the first cause last. Libraries keep them in several places."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
    return found


def said(error: BaseException) -> str:
    """Why, in the words of the system where it has some."""
    found = chain(error)
    if any(isinstance(each, (requests.Timeout, TimeoutError)) for each in found):
        return "it took too long"
    by_proxy = any(isinstance(each, requests.exceptions.ProxyError) for each in found)
    system = [each.strerror for each in found if isinstance(each, OSError) and each.strerror and each.errno]
    return f"{'the proxy of the environment: ' if by_proxy else ''}{system[-1] if system else found[-1]}"
