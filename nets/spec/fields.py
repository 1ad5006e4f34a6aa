"""How a value of a JSON specification is checked, and how a broken rule is put into words.

Rules that JSON needs and Python does not give: a boolean is no number, a numeric string is no number, an
integer-valued float is an integer, NaN and infinity are no numbers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, get_args

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from nets.errors import MOST_PROBLEMS, UNSAID, BrokenRule, Change, Code, Path, Problem, SpecError, seen
from nets.spec.allowed import allowed, fits, one_of, read_from_text
from nets.spec.words import closest, meant, otherwise

Pair = tuple[int, int]

SMALLEST = float(np.finfo(np.float32).smallest_normal)  # processors take less for 0

BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


def _bounded(schema: Any) -> Any:
    """Pydantic's own names of bounds, which it leaves where a check of ours comes first, as JSON Schema has them."""
    if isinstance(schema, dict):
        return {BOUNDS.get(name, name): _bounded(part) for name, part in schema.items()}
    return [_bounded(part) for part in schema] if isinstance(schema, list) else schema


class Spec(BaseModel):
    """A frozen, hashable piece of a specification that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @classmethod
    def model_json_schema(cls, *arguments: Any, **options: Any) -> dict[str, Any]:
        """The fields as a client writes them, in JSON Schema's own words."""
        schema: dict[str, Any] = _bounded(super().model_json_schema(*arguments, **options))
        return schema

    @field_validator("*")
    @classmethod
    def holds_in_float32(cls, value: Any, info: ValidationInfo) -> Any:
        """What is above 0 or below a bound is so in the numbers that networks are computed with, too."""
        numbers = [v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, float)]
        if numbers and info.field_name:
            above, below = open_bounds(cls, info.field_name)
            for number in numbers:
                check_float32(number, above=above, below=below)
        return value


@cache
def open_bounds(model: type[BaseModel], name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What a field, or each item of it, must be greater than, and what less than."""
    field = model.model_fields[name]
    rules = [*field.metadata, *_metadata(field.annotation)]
    above, below = ([getattr(rule, kind) for rule in rules if hasattr(rule, kind)] for kind in ("gt", "lt"))
    return tuple(above), tuple(below)


def _metadata(annotation: Any) -> Iterator[Any]:
    """All that is annotated anywhere in a type."""
    for part in getattr(annotation, "__metadata__", ()):
        yield from part.metadata if hasattr(part, "metadata") else (part,)
    for inner in get_args(annotation):
        yield from _metadata(inner)


def in_float32(value: float) -> float:
    """A number as compiled programs compute with it: rounded, and 0 where float32 has no digits left for it."""
    with np.errstate(over="ignore"):
        rounded = float(np.float32(value))
    return rounded if abs(rounded) >= SMALLEST else 0.0


def check_float32(value: float, *, above: Iterable[float], below: Iterable[float]) -> None:
    """BrokenRule where rounding carries a number to an open bound of it, or to 0, which means something else."""
    rounded = in_float32(value)
    place = f"as float32, in which networks are computed; {shown(value)} becomes {rounded:g} there"
    for bound in above:
        if rounded <= bound:
            least = f"{_next(bound, math.inf):.8g}"
            detail = f"must be greater than {bound:g} {place}; send at least {least}"
            raise BrokenRule(detail, "out_of_range", expected={"type": "number", "minimum": float(least)})
    for bound in below:
        if rounded >= bound:
            most = f"{_next(bound, -math.inf):.7g}"
            detail = f"must be less than {bound:g} {place}; send at most {most}"
            raise BrokenRule(detail, "out_of_range", expected={"type": "number", "maximum": float(most)})
    if value and not rounded:
        detail = f"must be 0 or at least 1.2e-38 {place}; send 0, or leave it out"
        raise BrokenRule(detail, "out_of_range", expected={"anyOf": [{"const": 0}, {"minimum": 1.2e-38}]})


def _next(bound: float, towards: float) -> float:
    """The number of float32 next to a bound."""
    return float(np.nextafter(np.float32(bound), np.float32(towards))) if bound else 1.2e-38


def shown(value: object, limit: int = 60) -> str:
    """A value as JSON, cut to `limit` characters, for a message."""
    if isinstance(value, list | dict) and len(value) > limit:
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)} values"
    try:
        text = json.dumps(value, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


def did_you_mean(word: object, known: Iterable[str], *, about: str = "") -> str:
    """` Did you mean 'x'?` for a near miss, or for what others call x, else nothing. about: what is to say of x."""
    return asked(closest(word, known), about=about)


def got(value: object, hint: str = "") -> str:
    """`, got "x"` behind a rule, and a hint as a sentence of its own."""
    return f", got {shown(value)}{'.' * bool(hint)}{hint}"


def asked(near: Sequence[str], *, about: str = "") -> str:
    """` Did you mean 'x' or 'y'?`, nothing without any."""
    names = " or ".join(f"'{name}'" for name in near)
    return f" Did you mean {names}{', ' * bool(about)}{about}?" if names else ""


def suggested(word: object, known: Iterable[str]) -> str | None:
    """The one that `did_you_mean` names; None where there is none, or more than one."""
    return only(closest(word, known))


def only(near: Sequence[str]) -> str | None:
    """The one that there is; None where there is none, or more than one."""
    return near[0] if len(near) == 1 else None


def as_an_object(near: Sequence[str]) -> str:
    """`; write {"type": "x"}` for the mere name of a type. near: which may be meant."""
    return "".join(f'; write {{"type": "{name}"}}' for name in near[:1])


def instead_of_type(value: Iterable[str]) -> str:
    """`; rename 'x' to type` where an object has no type, but a field that looks like one."""
    named = type_named(value)
    return f"; rename {shown(named)} to type" if named else ""


def type_named(value: Iterable[str]) -> str | None:
    """The field that looks like a type."""
    return next((name for name in value if meant(name, ["type"])), None)


def whole(value: object) -> int:
    """An integer, or a float that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BrokenRule(f"must be a whole number, got {shown(value)}", "wrong_type")
    if isinstance(value, float) and not value.is_integer():
        raise BrokenRule(f"must be a whole number, got {shown(value)}", "wrong_type")
    return int(value)


def real(value: object) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BrokenRule(f"must be a number, got {shown(value)}", "wrong_type")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BrokenRule(f"must be a finite number, got {shown(value)}", "out_of_range")
    return number


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise BrokenRule(f"must be true or false, got {shown(value)}", "wrong_type")
    return value


def text(value: object) -> str:
    if not isinstance(value, str):
        raise BrokenRule(f"must be a string, got {shown(value)}", "wrong_type")
    return value


def size(value: object, *, least: int, most: int = 64) -> int | Pair:
    """A whole number, or a pair [height, width] of them."""
    values = value if isinstance(value, list | tuple) else [value]
    if isinstance(value, list | tuple) and len(values) != 2:
        raise BrokenRule(f"must be a whole number or a pair [height, width], got {shown(value)}", "malformed")
    numbers = [whole(number) for number in values]
    for number in numbers:
        if not least <= number <= most:
            raise BrokenRule(f"must be {least} to {most}, got {shown(value)}", "out_of_range")
    return (numbers[0], numbers[1]) if len(numbers) == 2 else numbers[0]


def size_schema(*, least: int, most: int = 64) -> dict[str, Any]:
    """What `size` takes, as JSON Schema."""
    one = {"type": "integer", "minimum": least, "maximum": most}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 2, "maxItems": 2}]}


