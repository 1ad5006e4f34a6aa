"""Recurrent cells over all steps of a sequence, each with a gradient of its own.

Only the product of the state goes through the steps one by one; that of the inputs is given, and the gradient of the
recurrent weights is a single product over all steps. States and gates are float32 whatever operands are rounded to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from nets.numerics.dot import as_bfloat16
from nets.numerics.numerics import Numerics


class Weights(NamedTuple):
    """Of the state that goes from step to step.

    kernel: `[state, gates]`. bias: `[gates]`, added to its product. projection: `[hidden, state]`, where the state is a
    product of what the cell gives. None where there is no such thing.
    """

    kernel: Array
    bias: Array | None = None
    projection: Array | None = None


class Kept(NamedTuple):
    """Of one step, for the way back. gates: as the cell needs them. cells: what else goes from step to step."""

    gates: tuple[Array, ...]
    cells: tuple[Array, ...]


class State(NamedTuple):
    """What goes from step to step. cells: beside the state."""

    h: Array
    cells: tuple[Array, ...]


class Back(NamedTuple):
    """Gradients of one step. inputs, products: of the two that a cell adds. direct: of the state, beside products."""

    inputs: Array
    products: Array
    direct: Array | None
    cells: tuple[Array, ...]


class Cell:
    """One step of a recurrence.

    gates: how many times as wide as the state what comes in is. cells: how many values go from step to step besides it.
    bias_apart: whether the bias of the states' product cannot be added to that of the inputs.
    """

    gates: ClassVar[int] = 1
    cells: ClassVar[int] = 0
    bias_apart: ClassVar[bool] = False

    def forward(self, x: Array, product: Array, before: State) -> tuple[Array, Kept]:
        """What the cell gives. x: the product of the input; product: that of the state before."""
        raise AssertionError(f"{type(self).__name__} has no step")

    def backward(self, kept: Kept, before: State, g: Array, g_cells: tuple[Array, ...]) -> Back:
        """before: the state and the cells that it was given. g, g_cells: the gradients of what it gave."""
        raise AssertionError(f"{type(self).__name__} has no way back")


@dataclass(frozen=True)
class Elman(Cell):
    """h' = tanh(x + W h), or relu. Elman, 1990."""

    relu: bool = False

    def forward(self, x: Array, product: Array, before: State) -> tuple[Array, Kept]:
        y = jax.nn.relu(x + product) if self.relu else jnp.tanh(x + product)
        return y, Kept((y,), ())

    def backward(self, kept: Kept, before: State, g: Array, g_cells: tuple[Array, ...]) -> Back:
        (y,) = kept.gates
        g = jnp.where(y > 0, g, 0) if self.relu else g * (1 - y * y)
        return Back(g, g, None, ())


@dataclass(frozen=True)
class Lstm(Cell):
    """c' = f c + i g, h' = o tanh(c'); gates in the order i, f, g, o. Hochreiter & Schmidhuber, 1997."""

    gates = 4
    cells = 1

    def forward(self, x: Array, product: Array, before: State) -> tuple[Array, Kept]:
        i, f, g, o = jnp.split(x + product, 4, -1)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        c = f * before.cells[0] + i * g
        return o * jnp.tanh(c), Kept((i, f, g, o), (c,))

    def backward(self, kept: Kept, before: State, g: Array, g_cells: tuple[Array, ...]) -> Back:
        (i, f, new, o), (c,) = kept
        squashed = jnp.tanh(c)
        of_c = g_cells[0] + g * o * (1 - squashed * squashed)
        parts = (
            of_c * new * i * (1 - i),
            of_c * before.cells[0] * f * (1 - f),
            of_c * i * (1 - new * new),
            g * squashed * o * (1 - o),
        )
        both = jnp.concatenate(parts, -1)
        return Back(both, both, None, (of_c * f,))


@dataclass(frozen=True)
class Gru(Cell):
    """h' = (1 - z) n + z h, n = tanh(x_n + r (W_n h + b_n)); gates in the order r, z, n. Cho et al., 2014."""

    gates = 3
    bias_apart = True

    def forward(self, x: Array, product: Array, before: State) -> tuple[Array, Kept]:
        (xr, xz, xn), (pr, pz, pn) = jnp.split(x, 3, -1), jnp.split(product, 3, -1)
        r, z = jax.nn.sigmoid(xr + pr), jax.nn.sigmoid(xz + pz)
        n = jnp.tanh(xn + r * pn)
        return (1 - z) * n + z * before.h, Kept((r, z, n, pn), ())

    def backward(self, kept: Kept, before: State, g: Array, g_cells: tuple[Array, ...]) -> Back:
        r, z, n, pn = kept.gates
        of_n = g * (1 - z) * (1 - n * n)
        of_z = g * (before.h - n) * z * (1 - z)
        of_r = of_n * pn * r * (1 - r)
        inputs = jnp.concatenate([of_r, of_z, of_n], -1)
        return Back(inputs, jnp.concatenate([of_r, of_z, of_n * r], -1), g * z, ())


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def recurrence(cell: Cell, numerics: Numerics, reverse: bool, x: Array, weights: Weights) -> Array:
    """`[steps, batch, gates x hidden] -> [steps, batch, state]`; the state before the first step is 0.

    x: the products of the inputs, biases included. reverse: whether the last step is the first.
    """
    return _run(cell, numerics, reverse, x, weights, keep=False)[0]


