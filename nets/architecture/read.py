"""JSON to a checked network: layers are read one by one, names become edges, and what fits is put in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nets.architecture.architecture import Architecture
from nets.architecture.combinators import COMBINATORS, Combinator, Listed
from nets.architecture.common import KEPT, Common, kept_json
from nets.architecture.expand import expand, size
from nets.architecture.frame import Frame, input_value
from nets.architecture.graph import INPUT as NETWORK
from nets.architecture.names import Scope
from nets.architecture.resolve import resolve
from nets.architecture.sharing import Loan, loan
from nets.architecture.sketch import Sketch
from nets.architecture.written import Body, Ref, Written
from nets.errors import MOST_PROBLEMS, BrokenRule, Change, Code, Path, Problem, SpecError, seen
from nets.layers import LAYERS
from nets.spec.allowed import one_of
from nets.spec.fields import Hint, parse
from nets.spec.registry import Registry
from nets.spec.values import Value
from nets.spec.words import meant, plain

MAX_LAYERS = 2048
MAX_DEPTH = 16  # combinators inside of each other
BESIDES = frozenset([*Common.model_fields, *KEPT])
ACTIVATION = ("activation", "activationfn", "activationfunction", "nonlinearity")


def parse_architecture(value: object, path: Path = ("architecture",), *, most_layers: int = MAX_LAYERS) -> Architecture:
    """A checked architecture; SpecError with every problem in it, or at once where it has more than `most_layers`."""
    found = sketched(value, path, most_layers=most_layers)
    if found.problems:
        raise SpecError(found.problems)
    assert found.whole is not None, "a network that cannot be resolved has a problem"
    return found.whole


def sketched(value: object, path: Path = ("architecture",), *, most_layers: int = MAX_LAYERS) -> Sketch:
    """An architecture as far as it goes, with every problem in it."""
    problems: list[Problem] = []
    given: Value | None = None
    outputs: tuple[str, ...] = ()
    try:
        frame = parse(Frame, value, path, owner="an architecture")
        outputs = frame.outputs or ()
        given = input_value(frame, path)
    except SpecError as error:
        problems += error.problems
    listed = value.get("layers") if isinstance(value, Mapping) else None
    if not isinstance(listed, list):
        return Sketch(given, problems=first_of(problems, value, path))
    reader = Reader(path, problems, most=most_layers)
    try:
        body = reader.whole(listed, outputs)
    except SpecError as error:
        return Sketch(given, problems=first_of(error.problems, value, path))
    placed = expand(body)
    found = resolve(given, body, placed, path=path, problems=problems)
    told = in_reading_order(problems, path) or reader.muted
    return Sketch(given, placed, found.nodes, None if told else found.whole, first_of(told, value, path))


def first_of(problems: Sequence[Problem], value: object, path: Path) -> tuple[Problem, ...]:
    """Those that are told, with what came."""
    return tuple(seen(problems[:MOST_PROBLEMS], value, path))


def in_reading_order(problems: Sequence[Problem], path: Path) -> list[Problem]:
    """By the layers that they are about; what is about the whole comes first."""

    def place(problem: Problem) -> tuple[tuple[int, str], ...]:
        parts = problem.path[len(path) :]
        numbers = [index for index, part in enumerate(parts) if isinstance(part, int)]
        of_layer = parts[: numbers[-1] + 1] if numbers else ()
        return tuple((part, "") if isinstance(part, int) else (-1, part) for part in of_layer)

    return sorted(problems, key=place)


def beside_a_layer(name: str, value: object) -> Hint:
    """What to do with a field that other libraries have in layers."""
    if plain(name) in ACTIVATION:
        kind = next(iter(LAYERS.near(value)), LAYERS.example["type"])
        return Hint(f' An activation is a layer of its own: put {{"type": "{kind}"}} after this one.')
    if meant(name, Frame.model_fields):
        return Hint(" It belongs in architecture.")
    common = meant(name, Common.model_fields)
    return Hint(f" Did you mean '{common[0]}'?", name=common[0]) if common else Hint()


def kinds() -> Registry[Any]:
    """All that a list of layers may hold."""
    found: Registry[Any] = Registry("layer type", example=LAYERS.example, listed=LAYERS.listed)
    found.update({**LAYERS, **COMBINATORS})
    return found


class Reader:
    """Reads lists of layers and collects what is wrong with each, and with their names.

    problems: told. muted: the same once more, in what a combinator took over from the one whose arrays it shares.
    """

    def __init__(self, path: Path, problems: list[Problem], *, most: int) -> None:
        self.path = path
        self.problems = problems
        self.muted: list[Problem] = []
        self.kinds = kinds()
        self.most = most
        self.count = 0

    def whole(self, listed: list[Any], outputs: tuple[str, ...] = ()) -> Body:
        """The layers of a network; SpecError at once where there are too many."""
        place = (*self.path, "layers")
        if not 1 <= len(listed) <= self.most:
            rule = f"must have 1 to {self.most} layers, got {len(listed)}"
            raise SpecError([*self.problems, Problem(place, rule, *beyond(len(listed), self.most))])
        body = self.body(Scope(self.named(listed)), place, None, outputs)
        if (many := size(body)) > self.most:
            rule = f"must make a network of at most {self.most} layers, repetitions included"
            raise SpecError(
                [*self.problems, Problem(place, f"{rule}; got {shortened(many)}", *beyond(many, self.most))]
            )
        return body

    def named(self, listed: list[Any]) -> list[Any]:
        """Layers as they came, each with its type's own name."""
        return [self.kinds.by_its_own_name(sent) for sent in listed]

    def body(self, scope: Scope, path: Path, shown: Path | None, outputs: tuple[str, ...] = ()) -> Body:
        """shown: where errors point that are about any of these layers; None for each layer's own place."""
        self.count += len(scope.listed)
        if self.count > self.most:
            rule = f"must have at most {self.most} layers, those of combinators included"
            raise SpecError([*self.problems, Problem((*self.path, "layers"), rule, *beyond(self.count, self.most))])
        rules = scope.rules.items()
        self.problems += [rule.at(shown or (*path, index, "name")) for index, rule in rules]
        items = tuple(self.item(scope, index, (*path, index), shown) for index in range(len(scope.listed)))
        asked = tuple(self.outputs(scope, items, outputs))
        ends = [index for index in range(len(items)) if index not in scope.read and index not in asked]
        ends += reversed(asked)
        last = ends[-1] if ends else len(items) - 1
        for index in ends[: len(ends) - (len(asked) or 1)]:
            item = items[index]
            rule = f"no layer reads {item.label}, and {items[last].label} is the output already"
            cure = "name it in the inputs of another layer, or remove it"
            cure = f"{cure}, or name it in outputs" if asked else cure
            self.problems.append(Problem(item.shown, f"{rule}; {cure}", "unused"))
        return Body(items, last, scope.open, asked)

    def outputs(self, scope: Scope, items: Sequence[Written], names: tuple[str, ...]) -> Iterator[int]:
        """The places of the layers that are named as outputs."""
        for number, name in enumerate(names):
            place = (*self.path, "outputs", number)
            found = scope.names.get(name)
            if found is None:
                self.problems.append(scope.unknown(name).at(place))
                continue
            if found in scope.read:
                rule = f"{items[found].label} is read by another layer; name layers that no other one reads"
                self.problems.append(Problem(place, rule, "conflict", got=name))
            yield found

    def item(self, scope: Scope, index: int, path: Path, shown: Path | None) -> Written:
        sent, where = scope.listed[index], shown or path
        if not isinstance(sent, dict):
            self.spec(sent, None, where)
            scope.mark(Ref(scope.depth, index - 1))
            return Written(path, where, "", None)
        kind = sent.get("type")
        known = kind if isinstance(kind, str) and kind in self.kinds else ""
        inputs, shares = (self.common(name, sent, where) for name in ("inputs", "shares"))
        item = Written(path, where, known, None, scope.name(index), inputs, shares or None)
        borrowed = self.borrowed(item, scope, index)
        own = {name: part for name, part in sent.items() if name not in BESIDES}
        fields = {**borrowed.fields, **own} if known else sent
        aliases = self.kinds[known].aliases if known else {}
        item = replace(
            item,
            spec=self.spec(fields, own if shares and known else None, where),
            kept=self.kept(sent, where),
            said={aliases.get(name, name): name for name in own},
            taken=frozenset(borrowed.fields),
            reads=self.reads(inputs, scope, index, where),
            lender=borrowed.lender,
        )
        return self.combined(item, scope, fields) if known in COMBINATORS else marked(item, scope)

    def spec(self, sent: object, own: Mapping[str, Any] | None, where: Path) -> Any:
        """A layer or combinator on its own; None where it cannot be read.

        own: what its client wrote of it, where the rest is another layer's, which is told of there.
        """
        try:
            return self.kinds.parse(sent, where, elsewhere=beside_a_layer)
        except SpecError as error:
            for problem in error.problems:
                told = own is None or set(problem.path[len(where) :][:1]) <= own.keys()
                (self.problems if told else self.muted).append(problem)
            return None

    def kept(self, sent: Mapping[str, Any], where: Path) -> str:
        """What builders keep for themselves, as JSON; nothing where there is nothing."""
        try:
            return kept_json(sent)
        except BrokenRule as error:
            self.problems.append(error.at(where))
            return ""

    def common(self, name: str, sent: Mapping[str, Any], where: Path) -> Any:
        """One of the fields that every layer may carry; None where it is left out, () where it is wrong."""
        if sent.get(name) is None:
            return None
        try:
            return getattr(parse(Common, {name: sent[name]}, where, owner="a layer"), name)
        except SpecError as error:
            self.problems += error.problems
            return ()

    def reads(self, inputs: tuple[str, ...] | None, scope: Scope, index: int, where: Path) -> tuple[Ref | None, ...]:
        """What a layer reads, by name; nobody knows where that is wrong."""
        before = Ref(scope.depth, index - 1)
        if inputs is None:
            return (before,)
        if not inputs:
            scope.mark(before)  # most likely it is meant: that nobody reads it would be said in vain
            return (None,)
        return tuple(self.ref(index, inputs, scope, where) for index in range(len(inputs)))

    def ref(self, index: int, inputs: tuple[str, ...], scope: Scope, where: Path) -> Ref | None:
        found = scope.ref(inputs[index])
        if found is None:
            rule, place = scope.unknown(inputs[index]), (*where, "inputs")
            names = one_of([*rule.expected["enum"], NETWORK])
            expected = {"anyOf": [{"type": "array", "items": names}, names]}
            meant = [*inputs[:index], rule.suggestion, *inputs[index + 1 :]]
            fix = () if rule.suggestion is None else (Change("replace", place, meant),)
            self.problems.append(replace(rule.at(place), expected=expected, fix=fix))
        return found

    def borrowed(self, item: Written, scope: Scope, index: int) -> Loan:
        """Whose arrays it shares, with the fields that it has from there."""
        if not item.shares or not item.type:
            return Loan()
        try:
            return loan(item, scope, index, self.kinds[item.type].aliases)
        except BrokenRule as error:
            self.problems.append(error.at((*item.shown, "shares")))
            return Loan()

    def combined(self, item: Written, scope: Scope, sent: Mapping[str, Any]) -> Written:
        """With the layers that it holds."""
        if scope.depth >= MAX_DEPTH:
            rule = f"combinators can be nested at most {MAX_DEPTH} deep"
            self.problems.append(Problem(item.shown, rule, "too_deep"))
            return replace(item, spec=None)
        lists = tuple(COMBINATORS[item.type].lists(sent))
        item = replace(item, bodies=tuple(self.inner(item, listed, scope) for listed in lists))
        rules = list(rules_of_combinators(item, lists))
        self.problems += [rule.at(item.shown) for rule in rules]
        if item.spec is None or rules:
            return replace(marked(item, scope), spec=None)
        return marked(item, scope) if opens(item) else item

    def inner(self, item: Written, listed: Listed, scope: Scope) -> Body:
        """One of its lists. What it took over with its problems has been told of."""
        taken = listed.place[0] in item.taken and listed.place[0] not in item.said
        inside = Scope(self.named(listed.layers), outer=scope, at=int(item.path[-1]))
        shown = item.shown if taken or item.shown != item.path else None
        told = self.problems
        try:
            self.problems = self.muted if taken else told
            return self.body(inside, (*item.path, *listed.place), shown)
        finally:
            self.problems = told


