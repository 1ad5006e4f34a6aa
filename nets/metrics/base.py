"""What a metric is, and the table of all metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from nets.metrics.reading import Reading
from nets.spec.registry import Registry, Typed

Value = float | list[Any]  # a number, a list of one per class, or a list of rows
Parts = Mapping[str, Callable[[Reading], Value]]


class Metric(Typed):
    """Base of the metrics: computed from the outputs of a whole pass, on the host.

    higher: whether more is better. many: whether the value is no single number. nanoseconds: that it takes on the host
    for each output of each sample.
    """

    higher: ClassVar[bool] = True
    many: ClassVar[bool] = False
    nanoseconds: ClassVar[float] = 2.6

    @property
    def key(self) -> str:
        """The name of its value."""
        return self.type

    def of(self, reading: Reading) -> Value:
        """Its value. Raises Undefined where there is none."""
        raise AssertionError(f"{type(self).__name__} has no value")

    def parts(self) -> Parts:
        """All that it tells, by name: each part is computed by itself."""
        return {self.key: self.of}

    @property
    def single(self) -> tuple[str, ...]:
        """Which of its parts are single numbers."""
        return () if self.many else (self.key,)

    def size(self, classes: int) -> int:
        """How many numbers its other parts have."""
        return 0


METRICS: Registry[Metric] = Registry("metric", example={"type": "top_k", "k": 5})
