"""What a rule that ends runs has to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from nets.facts import TargetReached

Json = dict[str, Any]
Values = Mapping[str, float]  # of an epoch: its metrics, and `epoch`, `step`, `seconds` and `share` at its end


class Ending(Protocol):
    """A rule that looks at the end of each epoch, and may end the run there. A `nets.training.rules.Rule`, too."""

    @property
    def name(self) -> str: ...

    @property
    def end(self) -> Json | None:
        """Why the run ends, with a sentence in `message`; None: it goes on."""

    @property
    def reached(self) -> TargetReached | None:
        """The target that was reached, by the one rule that has one."""

    @property
    def cut(self) -> bool:
        """Whether the last epoch is not whole, on account of this rule."""

    @property
    def more(self) -> tuple[tuple[str, ...], str]:
        """Of one that has ended a run: the place in the hyperparameters that lets it go on, and what to send there."""

    def see(self, values: Values) -> None: ...

    def state(self) -> Json: ...

    def go_on(self, state: Json) -> None: ...
