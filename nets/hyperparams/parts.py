"""Which hyperparameters are objects of other rooms, and by which names fields of them may come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nets.augment.base import AUGMENTATIONS
from nets.averages import Ema, Swa
from nets.errors import Path, Problem, SpecError
from nets.losses import LOSSES
from nets.metrics import METRICS
from nets.optimizers import OPTIMIZERS
from nets.optimizers.groups import Group
from nets.optimizers.lookahead import Lookahead
from nets.regularizers import REGULARIZERS
from nets.schedules import SCHEDULES
from nets.spec.fields import Spec
from nets.spec.registry import Registry
from nets.spec.sent import in_words_of
from nets.stopping import EarlyStopping, Target

ALIASES = {"dataset": "dataset_type", "regularisers": "regularizers"}
TYPED: Mapping[str, Registry[Any]] = {  # fields that are a type with its options
    "optimizer": OPTIMIZERS,
    "lr_schedule": SCHEDULES,
    "loss": LOSSES,
}
OPTIONAL = ("lr_schedule",)  # those that may be null
PARTS: Mapping[str, type[Spec]] = {  # fields that are an object with its options, or null
    "lookahead": Lookahead,
    "ema": Ema,
    "swa": Swa,
    "early_stopping": EarlyStopping,
    "target": Target,
}
EXAMPLES: Mapping[str, Mapping[str, Any]] = {  # of these parts, for messages
    "lookahead": {"k": 5, "alpha": 0.5},
    "ema": {"decay": 0.999},
    "swa": {"from_epoch": 4},
    "early_stopping": {"patience": 5},
    "target": {"metric": "val_accuracy", "value": 0.97},
}
LISTS: Mapping[str, Registry[Any]] = {  # fields that are lists of types with their options
    "augment": AUGMENTATIONS,
    "regularizers": REGULARIZERS,
    "metrics": METRICS,
}


def words_for(name: str) -> list[str]:
    """The names by which a field may come."""
    return [name, *(alias for alias, own in ALIASES.items() if own == name)]


def aliases_of(part: type[Spec]) -> Mapping[str, str]:
    """The other names of its fields."""
    aliases: Mapping[str, str] = getattr(part, "aliases", {})
    return aliases


def names_at(place: Path, fields: Mapping[str, Any]) -> Mapping[str, str]:
    """The other names of fields of an object at a place in the hyperparameters."""
    if not place:
        return ALIASES
    name, kind = ALIASES.get(str(place[0]), str(place[0])), fields.get("type")
    if name in PARTS or name == "groups":
        return aliases_of(PARTS.get(name, Group))
    registry = {**TYPED, **LISTS}.get(name)
    known = registry.named(kind) if registry is not None and isinstance(kind, str) else None
    return registry[known].aliases if registry is not None and known is not None else {}


def as_sent(problems: Iterable[Problem], body: Mapping[str, Any]) -> SpecError:
    """Problems of a request by the names that it has for fields of hyperparameters."""
    sent = body.get("hyperparams")
    return SpecError([in_words_of(sent, problem, names_at, ("hyperparams",)) for problem in problems])
