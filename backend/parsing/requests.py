"""The bodies of requests: each is one type, which checks it and which the OpenAPI document is made from.

To add a field, add it to its type: unknown names are refused, this one is checked, and described with its range.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field

from backend.parsing.parts import (
    LAYERS_ALLOWED,
    TEXT,
    Architecture,
    Description,
    Hyperparams,
    Line,
    Metrics,
    ModelId,
    Name,
    Pixels,
    RunId,
    Tags,
)
from backend.state.records import Json
from nets.architecture.frame import Frame
from nets.architecture.read import MAX_LAYERS
from nets.datasets import DATASETS
from nets.errors import MOST_PROBLEMS, Change, Problem, SpecError, found_at, seen
from nets.hyperparams import hyperparams
from nets.hyperparams.hints import ELSEWHERE
from nets.hyperparams.parts import TYPED
from nets.schedules.extending import Extend
from nets.spec.allowed import allowed, fits
from nets.spec.fields import Boolean, Hint, Spec, Text, Whole, parse, wire_names
from nets.spec.words import meant, otherwise

INSIDE: dict[str, Collection[str]] = {
    "hyperparams": wire_names(hyperparams.Hyperparams),
    **{
        f"hyperparams.{field}": [name for kind in kinds.values() for name in wire_names(kind) if name not in ELSEWHERE]
        for field, kinds in TYPED.items()
    },
    "architecture": wire_names(Frame),
}


PLAIN: Json = {  # of examples
    "input_size": 784,
    "layers": [
        {"type": "linear", "out": 16},
        {"type": "relu"},
        {"type": "linear", "out": 10},
        {"type": "softmax"},
    ],
}


def missing(name: str, detail: str, expected: Json = TEXT) -> Problem:
    """A field that has to come."""
    return Problem((name,), detail, "missing", expected=expected, got=None)


class Body(Spec):
    """A body. Of a field that may be left out, null says the same, unless its description says more."""

    model_config = ConfigDict(populate_by_name=False)  # a field is called as the document calls it

    example: ClassVar[Json | None] = None
    unchecked: ClassVar[Collection[str]] = ()  # by the JSON reader, since each of their numbers is looked at later

    @classmethod
    def at_odds(cls, came: Collection[str]) -> Iterator[Problem]:
        """What is wrong about which fields came, with a value, and which did not."""
        yield from ()


Editors = Annotated[  # of what they read it by, nothing is kept
    Text | None,
    Field(alias="$schema", description="For editors: the JSON Schema that the body is written by; ignored."),
]


class Definition(Body):
    """What a model is, as far as it comes."""

    editors: Editors = None
    name: Name | None = Field(None, description="The name of the model; without one, the server makes one up.")
    description: Description | None = Field(None, description="For people.")
    architecture: Architecture | None = Field(None, description="The network.")
    hyperparams: Hyperparams | None = Field(None, description="How it is trained; each field has a default.")


class DefineBody(Definition):
    """A model to create, or the fields of one to change; null empties a field."""

    example: ClassVar[Json] = {"name": "Plain", "architecture": PLAIN, "hyperparams": {"epochs": 3}}
    model_id: ModelId | None = Field(
        None, description="The model to change, or the id of a new one; without it, an id is made up."
    )
    trained: Boolean | None = Field(None, description="Whether it counts as trained.")
    saved_model_path: Annotated[str, Line(400)] | None = Field(
        None, description="The weights of a succeeded run of this model, as the run names them; null for none."
    )


class SaveBody(Definition):
    """An untrained definition to store."""

    example: ClassVar[Json] = {"architecture": PLAIN, "hyperparams": {"epochs": 3}}
    run_id: None = Field(None, description="The succeeded run to promote, instead of storing a definition.")
    model_id: ModelId | None = Field(None, description="Left out, or the id in the path.")

    @classmethod
    def at_odds(cls, came: Collection[str]) -> Iterator[Problem]:
        if "architecture" not in came:
            detail = "is required to store a definition; or send run_id to promote a run"
            yield missing("architecture", detail, {"type": "object"})


class PromoteBody(Body):
    """A run whose weights shall be those of its model."""

    example: ClassVar[Json] = {"run_id": "r_0123456789abcdef", "name": "My first network"}
    editors: Editors = None
    run_id: RunId = Field(description="The succeeded run to promote.")
    model_id: ModelId | None = Field(None, description="Its model.")
    name: Name | None = Field(None, description="The new name of the model.")
    description: Description | None = Field(None, description="For people.")

    @classmethod
    def at_odds(cls, came: Collection[str]) -> Iterator[Problem]:
        if "run_id" not in came:
            yield missing("run_id", "is required: the succeeded run to promote")


class Beginning(Body):
    """What a training begins with, beside what the body says itself."""

    model_id: ModelId | None = Field(None, description="A stored model to train; fields left out are taken from it.")
    resume_from: RunId | None = Field(
        None, description="A succeeded run to continue as a new run; fields left out are taken from it."
    )


class TrainBody(Definition, Beginning):
    """A run to start."""

    example: ClassVar[Json] = {
        "architecture": PLAIN,
        "hyperparams": {"epochs": 1, "max_samples": 128, "dataset_type": "digits"},
        "queue": True,
    }
    name: Name | None = Field(
        None, description="The name of the run, and of a model that is made for it; without it, that of the model."
    )
    extend: Extend | None = Field(
        None,
        description="Beside resume_from, where more epochs change the curve of the learning rate: `rescale` lays "
        "it over all of them, `hold` keeps it and then its last value, `restart` begins it again over those added.",
    )
    tags: Tags | None = Field(None, description="To find the run by.")
    notes: Description | None = Field(None, description="About the run, for people.")
    queue: Boolean | None = Field(None, description="Wait in the queue if a run is active, instead of a 409.")
    update_model: Boolean | None = Field(
        None, description="Whether to store what this run uses in the model, and the name that comes."
    )

    @classmethod
    def at_odds(cls, came: Collection[str]) -> Iterator[Problem]:
        if "architecture" not in came and "model_id" not in came:
            detail = "is required: an object with a list of layers, or give the model_id of a stored definition"
            yield missing("architecture", detail, {"type": "object"})
        if "extend" in came and "resume_from" not in came:
            rule = "means something only beside resume_from, where a run is continued; leave it out"
            yield Problem(("extend",), rule, "unused", expected={"type": "null"}, fix=(Change("remove", ("extend",)),))

    @property
    def kept(self) -> Json | None:
        """The hyperparameters as they came, for a model to keep."""
        return self.hyperparams.json if self.hyperparams else None

    @property
    def settings(self) -> hyperparams.Hyperparams:
        """How to train: what came, and defaults."""
        return self.hyperparams.value if self.hyperparams else hyperparams.parse_hyperparams(None)


class LabelBody(Body):
    """What of a run's labels is to change."""

    name: Name | None = Field(None, description="Its name; null for that of its model, numbered where it repeats.")
    tags: Tags | None = Field(None, description="All of its tags; null for none.")
    notes: Description | None = Field(None, description="About the run, for people; null for none.")


