"""The losses: one table over optax."""

from __future__ import annotations

from collections.abc import Callable

import optax
from jaxtyping import Array, Float, Int

Loss = Callable[[Float[Array, "batch classes"], Int[Array, " batch"]], Float[Array, " batch"]]

LOSSES: dict[str, Loss] = {"cross_entropy": optax.softmax_cross_entropy_with_integer_labels}