class Saved(NamedTuple):
    """All steps. states: what came out. given: what the cells gave, where that is projected."""

    states: Array
    kept: Kept
    given: Array | None
    weights: Weights


def _run(
    cell: Cell, numerics: Numerics, reverse: bool, x: Array, weights: Weights, *, keep: bool
) -> tuple[Array, tuple[Kept, Array | None] | None]:
    kernel = _operand(weights.kernel, numerics)
    projection = None if weights.projection is None else _operand(weights.projection, numerics)

    def step(before: State, x: Array) -> tuple[State, Any]:
        product = _dot(_operand(before.h, numerics), kernel, 1, 0, numerics)
        given, kept = cell.forward(x, product if weights.bias is None else product + weights.bias, before)
        h = given if projection is None else _dot(_operand(given, numerics), projection, 1, 0, numerics)
        saved = (kept, None if projection is None else given) if keep else None
        return State(h, kept.cells), (h, saved)

    start = _start(cell, x.shape[1], x.shape[2] // cell.gates, len(weights.kernel))
    _, (states, saved) = lax.scan(step, start, x, reverse=reverse)
    return states, saved


def _start(cell: Cell, batch: int, hidden: int, state: int) -> State:
    """State and cells before the first step, or their gradients after the last."""
    return State(jnp.zeros((batch, state)), (jnp.zeros((batch, hidden)),) * cell.cells)


def _forward(cell: Cell, numerics: Numerics, reverse: bool, x: Array, weights: Weights) -> tuple[Array, Saved]:
    states, saved = _run(cell, numerics, reverse, x, weights, keep=True)
    assert saved is not None
    return states, Saved(states, *saved, weights)


def _backward(cell: Cell, numerics: Numerics, reverse: bool, saved: Saved, g: Array) -> tuple[Array, Weights]:
    weights = saved.weights
    before: State = jax.tree.map(partial(_shifted, reverse=reverse), State(saved.states, saved.kept.cells))
    kernel = _operand(weights.kernel, numerics)
    projection = None if weights.projection is None else _operand(weights.projection, numerics)

    def step(after: State, at: tuple[Array, Kept, State]) -> tuple[State, Any]:
        of_state = at[0] + after.h
        of_given = of_state
        if projection is not None:
            of_given = _dot(_operand(of_state, numerics), projection, 1, 1, numerics)
        back = cell.backward(at[1], at[2], of_given, after.cells)
        of_h = _dot(_operand(back.products, numerics), kernel, 1, 1, numerics)
        of_h = of_h if back.direct is None else of_h + back.direct
        products = None if back.products is back.inputs else back.products
        return State(of_h, back.cells), (back.inputs, products, None if projection is None else of_state)

    start = _start(cell, g.shape[1], saved.kept.gates[0].shape[2], g.shape[2])
    _, (inputs, products, of_states) = lax.scan(step, start, (g, saved.kept, before), reverse=not reverse)
    products = inputs if products is None else products
    found = Weights(
        kernel=_over_steps(before.h, products, numerics),
        bias=None if weights.bias is None else products.sum((0, 1)),
        projection=None if saved.given is None else _over_steps(saved.given, of_states, numerics),
    )
    return inputs, found


recurrence.defvjp(_forward, _backward)


def _shifted(steps: Array, *, reverse: bool) -> Array:
    """What each step was given: that of the step before it, and zeros for the first."""
    zeros = jnp.zeros_like(steps[:1])
    return jnp.concatenate([steps[1:], zeros] if reverse else [zeros, steps[:-1]])


def _over_steps(left: Array, right: Array, numerics: Numerics) -> Array:
    """`[steps, batch, a]`, `[steps, batch, b] -> [a, b]`: the gradient of weights as one product."""
    a, b = (_operand(each.reshape(-1, each.shape[-1]), numerics) for each in (left, right))
    # Row by row in memory: XLA:CPU takes 0.72 ms for the product of a transposed left side where this takes 0.45.
    turned = lax.optimization_barrier(a.T.reshape(-1)).reshape(a.shape[::-1])
    return _dot(turned, b, 1, 0, numerics)


def _operand(x: Array, numerics: Numerics) -> Array:
    """As a product takes it."""
    if numerics.precision == "float32":
        return x
    return as_bfloat16(x) if numerics.widened else x.astype(jnp.bfloat16)


def _dot(a: Array, b: Array, axis_a: int, axis_b: int, numerics: Numerics) -> Array:
    precision = numerics.exact if numerics.precision == "float32" else None
    dimensions = (((axis_a,), (axis_b,)), ((), ()))
    return lax.dot_general(a, b, dimensions, precision=precision, preferred_element_type=jnp.float32)
