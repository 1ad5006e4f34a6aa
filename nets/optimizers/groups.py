"""Groups of layers that learn at a pace of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule, Change, Code, Path, Problem, SpecError
from nets.spec.fields import Real, parse, shown
from nets.spec.traced import Traced, TracedSpec

LONGEST, MOST = 200, 256  # characters of a pattern, and patterns of one list
MOST_GROUPS = 64
PATTERN = {"type": "string", "minLength": 1, "maxLength": LONGEST}
LIST = {"type": "array", "items": PATTERN, "maxItems": MOST}


def patterns(value: object) -> tuple[str, ...]:
    """A list of patterns, or a single one; null for none."""
    several = [] if value is None else value if isinstance(value, list | tuple) else [value]
    if len(several) > MOST:
        raise BrokenRule(f"must be at most {MOST} patterns, got {len(several)}", "too_long")
    for one in several:
        if not isinstance(one, str) or not 1 <= len(one) <= LONGEST:
            detail = f'must be a pattern of layer names such as "head*", or a list of them, got {shown(one)}'
            raise BrokenRule(detail, "malformed" if isinstance(one, str) else "wrong_type")
    return tuple(several)


Patterns = Annotated[
    tuple[str, ...], BeforeValidator(patterns), WithJsonSchema({"anyOf": [{**LIST, "minItems": 1}, PATTERN]})
]
Share = Annotated[Real, Field(ge=0, le=1e6)]


class Group(TracedSpec):
    """Layers by their names, and what their learning rate and weight decay are multiplied by."""

    layers: Annotated[Patterns, Field(min_length=1)] = Field(
        description="Names of layers, or patterns of names: `*` is any text, `?` one character, `[ab]` a or b. "
        "`norm*.bias` names arrays of layers."
    )
    lr: Annotated[Share, Traced()] = Field(default=1.0, description="Factor of the learning rate.")
    weight_decay: Annotated[Share, Traced()] = Field(default=1.0, description="Factor of the weight decay.")

    aliases: ClassVar[Mapping[str, str]] = {"learning_rate": "lr"}

    def structure(self) -> Self:
        """What a compiled program depends on: which layers these are, the program itself knows."""
        return super().structure().model_copy(update={"layers": ("*",)})


def parse_groups(value: object, path: Path) -> tuple[Group, ...]:
    """The groups of a list, null for none; SpecError with every problem."""
    several = [] if value is None else value
    if not isinstance(several, list | tuple) or len(several) > MOST_GROUPS:
        rule = f'must be a list of up to {MOST_GROUPS} objects such as {{"layers": "head*", "lr": 0.1}}'
        code: Code = "too_long" if isinstance(several, list) else "wrong_type"
        expected = {"type": "array", "maxItems": MOST_GROUPS, "items": {"type": "object"}}
        fix = (Change("replace", path, [value]),) if isinstance(value, dict) else ()
        raise SpecError([Problem(path, f"{rule}, got {shown(value)}", code, expected=expected, got=value, fix=fix)])
    found: list[Group] = []
    problems: list[Problem] = []
    for place, item in enumerate(several):
        try:
            found.append(parse(Group, item, (*path, place), owner="a group", aliases=Group.aliases))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return tuple(found)


def groups_schema(field: Mapping[str, Any]) -> dict[str, Any]:
    """What `parse_groups` takes, as JSON Schema. field: of the schema of all fields."""
    schema = Group.model_json_schema()
    others = {alias: schema["properties"][own] for alias, own in Group.aliases.items()}
    item = {**schema, "properties": {**schema["properties"], **others}}
    told = {key: field[key] for key in ("default", "description") if key in field}
    return {"type": "array", "maxItems": MOST_GROUPS, "items": item, **told}


def matches(pattern: str, layer: str) -> bool:
    """Whether a pattern names a layer, or a layer or combinator that it is a part of: `stem` is also `stem.0.conv`."""
    return any(fnmatchcase(name, pattern) for name in with_those_around(layer))


def with_those_around(layer: str) -> Iterator[str]:
    """`a.b.c`, `a.b`, `a`."""
    while layer:
        yield layer
        layer = layer.rpartition(".")[0]


def names_array(pattern: str, layer: str, array: str) -> bool:
    """Whether a pattern names a layer, or an array of it: `stem`, `stem.bias`, `norm*.bias`."""
    of, _, own = pattern.rpartition(".")
    return matches(pattern, layer) or (of != "" and fnmatchcase(array, own) and matches(of, layer))


def first_of(groups: Sequence[Sequence[str]], layer: str, array: str) -> int | None:
    """The place of the first list of patterns that names an array of a layer; None where none does."""
    found = (at for at, each in enumerate(groups) if any(names_array(pattern, layer, array) for pattern in each))
    return next(found, None)
