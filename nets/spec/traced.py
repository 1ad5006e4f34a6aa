"""Fields whose numbers are inputs of a compiled program: another number needs no new program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from nets.spec.fields import Spec

STAND_IN = 1.0  # of every traced number in the structure of a specification; nothing computes with it


@dataclass(frozen=True)
class Traced:
    """Marks a field: `p: Annotated[Real, Field(ge=0, lt=1), Traced()] = 0.5`.

    absent: the value that means that there is no such thing, e.g. no momentum. Whether there is decides what is
    compiled; how much does not. names: of the numbers, where the field is a tuple of several.
    """

    absent: float | str | None = None
    names: tuple[str, ...] = ()


class TracedSpec(Spec):
    """A specification that tells its traced numbers from what a compiled program depends on."""

    def numbers(self) -> dict[str, float]:
        """The inputs of a compiled program, by name."""
        return {name: number for field, mark in self._present() for name, number in _named(self, field, mark)}

    def structure(self) -> Self:
        """The specification with its numbers taken out: what a compiled program depends on."""
        numbers = {field: (STAND_IN,) * len(mark.names) if mark.names else STAND_IN for field, mark in self._present()}
        return self.model_copy(update=numbers) if numbers else self

    def _present(self) -> Iterator[tuple[str, Traced]]:
        for field, mark in traced(type(self)).items():
            if mark.absent is None or getattr(self, field) != mark.absent:
                yield field, mark


@cache
def traced(model: type[Spec]) -> Mapping[str, Traced]:
    """The traced fields of a specification."""
    return {
        name: mark for name, field in model.model_fields.items() for mark in field.metadata if isinstance(mark, Traced)
    }


def _named(spec: Spec, field: str, mark: Traced) -> Iterator[tuple[str, float]]:
    value: Any = getattr(spec, field)
    return zip(mark.names, value, strict=True) if mark.names else iter([(field, value)])
