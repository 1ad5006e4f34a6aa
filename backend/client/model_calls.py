"""What a server does with models, and what its networks say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backend.client.answers import Model, Prediction, Run, read
from backend.client.calls import AnyModel, AnyRun, Calls
from backend.client.errors import NotFound, Unusable
from backend.client.images import Invert, Shape, is_picture, pixels_of


class ModelCalls(Calls):
    """Models and predictions."""

    def models(self, *, limit: int | None = None) -> Iterator[Model]:
        """Models, newest first, fetched page by page."""
        return self._models(limit)

    def model(self, model: AnyModel) -> Model:
        """A model with its newest runs."""
        return read(Model, self.get(f"/api/models/{self.model_id(model)}"))

    def delete_model(self, model: AnyModel) -> list[str]:
        """Deletes a model, its runs and their files; the ids of the runs."""
        answer = self.transport.json("DELETE", f"/api/models/{self.model_id(model)}")
        return list(answer.get("runs_deleted", ()))

    def infer(
        self,
        run: AnyRun | None = None,
        image: object = None,
        *,
        model: AnyModel | None = None,
        invert: Invert = "auto",
    ) -> Prediction:
        """What a run, or the promoted run of a model, says of an image.

        image: a NumPy array or nested lists of 0 to 1 (an array of bytes: 0 to 255), a Pillow image, or the path of a
        picture or of a JSON file. A picture is made grey if the network reads grey, scaled, and inverted where its ink
        is dark on light; `notes` of the answer say so.
        """
        asked = self._asked(run, model)
        pixels, notes = pixels_of(image, self._shape(asked) if is_picture(image) else (), invert=invert)
        return read(Prediction, {**self.post("/api/infer", {**asked, "pixels": pixels}), "notes": notes})

    def infer_batch(
        self,
        run: AnyRun | None = None,
        images: Iterable[object] = (),
        *,
        model: AnyModel | None = None,
        invert: Invert = "auto",
    ) -> list[Prediction]:
        """The same of several images, in one request."""
        asked, listed = self._asked(run, model), list(images)
        shape = self._shape(asked) if any(map(is_picture, listed)) else ()
        made = [pixels_of(image, shape, invert=invert) for image in listed]
        answer = self.post("/api/infer", {**asked, "batch": [pixels for pixels, _ in made]})
        columns = zip(answer["labels"], answer["predictions"], answer["probabilities"], made, strict=True)
        return [
            read(Prediction, {**answer, "label": label, "prediction": said, "probabilities": each, "notes": notes})
            for label, said, each, (_, notes) in columns
        ]

    def _asked(self, run: AnyRun | None, model: AnyModel | None) -> dict[str, str]:
        """Which network is asked, as a body says it."""
        if (run is None) == (model is None):
            raise Unusable("name a run or a model to ask, one of them")
        return {"run_id": self.run_id(run)} if run is not None else {"model_id": self.model_id(model or "")}

    def _shape(self, asked: dict[str, str]) -> Shape:
        """(height, width, channels) of the images that a network takes: those of its data set."""
        if "model_id" in asked:
            model = self.model(asked["model_id"])
            succeeded = (run for run in model.runs if run.succeeded)
            saved = model.saved_run_id or next((run.run_id for run in succeeded), None)
            if saved is None:
                raise NotFound(f"model {asked['model_id']} has no run that succeeded", status=404)
        name = read(Run, self.get(f"/api/runs/{asked.get('run_id') or saved}")).dataset_type
        shapes = {each["name"]: each["shape"] for each in self.get("/api/datasets")["datasets"]}
        return [int(extent) for extent in shapes[name]]