class ResumeBody(Body):
    """How a run goes on."""

    queue: Boolean | None = Field(None, description="Wait in the queue if a run is active, instead of a 409.")


class CalibrateBody(Body):
    """Which device to measure again."""

    device: Text | None = Field(None, description="A device as `GET /api/devices` names it; without it, all of them.")


class CancelBody(Body):
    """Nothing."""


class InferBody(Body):
    """Images, and the network to ask about them: of a run, or of a model's promoted or latest succeeded run."""

    unchecked: ClassVar[Collection[str]] = ("pixels", "batch")
    run_id: RunId | None = Field(None, description="The run to predict with.")
    model_id: ModelId | None = Field(
        None, description="The model to predict with: by its promoted run, else its latest succeeded one."
    )
    pixels: Pixels | None = Field(None, description="One image.")
    batch: Pixels | None = Field(None, description="Several images, all in the same form.")

    @classmethod
    def at_odds(cls, came: Collection[str]) -> Iterator[Problem]:
        if not {"run_id", "model_id"} & set(came):
            yield missing("run_id", "is required: the run to predict with; or send model_id")
        if {"pixels", "batch"} <= set(came):
            rule = "came beside pixels; send pixels for one image or batch for many"
            yield Problem(("batch",), rule, "conflict", expected={"type": "null"})
        if not {"pixels", "batch"} & set(came):
            yield missing("pixels", "is required for one image, or batch for many", {"type": "array"})