def pair(value: int | Pair) -> Pair:
    """A size for both axes."""
    return (value, value) if isinstance(value, int) else value


# pydantic carries a BeforeValidator's ValueError through as it is, so what is said above reaches the client.
Whole = Annotated[int, BeforeValidator(whole)]
Real = Annotated[float, BeforeValidator(real)]
Boolean = Annotated[bool, BeforeValidator(boolean)]
Text = Annotated[str, BeforeValidator(text)]
MOST_WIDTH = 10_000_000  # features and channels; memory is bounded elsewhere
Width = Annotated[Whole, Field(ge=1, le=MOST_WIDTH)]
Extent = Annotated[  # kernels, strides, dilations
    int | Pair, BeforeValidator(lambda value: size(value, least=1)), WithJsonSchema(size_schema(least=1))
]


class Hint(NamedTuple):
    """About a field that is not known: where else it belongs, as a sentence after a blank.

    name: of the field of this object that was meant. home: where it can be moved to, from the object in which it came.
    """

    sentence: str = ""
    name: str | None = None
    home: Path = ()


Elsewhere = Callable[[str, Any], Hint]
BOUNDS_IN_WORDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("greater than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def no_hint(name: str, value: object) -> Hint:
    return Hint()


def rule_of(error: Mapping[str, Any], owner: str) -> BrokenRule:
    """One pydantic error about a field that is known as: rule, what came, cure."""
    kind, context, value = error["type"], error.get("ctx", {}), error.get("input")
    if kind in BOUNDS_IN_WORDS:
        words, key = BOUNDS_IN_WORDS[kind]
        return BrokenRule(f"must be {words} {context[key]}, got {shown(value)}", "out_of_range")
    if kind == "missing":
        return BrokenRule(f"is required by {owner}", "missing")
    if kind == "literal_error":
        choices = re.findall("'([^']+)'", context["expected"])
        hint, near = did_you_mean(value, choices), suggested(value, choices)
        detail = f"must be {context['expected']}{got(value, hint)}"
        return BrokenRule(detail, "not_one_of", suggestion=near, set_to=UNSAID if near is None else near)
    if kind in ("list_type", "dict_type"):
        return BrokenRule(
            f"must be {'a list' if kind == 'list_type' else 'an object'}, got {shown(value)}", "wrong_type"
        )
    if kind == "value_error":
        inside = context["error"]
        return inside if isinstance(inside, BrokenRule) else BrokenRule(str(inside), "malformed")
    code: Code = "wrong_type" if kind.endswith("_type") else "malformed"
    return BrokenRule(f"{error['msg']}, got {shown(value)}", code)


def unknown(
    name: str, fields: Mapping[str, Any], path: Path, *, owner: str, model: type[BaseModel], elsewhere: Elsewhere
) -> Problem:
    """What to say about a field that nobody knows, of the object at `path` with these, by their own names."""
    known = wire_names(model)
    own = meant(name, known)
    hint = Hint() if own else elsewhere(name, fields[name])
    near = hint.name if hint.sentence else suggested(name, known)
    other = otherwise(name)
    cure = hint.sentence or did_you_mean(name, known, about=other)
    same = near is not None and near not in fields and not other and fits(allowed(model).get(near, {}), fields[name])
    home = hint.home or ((near,) if near is not None and same else ())
    fix = (Change("move", (*path, *home), source=(*path, name)),) if home else ()
    detail = f"is not a field of {owner}.{cure} Its fields: {', '.join(known)}"
    return Problem((*path, name), detail, "unknown_field", expected=one_of(known), suggestion=near, fix=fix)


Model = TypeVar("Model", bound=Spec)


def wire_names(model: type[BaseModel]) -> list[str]:
    """The field names of a model as a client writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def parse(
    model: type[Model],
    value: object,
    path: Path,
    *,
    owner: str,
    aliases: Mapping[str, str] | None = None,
    elsewhere: Elsewhere = no_hint,
    context: object = None,
    example: Mapping[str, Any] | None = None,
) -> Model:
    """A checked `model` from a JSON object; SpecError with every problem, named as the client named them.

    aliases: other names that older clients use, to the field's own name. elsewhere: asked about unknown fields.
    context: what validators find in their info. One that parses a whole part may raise SpecError itself. example: of
    such an object, for messages.
    """
    if not isinstance(value, dict):
        raise SpecError([no_object(value, path, example=example)])
    fields, said, problems = canonical(value, aliases or {}, path)
    try:
        parsed = model.model_validate(fields, context=context)
    except ValidationError as failure:
        told: set[int | str] = set()
        for error in failure.errors(include_url=False)[:MOST_PROBLEMS]:
            inside, name = error.get("ctx", {}).get("error"), error["loc"][0]
            if error["type"] == "none_required" and name in told:  # that null would do as well is no news
                continue
            told.add(name)
            if isinstance(inside, SpecError):
                problems += inside.problems
            elif error["type"] == "extra_forbidden":
                problems.append(unknown(str(name), fields, path, owner=owner, model=model, elsewhere=elsewhere))
            else:
                came = fields.get(str(name), UNSAID)
                problems.append(completed(rule_of(error, owner), model, str(name), (*path, said.get(name, name)), came))
        raise SpecError(seen(problems, value, path)) from None
    if problems:
        raise SpecError(seen(problems, value, path))
    return parsed


def no_object(value: object, path: Path, *, example: Mapping[str, Any] | None = None) -> Problem:
    """What is no object."""
    such = f" such as {shown(example)}" if example else ""
    rule = f"must be an object{such}{got(value)}"
    return Problem(path, rule, "wrong_type", expected={"type": "object"}, got=value)


def completed(rule: BrokenRule, model: type[BaseModel], name: str, path: Path, came: object) -> Problem:
    """A rule that a field breaks, with what the field takes where the rule does not say it itself."""
    problem = rule.at(path)
    if problem.expected is UNSAID:
        problem = replace(problem, expected=allowed(model).get(name, UNSAID))
    if problem.code == "wrong_type" and isinstance(came, str) and isinstance(problem.expected, dict):
        meaning = read_from_text(came, problem.expected)
        return problem if meaning is UNSAID else replace(problem, fix=(Change("replace", path, meaning),))
    return problem


def canonical(
    value: Mapping[str, Any], aliases: Mapping[str, str], path: Path
) -> tuple[dict[str, Any], dict[int | str, str], list[Problem]]:
    """Fields under their own names, which name the client used for each, and a problem where it used two."""
    fields: dict[str, Any] = {}
    said: dict[int | str, str] = {}
    problems: list[Problem] = []
    for name, item in value.items():
        own = aliases.get(name, name)
        if own in fields and fields[own] != item:
            rule = f"says {shown(item)} where '{said[own]}' says {shown(fields[own])}; send one"
            problems.append(Problem((*path, name), rule, "conflict", expected={"const": fields[own]}, got=item))
            continue
        fields[own], said[own] = item, name
    return fields, said, problems
