"""Trees of arrays in the format of flax.serialization's msgpack, piece by piece: no array is copied on its way."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from flax import serialization

LARGE = 1 << 20  # bytes from which on an array is a piece of its own
# Flax cuts larger arrays, as a length of msgpack has 32 bits.
MOST = 1 << 30
ARRAY = 1  # flax's code for arrays among the types that msgpack leaves to whoever uses it


def packed(tree: Any) -> Iterator[bytes | memoryview]:
    """What `serialization.msgpack_serialize` makes of nested dictionaries of arrays, numbers, texts and lists."""
    if isinstance(tree, dict):
        yield struct.pack(">BI", 0xDF, len(tree)) if len(tree) > 0xFFFF else _short_map(len(tree))
        for name in sorted(tree):
            yield serialization.msgpack_serialize(name)
            yield from packed(tree[name])
    elif getattr(tree, "nbytes", 0) < LARGE:
        yield serialization.msgpack_serialize(tree)
    else:
        yield from _array(np.ascontiguousarray(tree))


def _short_map(length: int) -> bytes:
    return bytes([0x80 | length]) if length < 16 else struct.pack(">BH", 0xDE, length)


def _array(array: np.ndarray) -> Iterator[bytes | memoryview]:
    if array.nbytes > MOST:
        yield from packed(_cut(array))
        return
    shape, name = (serialization.msgpack_serialize(part) for part in (list(array.shape), array.dtype.name))
    head = b"\x93" + shape + name + struct.pack(">BI", 0xC6, array.nbytes)
    yield struct.pack(">BIB", 0xC9, len(head) + array.nbytes, ARRAY) + head
    yield array.data.cast("B")


def _cut(array: np.ndarray) -> dict[str, Any]:
    """An array as flax puts it together again."""
    flat, size = array.reshape(-1), MOST // array.itemsize
    chunks = [flat[at : at + size] for at in range(0, flat.size, size)]
    numbered = [{str(i): part for i, part in enumerate(parts)} for parts in (array.shape, chunks)]
    return {"__msgpack_chunked_array__": True, "shape": numbered[0], "chunks": numbered[1]}
