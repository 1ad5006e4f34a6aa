"""How a large window is taken apart. What pools give is tested in `tests/nets/kernels/test_pool.py`, under both plans."""

from __future__ import annotations

import jax.numpy as jnp

from nets.numerics.pooling import index_dtype, max_pool, pad_lowest, passes
from nets.numerics.windows import Geometry


def test_large_windows_go_over_columns_first() -> None:
    at = Geometry((2, 3), ((1, 0), (0, 1)))
    assert passes((3, 4), at) == (((1, 4), at.across), ((3, 1), at.down))
    assert passes((2, 2), at) == (((2, 2), at),) and passes((1, 5), at) == (((1, 5), at),)


def test_padding_is_never_the_largest() -> None:
    x = jnp.full((1, 2, 2, 1), -5.0)
    at = Geometry((1, 1), ((1, 1), (1, 1)))
    assert float(pad_lowest(x, at).min()) == -jnp.inf
    assert float(max_pool(x, (3, 3), at).max()) == -5


def test_places_in_a_window_take_one_byte_while_they_fit() -> None:
    assert index_dtype((11, 11)) == jnp.int8 and index_dtype((11, 12)) == jnp.int32
