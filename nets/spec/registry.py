"""Tables of what can be named in a specification: layer types, optimizers, losses, data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar

from nets.errors import UNSAID, BrokenRule, Change, Path, Problem, SpecError
from nets.spec.allowed import one_of
from nets.spec.fields import (
    Elsewhere,
    Hint,
    Spec,
    as_an_object,
    asked,
    got,
    instead_of_type,
    no_hint,
    only,
    parse,
    shown,
    type_named,
)
from nets.spec.traced import TracedSpec
from nets.spec.words import closest

V = TypeVar("V")
Fields = type[Spec]
MOST_LISTED = 40  # names in a message


class Names(dict[str, V]):
    """Things by name. A name can be taken once.

    what: what they are, in the singular. listed: where a client finds all of them, for messages about many.
    """

    def __init__(self, what: str, *, listed: str = "") -> None:
        super().__init__()
        self.what = what
        self.listed = listed

    def add(self, name: str, value: V) -> V:
        """ValueError where the name is taken."""
        if name in self:
            raise ValueError(f'a {self.what} called "{name}" is registered already: choose another name')
        self[name] = value
        return value

    def known(self, value: object) -> str:
        """The name that a client wrote; BrokenRule, with what was probably meant, unless it is in the table."""
        if isinstance(value, str) and (name := self.named(value)) is not None:
            return name
        near = self.near(value)
        detail = f"must be {self.choice()}{got(value, asked(near))}"
        set_to = UNSAID if (one := only(near)) is None else one
        raise BrokenRule(detail, "not_one_of", expected=one_of(self), suggestion=one, set_to=set_to)

    def named(self, word: str) -> str | None:
        """The name of the thing that a word names; None where it names none."""
        return word if word in self else None

    def near(self, word: object) -> list[str]:
        """Which names a word that names nothing may stand for."""
        return closest(word, self)

    def choice(self) -> str:
        """`one of sgd, adam`; of many, how many there are and where they are listed."""
        if len(self) > MOST_LISTED and self.listed:
            return f"one of the {len(self)} {self.what}s that {self.listed} lists"
        return f"{'one of ' * (len(self) > 1)}{', '.join(self)}"


class Typed(TracedSpec):
    """A specification that says in `type` which one of a registry it is.

    also: other names of the type, which clients may send in place of its own. aliases: other names of fields, to the
    field's own name. ignored: fields that clients send whatever the type, and that mean nothing for this one: checked,
    then left out. refused: fields that the same thing has in other libraries, and why it has none here: a sentence for
    whoever sends one, with what to do instead.
    """

    type: str
    also: ClassVar[tuple[str, ...]] = ()
    aliases: ClassVar[Mapping[str, str]] = {}
    ignored: ClassVar[Fields] = Spec
    refused: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def ignored_in(cls, sent: Mapping[str, Any]) -> Fields:
        """Those of `ignored`, and fields that mean nothing beside what was sent."""
        return cls.ignored


S = TypeVar("S", bound=Typed)
T = TypeVar("T", bound=Typed)


class Registry(Names[type[S]], Generic[S]):
    """Specifications by the value of their `type`. `example`: one as a client sends it, for messages.

    by_name: whether a name alone stands for the type with every option as it is by default.
    """

    def __init__(self, what: str, *, example: Mapping[str, Any], listed: str = "", by_name: bool = False) -> None:
        super().__init__(what, listed=listed)
        self.example = dict(example)
        self.by_name = by_name

    def register(self, cls: type[T]) -> type[T]:
        """Add a class under the default of its `type`; ValueError where that, or another name of it, is taken."""
        name = cls.model_fields["type"].default
        for word in (name, *cls.also):
            if (other := self.named(word)) not in (None, word):
                raise ValueError(f'"{word}" is another name of the {self.what} {other} already: choose another')
        if double := [word for word in cls.also if word in self or word == name]:
            raise ValueError(f'the {self.what} {name} is also called "{double[0]}", which is the name of one')
        self.add(name, cls)  # type: ignore[arg-type]  # T is an S, which Python cannot say
        return cls

    def named(self, word: str) -> str | None:
        """The type that goes by a name, its own or another one; None where none does."""
        return word if word in self else next((name for name, cls in self.items() if word in cls.also), None)

    def near(self, word: object) -> list[str]:
        """Which types a word may stand for that names none."""
        others = [name for name in self.words() if name not in self]  # first: of names spelled alike the last counts
        names = (self.named(name) for name in closest(word, [*others, *self]))
        return list(dict.fromkeys(name for name in names if name is not None))

    def words(self) -> list[str]:
        """All names of types: their own, then the others."""
        return [*self, *(word for cls in self.values() for word in cls.also)]

    def by_its_own_name(self, sent: Any) -> Any:
        """What a client sent, with the type's own name where it came by another one."""
        kind = sent.get("type") if isinstance(sent, dict) else None
        name = self.named(kind) if isinstance(kind, str) else None
        return sent if name in (None, kind) else {**sent, "type": name}

    def parse(self, value: object, path: Path, *, elsewhere: Elsewhere = no_hint) -> S:
        """One of the specifications from a JSON object; SpecError with every problem in it.

        elsewhere: asked about fields that it does not have.
        """
        cls, sent = self._chosen(value, path)
        nothing = cls.ignored_in(sent)
        ignored = {name: sent[name] for name in nothing.model_fields if name in sent}
        own = {name: item for name, item in sent.items() if name not in ignored}

        def hint(name: str, value: object) -> Hint:
            return Hint(f" {cls.refused[name]}.") if name in cls.refused else elsewhere(name, value)

        problems: list[Problem] = []
        try:
            parse(nothing, ignored, path, owner=sent["type"])
        except SpecError as error:
            problems += error.problems
        try:
            parsed = parse(cls, own, path, owner=sent["type"], aliases=cls.aliases, elsewhere=hint)
        except SpecError as error:
            raise SpecError([*problems, *error.problems]) from None
        if problems:
            raise SpecError(problems)
        return parsed

    def _chosen(self, value: object, path: Path) -> tuple[type[S], dict[str, Any]]:
        expected: dict[str, Any] = {"type": "object", "required": ["type"], "properties": {"type": one_of(self)}}
        if self.by_name and isinstance(value, str):
            try:
                name = self.known(value)
            except BrokenRule as error:
                raise SpecError([replace(error.at(path), got=value)]) from None
            return self[name], {"type": name}
        if not isinstance(value, dict):
            near = self.near(value)
            rule = f"must be an object such as {shown(self.example)}, got {shown(value)}{as_an_object(near)}"
            fix = () if (one := only(near)) is None else (Change("replace", path, {"type": one}),)
            raise SpecError([Problem(path, rule, "wrong_type", expected=expected, got=value, suggestion=one, fix=fix)])
        if "type" not in value:
            rule = f"is required; {self.choice()}{instead_of_type(value)}"
            named = type_named(value)
            fix = () if named is None else (Change("move", (*path, "type"), source=(*path, named)),)
            raise SpecError([Problem((*path, "type"), rule, "missing", expected=one_of(self), fix=fix)])
        try:
            name = self.known(value["type"])
        except BrokenRule as error:
            raise SpecError([error.at((*path, "type")).seen_in(value, path)]) from None
        return self[name], value if value["type"] == name else {**value, "type": name}

    def schema(self) -> dict[str, Any]:
        """What `parse` takes, as JSON Schema."""
        names = [one_of(self.words())] if self.by_name else []
        return {"anyOf": [*names, *(_schema(cls) for cls in self.values())]}


@cache  # Of some 90 types, several times a document: it would take most of a second each time.
def _schema(cls: type[Typed]) -> dict[str, Any]:
    fields: dict[str, Any] = cls.model_json_schema()["properties"]
    kind = cls.model_fields["type"].default
    others = {alias: fields[name] for alias, name in cls.aliases.items() if name in fields}
    ignored = cls.ignored.model_json_schema().get("properties", {})
    properties = {**fields, **others, **ignored, "type": type_schema(cls)}
    return {"title": kind, "type": "object", "required": ["type"], "properties": properties}


def type_schema(cls: type[Typed]) -> dict[str, Any]:
    """The names by which a type may be sent, as JSON Schema."""
    name = cls.model_fields["type"].default
    return one_of([name, *cls.also]) if cls.also else {"const": name}
