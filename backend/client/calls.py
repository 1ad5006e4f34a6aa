"""What every call needs: requests to one server, whole ids, and lists page by page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from backend.client.answers import Model, Run, Started, read_all
from backend.client.ids import whole_id
from backend.client.transport import DEFAULT_URL, Transport

Json = dict[str, Any]
AnyRun: TypeAlias = str | Run | Started
AnyModel: TypeAlias = str | Model

PAGE = 200


class Calls:
    """Requests to a server, by path."""

    def __init__(self, url: str | None = None, token: str | None = None, timeout: float = 60.0) -> None:
        environ = os.environ
        chosen = environ.get("LAMINA_URL") or DEFAULT_URL if url is None else url
        secret = environ.get("LAMINA_TOKEN", "") if token is None else token
        self.transport = Transport(chosen, token=secret, timeout=timeout)

    @property
    def url(self) -> str:
        """The address of the server, without a slash at its end."""
        return self.transport.url

    @property
    def shown_url(self) -> str:
        """The same without a password in it."""
        return self.transport.shown

    @property
    def token(self) -> str:
        """The token that is sent; empty for none."""
        return self.transport.token

    def get(self, path: str, **query: object) -> Any:
        """The JSON that `path` answers, such as "/api/health": for what has no method here."""
        return self.transport.json("GET", path, query=query)

    def post(self, path: str, body: object = None) -> Any:
        """Posts `body` as JSON, nothing where it is None; the JSON of the answer."""
        return self.transport.json("POST", path, body=body)

    def run_id(self, run: AnyRun) -> str:
        """The whole id of a run that may be shortened, or is given by name. Raises NotFound, Ambiguous."""
        if not isinstance(run, str):
            return run.run_id

        def listed(**query: str) -> Iterator[tuple[str, str]]:
            return ((each.run_id, each.name) for each in self._runs(None, **query))

        return whole_id(run, "run", by_id=lambda text: listed(id=text), by_name=lambda text: listed(name=text))

    def model_id(self, model: AnyModel) -> str:
        """The whole id of a model that may be shortened, or is given by name. Raises NotFound, Ambiguous."""
        if not isinstance(model, str):
            return model.model_id

        def listed(**query: str) -> Iterator[tuple[str, str]]:
            return ((each.model_id, each.name) for each in self._models(None, **query))

        return whole_id(model, "model", by_id=lambda text: listed(id=text), by_name=lambda _: listed())

    def _runs(self, limit: int | None = None, **query: object) -> Iterator[Run]:
        """Runs, page by page."""
        given, before = 0, None
        while limit is None or given < limit:
            size = PAGE if limit is None else min(PAGE, limit - given)
            answer = self.get("/api/runs", **query, limit=size, before=before)
            found = read_all(Run, answer.get("runs"))
            yield from found
            given, before = given + len(found), answer.get("next")
            if before is None:
                return

    def _models(self, limit: int | None = None, **query: object) -> Iterator[Model]:
        """Models, page by page: the header Link leads to the next."""
        given, before = 0, None
        while limit is None or given < limit:
            size = PAGE if limit is None else min(PAGE, limit - given)
            answer = self.transport.send("GET", "/api/models", query={**query, "limit": size, "before": before})
            found = read_all(Model, self.transport.read_json(answer))
            yield from found
            given += len(found)
            following = answer.links.get("next", {}).get("url", "")
            before = dict(parse_qsl(urlsplit(following).query)).get("before")
            if before is None:
                return
