"""The end of a run that has had as many steps, or as much time, as it may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nets.stopping.ending import Json, Values


@dataclass
class Limit:
    """How much of something a run has had. cut: whether that was used up before the end of the last epoch."""

    name: Literal["max_steps", "max_seconds"]
    most: float
    had: float = 0.0
    cut: bool = False

    reached: ClassVar[None] = None

    def see(self, values: Values) -> None:
        self.had = values["step" if self.name == "max_steps" else "seconds"]
        self.cut = self.had >= self.most and values["share"] < 1

    @property
    def end(self) -> Json | None:
        if self.had < self.most:
            return None
        had = f"{self.had:.0f} steps" if self.name == "max_steps" else f"{self.had:.3f} s of training and validation"
        return {"message": f"{had} have passed, of at most {self.most:g}"}

    @property
    def more(self) -> tuple[tuple[str, ...], str]:
        return (self.name,), f"more than {self.had:g}, or null"

    def state(self) -> Json:
        return {"had": self.had, "cut": self.cut}

    def go_on(self, state: Json) -> None:
        """One that may have more than before has not ended."""
        self.had, self.cut = state["had"], state["cut"] and state["had"] >= self.most

    def begin_at(self, *, step: int, seconds: float) -> None:
        """What was had before the limit was set counts, too."""
        self.had = max(self.had, step if self.name == "max_steps" else seconds)
