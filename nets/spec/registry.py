"""Tables of what can be named in a specification: layer types, optimizers, losses, data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from nets.errors import UNSAID, BrokenRule, Change, Path, Problem, SpecError
from nets.spec.allowed import one_of
from nets.spec.fields import (
    Elsewhere,
    Spec,
    as_an_object,
    did_you_mean,
    instead_of_type,
    no_hint,
    parse,
    shown,
    suggested,
    type_named,
)
from nets.spec.traced import TracedSpec

V = TypeVar("V")
Fields = type[Spec]


class Names(dict[str, V]):
    """Things by name. `what`: what they are, in the singular. A name can be taken once."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def add(self, name: str, value: V) -> V:
        """ValueError where the name is taken."""
        if name in self:
            raise ValueError(f'a {self.what} called "{name}" is registered already: choose another name')
        self[name] = value
        return value

    def known(self, value: object) -> str:
        """The name that a client wrote; BrokenRule, with what was probably meant, unless it is in the table."""
        if isinstance(value, str) and value in self:
            return value
        detail = f"must be {self.choice()}, got {shown(value)}.{did_you_mean(value, self)}"
        near = suggested(value, self)
        set_to = UNSAID if near is None else near
        raise BrokenRule(detail, "not_one_of", expected=one_of(self), suggestion=near, set_to=set_to)

    def choice(self) -> str:
        """`one of sgd, adam`."""
        return f"{'one of ' * (len(self) > 1)}{', '.join(self)}"


class Typed(TracedSpec):
    """A specification that says in `type` which one of a registry it is.

    aliases: other names that older clients use, to the field's own name. ignored: fields that clients send whatever
    the type, and that mean nothing for this one: checked, then left out.
    """

    type: str
    aliases: ClassVar[Mapping[str, str]] = {}
    ignored: ClassVar[Fields] = Spec


S = TypeVar("S", bound=Typed)
T = TypeVar("T", bound=Typed)


class Registry(Names[type[S]], Generic[S]):
    """Specifications by the value of their `type`. `example`: one as a client sends it, for messages."""

    def __init__(self, what: str, *, example: Mapping[str, Any]) -> None:
        super().__init__(what)
        self.example = dict(example)

    def register(self, cls: type[T]) -> type[T]:
        """Add a class under the default of its `type`; ValueError where that is taken."""
        self.add(cls.model_fields["type"].default, cls)  # type: ignore[arg-type]  # T is an S, which Python cannot say
        return cls

    def parse(self, value: object, path: Path, *, elsewhere: Elsewhere = no_hint) -> S:
        """One of the specifications from a JSON object; SpecError with every problem in it.

        elsewhere: asked about fields that it does not have.
        """
        cls, sent = self._chosen(value, path)
        ignored = {name: sent[name] for name in cls.ignored.model_fields if name in sent}
        own = {name: item for name, item in sent.items() if name not in ignored}
        problems: list[Problem] = []
        try:
            parse(cls.ignored, ignored, path, owner=sent["type"])
        except SpecError as error:
            problems += error.problems
        try:
            parsed = parse(cls, own, path, owner=sent["type"], aliases=cls.aliases, elsewhere=elsewhere)
        except SpecError as error:
            raise SpecError([*problems, *error.problems]) from None
        if problems:
            raise SpecError(problems)
        return parsed

    def _chosen(self, value: object, path: Path) -> tuple[type[S], dict[str, Any]]:
        expected = {"type": "object", "required": ["type"], "properties": {"type": one_of(self)}}
        if not isinstance(value, dict):
            rule = f"must be an object such as {shown(self.example)}, got {shown(value)}{as_an_object(value, self)}"
            near = suggested(value, self)
            fix = () if near is None else (Change("replace", path, {"type": near}),)
            raise SpecError([Problem(path, rule, "wrong_type", expected=expected, got=value, suggestion=near, fix=fix)])
        if "type" not in value:
            rule = f"is required; {self.choice()}{instead_of_type(value)}"
            named = type_named(value)
            fix = () if named is None else (Change("move", (*path, "type"), source=(*path, named)),)
            raise SpecError([Problem((*path, "type"), rule, "missing", expected=one_of(self), fix=fix)])
        try:
            return self[self.known(value["type"])], value
        except BrokenRule as error:
            raise SpecError([error.at((*path, "type")).seen_in(value, path)]) from None

    def schema(self) -> dict[str, Any]:
        """What `parse` takes, as JSON Schema."""
        return {"anyOf": [_schema(cls) for cls in self.values()]}


def _schema(cls: type[Typed]) -> dict[str, Any]:
    fields: dict[str, Any] = cls.model_json_schema()["properties"]
    kind = cls.model_fields["type"].default
    others = {alias: fields[name] for alias, name in cls.aliases.items() if name in fields}
    ignored = cls.ignored.model_json_schema().get("properties", {})
    properties = {**fields, **others, **ignored, "type": {"const": kind}}
    return {"title": kind, "type": "object", "required": ["type"], "properties": properties}
