"""The client of a server: all calls in one class."""

from __future__ import annotations

from backend.client.answers import Dataset, Device, Health, LayerType, read, read_all
from backend.client.benchmark_calls import BenchmarkCalls
from backend.client.calls import Json
from backend.client.evaluation_calls import EvaluationCalls
from backend.client.example_calls import ExampleCalls
from backend.client.run_calls import RunCalls
from backend.client.transport import dumps


class Client(RunCalls, EvaluationCalls, BenchmarkCalls, ExampleCalls):
    """Speaks to one server. Safe to share between threads.

    url: such as https://lab.example/lamina; else $LAMINA_URL, else http://127.0.0.1:8080. token: else $LAMINA_TOKEN.
    timeout: seconds of silence before an answer counts as lost. Ids may be shortened while only one begins so; a run
    or a model stands for its id. Every method raises `LaminaError`, mostly one of its classes.
    """

    def health(self) -> Health:
        """How the server is, and what it has."""
        return read(Health, self.get("/api/health"))

    def devices(self) -> list[Device]:
        """Every device of the server, with its memory and peaks."""
        return read_all(Device, self.get("/api/devices").get("devices"))

    def datasets(self) -> list[Dataset]:
        """Every data set, and which are on the server's disk."""
        return read_all(Dataset, self.get("/api/datasets").get("datasets"))

    def augment_preview(
        self, augment: Json | list[Json], *, dataset: str | None = None, **look: str | int | None
    ) -> bytes:
        """Samples before and after augmentation, as a PNG. look: `seed`, `count` of samples, `times` of epochs."""
        query = {"augment": dumps(augment).decode(), "dataset": dataset, **look}
        return self.transport.send("GET", "/api/augment-preview", query=query).content

    def layers(self) -> list[LayerType]:
        """Every layer type and combinator."""
        found = self.get("/api/layers")
        return read_all(LayerType, [*found.get("layers", ()), *found.get("combinators", ())])

    def schema(self) -> Json:
        """The JSON Schema of the body of `train`, for editors."""
        found: Json = self.get("/api/schema/train.json")
        return found
