"""Calls about public networks that come with a server."""

from __future__ import annotations

from urllib.parse import quote

from backend.client.answers import Answer, Json, read, read_all
from backend.client.calls import Calls


class Example(Answer, kw_only=True):
    """A public network. `body`: what `train` takes; `claim`, `measured`: accuracies with how they were reached."""

    name: str
    body: Json
    title: str = ""
    source: str = ""
    data: str = ""
    arrays: str | None = None
    recipe: str = ""
    claim: Json = {}
    differs: list[str] = []
    parameters: int = 0
    counted: str = ""
    measured: Json | None = None


class ExampleCalls(Calls):
    """Public networks."""

    def examples(self) -> list[Example]:
        """Every public network that comes with the server."""
        return read_all(Example, self.get("/api/examples").get("examples"))

    def example(self, name: str) -> Example:
        """One of them: `client.train(client.example("keras-mnist-convnet").body)`."""
        return read(Example, self.get(f"/api/examples/{quote(name, safe='')}"))