def rules_of_combinators(item: Written, lists: Sequence[Listed]) -> Iterator[BrokenRule]:
    """Rules that a combinator breaks as a whole."""
    if len(item.reads) > 1:
        rule = f"{item.type} takes 1 input, got {len(item.reads)}; join them before it, by a merge"
        yield BrokenRule(rule, "misfit", expected={"properties": {"inputs": {"type": "array", "maxItems": 1}}})
    for listed in lists:
        if len(listed.layers) < listed.least:
            rule = f"{item.type} must have at least {listed.least} layer in {listed.place[0]}, got none"
            least = {"type": "array", "minItems": listed.least}
            yield BrokenRule(rule, "too_short", expected={"properties": {str(listed.place[0]): least}})
    if isinstance(item.spec, Combinator):
        chained = [copy.body for copy in item.spec.copies() if copy.reads is not None]
        if not all(item.bodies[body].open for body in chained):
            cure = "leave out inputs of its first layer"
            yield BrokenRule(f"{item.type} repeats layers, but none of them reads the layer before; {cure}", "unused")


def beyond(count: int, most: int) -> tuple[Code, dict[str, Any]]:
    """Of a list of layers: what is wrong with their number, and what is allowed."""
    return "too_long" if count > most else "too_short", {"type": "array", "minItems": 1, "maxItems": most}


def marked(item: Written, scope: Scope) -> Written:
    for ref in item.reads:
        if ref is not None:
            scope.mark(ref)
    return item


def opens(item: Written) -> bool:
    """Whether a combinator reads what it is given."""
    assert isinstance(item.spec, Combinator)
    first = [item.bodies[copy.body] for copy in item.spec.copies() if copy.reads is None]
    return any(body.open or not body.items for body in first)


def shortened(number: int) -> str:
    return str(number) if number < 10**12 else f"more than {10**12}"
