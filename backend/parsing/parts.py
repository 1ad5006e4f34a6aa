"""What bodies of requests are made of: how each part is checked, and how the OpenAPI document describes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    GetCoreSchemaHandler,
    PlainValidator,
    RootModel,
    ValidationInfo,
    WithJsonSchema,
)

from backend.parsing.ids import MODEL_ID, MODEL_ID_RULE, is_model_id
from backend.state.records import Json
from nets.architecture import architecture
from nets.architecture.read import MAX_LAYERS, parse_architecture
from nets.architecture.schema import architecture_schema
from nets.augment import AUGMENTATIONS
from nets.errors import BrokenRule, Problem, SpecError
from nets.hyperparams import hyperparams
from nets.hyperparams.parts import ALIASES, OPTIONAL, PARTS, TYPED
from nets.metrics import SEVERAL, Metric
from nets.optimizers.groups import groups_schema
from nets.process.devices import find
from nets.regularizers import REGULARIZERS
from nets.spec.fields import shown

T = TypeVar("T")

MAX_ID = 128
TEXT: Json = {"type": "string"}
LAYERS_ALLOWED = "most_layers"  # the key of the context of a check


class Rule(ABC):
    """How one value is checked, as an annotation of its type."""

    @abstractmethod
    def check(self, value: Any) -> object:
        """What the value means; BrokenRule with the rule, what came, and the cure."""

    @abstractmethod
    def schema(self) -> Json:
        """The same as JSON Schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return PlainValidator(self.check).__get_pydantic_core_schema__(Any, handler)

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Json:
        return self.schema()


@dataclass(frozen=True)
class Line(Rule):
    """A string of 1 to `most` characters, not blank. `empty`: or of none, which says that there is nothing to say."""

    most: int
    empty: bool = False

    def check(self, value: object) -> str:
        if not isinstance(value, str):
            raise BrokenRule(f"must be a string, got {shown(value)}", "wrong_type")
        if not value.strip() and not (self.empty and value == ""):
            raise BrokenRule(f"must not be blank, got {shown(value)}; leave it out instead", "too_short")
        if len(value) > self.most:
            raise BrokenRule(f"must have at most {self.most} characters, got {len(value)}", "too_long")
        if "\0" in value:
            raise BrokenRule("must not contain a NUL character", "malformed")
        return value

    def schema(self) -> Json:
        least = {} if self.empty else {"minLength": 1, "pattern": r"\S"}
        return {"type": "string", "maxLength": self.most, **least}


@dataclass(frozen=True)
class Labels(Rule):
    """Short strings, each once: `most` of them with up to `longest` characters."""

    most: int
    longest: int

    def check(self, value: object) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise BrokenRule(f"must be a list of strings, got {shown(value)}", "wrong_type")
        if len(value) > self.most:
            raise BrokenRule(f"must have at most {self.most} items, got {len(value)}", "too_long")
        for each in value:
            if each != each.strip() or not each or not each.isprintable() or "," in each:
                rule = "each must be printable characters without commas, and without blanks at its ends"
                raise BrokenRule(f"{rule}, got {shown(each)}", "malformed")
            if len(each) > self.longest:
                rule = f"each must have at most {self.longest} characters, got {len(each)}"
                raise BrokenRule(rule, "too_long")
            if value.count(each) > 1:
                rule = f"each must come once, got {shown(each)} {value.count(each)} times"
                raise BrokenRule(rule, "duplicate", set_to=list(dict.fromkeys(value)))
        return value

    def schema(self) -> Json:
        item = {"type": "string", "minLength": 1, "maxLength": self.longest, "pattern": r"^[^\s,]([^,]*[^\s,])?$"}
        return {"type": "array", "items": item, "maxItems": self.most, "uniqueItems": True}


def _model_id(value: str) -> str:
    if not is_model_id(value):
        raise BrokenRule(f"{MODEL_ID_RULE}, got {shown(value)}", "malformed")
    return value