class EvaluateBody(Body):
    """A network, of a run or of a model's promoted or latest succeeded run, and the samples to measure it on."""

    example: ClassVar[Json] = {"run_id": "r_0123456789abcdef", "split": "validation", "metrics": ["f1", "top_3"]}
    run_id: RunId | None = Field(None, description="The run to evaluate.")
    model_id: ModelId | None = Field(
        None, description="The model to evaluate: by its promoted run, else its latest succeeded one."
    )
    dataset_type: Annotated[str, BeforeValidator(DATASETS.known)] | None = Field(
        None, description="A data set of samples of that shape and as many classes; without it that of the run."
    )
    split: Literal["test", "train", "validation"] | None = Field(
        None,
        description="`test` (which null says, too), or those that the run trained on or validated with, by its seed.",
    )
    metrics: Metrics | None = Field(None, description="As in hyperparams; without them those of the run.")
    max_samples: Annotated[Whole, Field(ge=1)] | None = Field(
        None, description="The first of them alone; null for all."
    )

    @classmethod
    def at_odds(cls, came: Collection[str]) -> Iterator[Problem]:
        if not {"run_id", "model_id"} & set(came):
            yield missing("run_id", "is required: the run to evaluate; or send model_id")


R = TypeVar("R", bound=Body)


def check(request: type[R], body: Json, *, most_layers: int = MAX_LAYERS, further: Iterable[Problem] = ()) -> R:
    """A body as its type; SpecError with every problem of it, and with `further` ones that only the caller can see.

    Unknown fields come first: they tell best what was meant.
    """
    known = wire_names(request)
    unknown = list(islice((name for name in body if name not in known), MOST_PROBLEMS))
    sent = {name: body[name] for name in (*filter(body.__contains__, known), *unknown)}
    found = list(request.at_odds([name for name, value in sent.items() if value is not None]))
    checked: R | None = None
    try:
        hint = partial(elsewhere, known, body)
        checked = parse(request, sent, (), owner="this request", elsewhere=hint, context={LAYERS_ALLOWED: most_layers})
    except SpecError as error:
        found += _beside(found, error.problems)
    found += _beside(found, further)
    if found or checked is None:
        raise SpecError(seen(sorted(found, key=lambda problem: problem.path[0] in known), body))
    return checked


def _beside(found: Sequence[Problem], others: Iterable[Problem]) -> Iterator[Problem]:
    """Those of `others` that are about places of which nothing was found yet."""
    told = {problem.path for problem in found}
    return (problem for problem in others if problem.path not in told)


def glance(request: type[R], body: Json) -> R:
    """The fields of a type in a larger body; none of them where one is wrong, which the check of the body tells."""
    try:
        return parse(request, {name: body[name] for name in wire_names(request) if name in body}, (), owner="")
    except SpecError:
        return request()


def elsewhere(known: Collection[str], body: Json, name: str, value: object) -> Hint:
    """Where else in a request a field belongs."""
    homes = (home for home, fields in INSIDE.items() if home.partition(".")[0] in known and meant(name, fields))
    home = next(homes, None)
    if home is None:
        return Hint()
    own = meant(name, INSIDE[home])[0]
    if other := otherwise(name):
        return Hint(f" It belongs in {home} as {own}, {other}.")
    there = found_at(body, tuple(home.split(".")))
    free = home == "hyperparams" and isinstance(there, dict) and not any(own in meant(key, [own]) for key in there)
    free = free and fits(allowed(hyperparams.Hyperparams).get(own, {}), value)
    return Hint(f" It belongs in {home}.", home=(home, own) if free else ())
