"""Where a field belongs that came where it is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nets.hyperparams.parts import LISTS, PARTS, TYPED, aliases_of
from nets.spec.allowed import allowed, fits
from nets.spec.fields import Hint, Spec, shown, wire_names
from nets.spec.registry import Registry
from nets.spec.words import meant, otherwise, plain

# Fields of several parts, or of none that is meant by such a word alone.
ELSEWHERE = ("type", "metric", "goal", "patience", "threshold", "cooldown", "factor", "p", "value", "alpha", "stop")
ALONE = {"patience": "early_stopping"}  # of these one is usual


def inside(hyperparams: Mapping[str, Any], name: str, value: object) -> Hint:
    """Where a field belongs that came beside the one that it is a field of. hyperparams: as they came."""
    for home, registry in TYPED.items():
        if found := of_a_type(home, registry, hyperparams.get(home), name, value):
            return found
    for home, part in PARTS.items():
        if (own := field_of(home, part, name)) is not None:
            return moved(home, hyperparams.get(home), part, own, name, value)
    for home, registry in LISTS.items():
        if kinds := meant(name, registry):
            return Hint(f' It belongs in {home}: [{{"type": "{kinds[0]}"}}].')
    return Hint()


def of_a_type(home: str, registry: Registry[Any], sent: object, name: str, value: object) -> Hint | None:
    """Of the type that came, if that has such a field, else of the first that has one."""
    kind = registry.named(str(sent.get("type"))) if isinstance(sent, dict) else None
    for each in dict.fromkeys([*([kind] if kind else []), *registry]):
        if own := meant(name, [field for field in registry[each].model_fields if field not in ELSEWHERE]):
            came = sent if each == kind else None
            return moved(home, came, registry[each], own[0], name, value, type=each)
    return None


def field_of(home: str, part: type[Spec], name: str) -> str | None:
    """The field of a part that a word stands for, by itself or behind the name of the part: `ema_decay`."""
    words = {**{field: field for field in wire_names(part)}, **aliases_of(part)}
    behind = next((own for word, own in words.items() if plain(name) == plain(home) + plain(word)), None)
    by_itself = [word for word in words if word not in ELSEWHERE or ALONE.get(word) == home]
    return behind or next((words[word] for word in meant(name, by_itself)), None)


def moved(home: str, sent: object, part: type[Spec], own: str, name: str, value: object, **kind: str) -> Hint:
    """That a value belongs into a part, by the name that it has there. sent: the part as it came."""
    if other := otherwise(name):
        return Hint(f" It belongs in {home} as {own}, {other}.")
    if not fits(allowed(part).get(own, {}), value):
        return Hint(f" It belongs in {home} as {own}.")
    free = isinstance(sent, dict) and all(aliases_of(part).get(word, word) != own for word in sent)
    return Hint(f" It belongs in {home}: {shown({**kind, own: value})}.", home=(home, own) if free else ())
