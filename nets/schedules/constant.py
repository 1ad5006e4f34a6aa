"""The learning rate as it is."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Literal

from nets.schedules.base import SCHEDULES, Inputs, Steps, WarmedCurve


@SCHEDULES.register
class Constant(WarmedCurve):
    """The learning rate of the optimizer, after the warm-up. `torch.optim.lr_scheduler.LinearLR` is such a warm-up."""

    type: Literal["constant"] = "constant"

    examples = ({"type": "constant", "warmup_epochs": 1},)

    def share(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        return xp.ones_like(at)
