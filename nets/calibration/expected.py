"""Rates that are expected of a device before it has been measured."""

from __future__ import annotations

from collections.abc import Mapping

Kinds = Mapping[str, float]  # the last word of an amount's name: seconds for one

# Seconds for a thousand million operations, for a million values, bytes (`touched`) or weights, or for one of anything
# else. By plan and platform: what `BUILT_IN` has no rate of its own for.
KINDS: Mapping[str, Kinds] = {
    # Two cores with AVX-512, by the plan for CPUs.
    "cpu": {
        **{"flops": 0.008, "image": 4e-4, "result": 4e-4, "touched": 3e-5, "values": 6e-4, "weights": 5e-4},
        **{"spilled": 5e-4, "drawn": 8e-3, "calls": 1.5e-5, "rounds": 6e-5, "arrays": 3e-6, "step": 3e-5, "part": 2e-5},
        **{"pass": 1e-3, "tail": 1e-3, "rows": 0.03, "input": 1e-3, "gathered": 3e-4, "update": 5e-4},
    },
    # The same by XLA's own kernels, which take ten times as long for convolutions and pools.
    "xla on cpu": {
        **{"flops": 0.05, "image": 4e-3, "result": 4e-3, "touched": 0, "values": 4e-3, "weights": 1e-3},
        **{"spilled": 5e-4, "drawn": 8e-3, "calls": 1.5e-5, "rounds": 6e-5, "arrays": 3e-6, "step": 3e-5, "part": 2e-5},
        **{"pass": 1e-3, "tail": 1e-3, "rows": 0.03, "input": 1e-3, "gathered": 3e-4, "update": 5e-4},
    },
    # An accelerator of 10^13 operations and 10^12 bytes a second. From data sheets: nobody has compared it yet.
    "accelerator": {
        **{"flops": 1e-4, "image": 4e-6, "result": 4e-6, "touched": 0, "values": 8e-6, "weights": 8e-6},
        **{"spilled": 0, "drawn": 8e-6, "calls": 1e-5, "rounds": 6e-5, "arrays": 3e-6, "step": 3e-5, "part": 2e-5},
        **{"pass": 2e-3, "tail": 1e-3, "rows": 0.03, "input": 8e-6, "gathered": 8e-6, "update": 8e-6},
    },
}
# Seconds that compiling takes for each.
COMPILING: Kinds = {
    **{"programs": 0.25, "convolutions": 0.25, "copies": 0.05, "taps": 0.006, "stages": 0.06, "weights": 5e-3}
}
# Seconds until the same is traced and read from the disk.
READING: Kinds = {
    **{"programs": 0.05, "convolutions": 0.06, "copies": 0.02, "taps": 0.0, "stages": 0.008, "weights": 1e-3}
}
HALF = 0.6  # of the time of operations in float32 those in bfloat16 take


def kinds_of(plan: str, platform: str) -> Kinds:
    """Those of a plan on a platform."""
    return KINDS[plan if plan in KINDS else "xla on cpu" if platform == "cpu" else "accelerator"]


def expected(name: str, kinds: Kinds) -> float:
    """The rate of an amount. A name is what is done, by what, and of which kind: `train.native.flops`."""
    whole = name.removesuffix(".bfloat16")
    kind = whole.rpartition(".")[2]
    own = {"compile": COMPILING, "read": READING}.get(whole.partition(".")[0], kinds)
    rate = own[kind] if kind in own else kinds["update"]
    return rate * HALF if whole != name else rate