Name = Annotated[str, Line(200)]
Description = Annotated[str, Line(10_000, empty=True)]
TAGS = Labels(32, 64)
Tags = Annotated[list[str], TAGS]
RunId = Annotated[str, Line(MAX_ID)]
MODEL_ID_SCHEMA: Json = {"type": "string", "maxLength": MAX_ID, "pattern": f"^{MODEL_ID.pattern}$"}
ModelId = Annotated[  # one that a model can have
    str,
    Line(MAX_ID),
    AfterValidator(_model_id),
    WithJsonSchema(MODEL_ID_SCHEMA),
]
Pixels = Annotated[  # checked by backend/inference/pixels.py, when it is known how large an image is
    Any,
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": ["number", "array"]},
            "description": "Numbers from 0 to 1, row by row from the top, flat or nested.",
        }
    ),
]


@dataclass(frozen=True)
class MetricList(Rule):
    """Metrics by name, or as objects with a type and options. `field`: where they stand."""

    field: str

    def check(self, value: object) -> tuple[Metric, ...]:
        return SEVERAL.parse(value, (self.field,))

    def schema(self) -> Json:
        return SEVERAL.schema()


Metrics = Annotated[tuple[Metric, ...], MetricList("metrics")]


@dataclass(frozen=True)
class Sent(Generic[T]):
    """A part of a body that is kept as it came: `json`. `value`: what it means."""

    json: Json
    value: T


@dataclass(frozen=True)
class Parsed:
    """A part that the library parses. `described`: stands for its JSON in the document."""

    parse: Callable[[Any, int], object]
    described: type[BaseModel]

    def check(self, value: Json, info: ValidationInfo) -> Sent[object]:
        return Sent(value, self.parse(value, (info.context or {}).get(LAYERS_ALLOWED, MAX_LAYERS)))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        validator = PlainValidator(self.check, json_schema_input_type=self.described)
        return validator.__get_pydantic_core_schema__(Any, handler)


def _described(name: str, schema: Callable[[], Json]) -> type[BaseModel]:
    """JSON that the library describes, under a name of its own in the document."""
    hook = classmethod(lambda cls, core, handler: schema())
    members = {"__module__": __name__, "__get_pydantic_json_schema__": hook}
    return type(name, (RootModel[Json],), members)


def _hyperparams() -> Json:
    schema = hyperparams.Hyperparams.model_json_schema()
    augment = {**schema["properties"]["augment"], "items": AUGMENTATIONS.schema()}
    about = {name: {"description": schema["properties"][name]["description"]} for name in TYPED}
    typed = {name: {**about[name], **kinds.schema()} for name, kinds in TYPED.items()}
    for name in OPTIONAL:
        typed[name]["anyOf"] = [*typed[name]["anyOf"], {"type": "null"}]
    fields = {**schema["properties"], **typed, "augment": augment}
    fields["regularizers"] = {**fields["regularizers"], "items": REGULARIZERS.schema()}
    fields["metrics"] = {**fields["metrics"], **SEVERAL.schema()}
    fields["groups"] = groups_schema(fields["groups"])
    fields |= {name: hyperparams.part_schema(name, fields[name]) for name in PARTS}
    others = {alias: fields[name] for alias, name in ALIASES.items()}
    return {"type": "object", "description": schema["description"], "properties": {**fields, **others}}


def _hyperparams_here(value: object) -> hyperparams.Hyperparams:
    """Hyperparameters for this server: of a device that it does not have, too, all problems are told at once."""
    device = value.get("device") if isinstance(value, dict) else None
    problems: list[Problem] = []
    try:
        find(device if isinstance(device, str) else None)
    except BrokenRule as rule:
        problems.append(rule.at(("hyperparams", "device")))
    try:
        parsed = hyperparams.parse_hyperparams(value)
    except SpecError as error:
        raise SpecError([*error.problems, *problems]) from None
    if problems:
        raise SpecError(problems)
    return parsed


Architecture = Annotated[
    Sent[architecture.Architecture],
    Parsed(
        lambda value, most: parse_architecture(value, most_layers=most),
        _described("Architecture", lambda: architecture_schema({"type": "object"})),
    ),
]
Hyperparams = Annotated[
    Sent[hyperparams.Hyperparams],
    Parsed(lambda value, most: _hyperparams_here(value), _described("Hyperparams", _hyperparams)),
]
