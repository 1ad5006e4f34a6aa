"""The steps of a sequence as samples of their own, and put together again: what stands around layers of each step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from jax import Array

from nets.layers.base import ANY, Bound, Layer, Misfit
from nets.spec.values import Value, features, sequence


class EachStep(Layer):
    """Every step of a sequence as features by itself."""

    type: Literal["timedistributed"] = "timedistributed"

    takes = ("sequence",)
    cures = {
        "features": "put a reshape to [length, features] before it",
        "image": "put a reshape to [length, features] before it",
        "tokens": "put embedding before it",
    }
    keeps_values = True
    regroups = True

    def output(self, *inputs: Value) -> Value:
        length, width = inputs[0].shape
        return replace(features(width), times=inputs[0].times * length)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0].reshape(-1, xs[0].shape[2])


class AsSequence(Layer):
    """What layers gave for each step, as a sequence. Its second input is the sequence whose steps they were."""

    type: Literal["as_sequence"] = "as_sequence"

    takes = (*ANY, "tokens")
    arity = (2, 2)
    regroups = True

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        each, whole = inputs
        if each.times != whole.times * whole.shape[0]:
            detail = "the layers of timedistributed must read the steps; leave out inputs of the first of them"
            yield Misfit(None, detail, fatal=True)
        elif each.kind != "features":
            given = f"{'an image' if each.kind == 'image' else 'a sequence'} ({each.described()})"
            detail = f"the layers of timedistributed must give features for each step, but {{0}} gives {given}"
            yield Misfit(None, f"{detail}; end them with flatten, or with the last step", fatal=True)

    def output(self, *inputs: Value) -> Value:
        each, whole = inputs
        return replace(sequence(whole.shape[0], each.channels), times=whole.times)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0].reshape(-1, *bound.gives.shape)
