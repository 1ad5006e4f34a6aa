"""What a server measures of networks that it has trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from backend.client.answers import Answer, Json, read
from backend.client.calls import AnyModel, AnyRun
from backend.client.model_calls import ModelCalls

Split = Literal["test", "train", "validation"]


class Evaluated(Answer, kw_only=True):
    """What kept weights make of some samples. `metrics`: by name; None where one has no value, and `warnings` say why.

    `loss`: that of the training. `baseline_accuracy`: of always answering the most frequent class. `worst`: the
    mistakes that the network is surest of. `seconds`: without compilation.
    """

    run_id: str
    model_id: str
    dataset_type: str
    split: str
    samples: int
    loss: float | None
    accuracy: float
    baseline_accuracy: float
    metrics: Json = {}
    worst: list[Json] = []
    seconds: float = 0.0
    device: str = ""
    warnings: list[str] = []


class EvaluationCalls(ModelCalls):
    """Predictions, and how good they are."""

    def evaluate(
        self,
        run: AnyRun | None = None,
        *,
        model: AnyModel | None = None,
        dataset: str | None = None,
        split: Split = "test",
        metrics: Sequence[str | Mapping[str, Any]] | None = None,
        max_samples: int | None = None,
    ) -> Evaluated:
        """How good a run, or the promoted run of a model, is on the samples of a data set that fits.

        dataset: its own without one. split: also the samples that the run trained on, or validated with. metrics: by
        name, or as objects with a type and options; those of the run without any. max_samples: the first of them.
        Raises Invalid, Conflict for a data set that the server does not have, and Unavailable while it evaluates
        another one, or compiles the network.
        """
        asked: dict[str, Any] = {**self._asked(run, model), "split": split}
        given = {"dataset_type": dataset, "metrics": metrics, "max_samples": max_samples}
        asked |= {name: value for name, value in given.items() if value is not None}
        return read(Evaluated, self.post("/api/evaluate", asked))
