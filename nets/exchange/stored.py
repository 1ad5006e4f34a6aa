"""Arrays in a file of flax.serialization's msgpack, found without being read: a file may be larger than the memory."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nets.architecture.architecture import Architecture
from nets.checkpoint import fitted
from nets.errors import CheckpointError
from nets.network import Variables
from nets.packed import ARRAY
from nets.spec.values import Shape

LONGEST_TEXT = 1 << 16  # bytes: names of layers and arrays are far shorter
CUT = "__msgpack_chunked_array__"  # flax's mark of an array that it has cut into parts


@dataclass(frozen=True)
class Stored:
    """One array in a file. parts: where its numbers lie, each the bytes from a place on and how many numbers."""

    file: BinaryIO
    shape: Shape
    dtype: np.dtype[Any]
    parts: tuple[tuple[int, int], ...]

    def numbers(self, first: int, end: int) -> np.ndarray:
        """Its numbers in C order from `first` to before `end`, read now; CheckpointError where the file was cut off."""
        found, begins = [], 0
        for at, count in self.parts:
            low, high = max(first - begins, 0), min(end - begins, count)
            if low < high:
                found.append(self._read(at + low * self.dtype.itemsize, high - low))
            begins += count
        return found[0] if len(found) == 1 else np.concatenate([np.empty(0, self.dtype), *found])

    def _read(self, at: int, count: int) -> np.ndarray:
        wanted = count * self.dtype.itemsize
        content = bytearray()
        while len(content) < wanted:
            piece = os.pread(self.file.fileno(), wanted - len(content), at + len(content))
            if not piece:
                raise CheckpointError("the weight file has been cut off while it was read")
            content += piece
        return np.frombuffer(content, self.dtype)


def stored_variables(file: BinaryIO, architecture: Architecture) -> Variables:
    """The arrays of `architecture` in an open weight file, each a `Stored`; CheckpointError unless they are all there.

    The file is one whose SHA-256 has been looked at: nothing else is taken care of.
    """
    path = Path(str(file.name))
    try:
        file.seek(0)
        found = joined(Reader(file).value())
    except (ValueError, EOFError, RecursionError, struct.error) as error:
        reason = type(error).__name__
        raise CheckpointError(f"the weight file {path.name} is not readable as msgpack ({reason})") from None
    return fitted(path, found, architecture)


class Reader:
    """What flax writes of msgpack: maps, texts, numbers, flags, and arrays, whose numbers are passed over."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def value(self) -> Any:
        """The next value."""
        (code,) = self.exactly(1)
        if code < 0x80:
            return code
        if code < 0x90:
            return self.map(code & 0x0F)
        if code < 0xA0:
            return [self.value() for _ in range(code & 0x0F)]
        if code < 0xC0:
            return self.text(code & 0x1F)
        if code in FIXED:
            return self.extension(FIXED[code])
        if code not in KINDS:
            raise ValueError(f"code {code:#x}")
        format, make = KINDS[code]
        return make(self, *struct.unpack(format, self.exactly(struct.calcsize(format))))

    def map(self, length: int) -> dict[str, Any]:
        return {str(self.value()): self.value() for _ in range(length)}

    def text(self, length: int) -> str:
        if length > LONGEST_TEXT:
            raise ValueError(f"a text of {length} bytes")
        return self.exactly(length).decode()

    def extension(self, size: int) -> Any:
        """An array; None for what else Flax may have put there, which no weight file has."""
        (kind,) = self.exactly(1)
        end = self.file.tell() + size
        found = self.array() if kind == ARRAY else None
        self.file.seek(end)
        return found

    def array(self) -> Stored:
        """Shape, type, and a run of bytes."""
        if self.exactly(1) != b"\x93":
            raise ValueError("an array of other than three parts")
        shape, name, place = tuple(self.value()), self.value(), self.value()
        dtype = np.dtype(name)
        if not isinstance(place, Run) or place.size != math.prod(shape) * dtype.itemsize:
            raise ValueError("an array of another size")
        return Stored(self.file, shape, dtype, ((place.at, math.prod(shape)),))

    def run(self, size: int) -> Run:
        at = self.file.tell()
        self.file.seek(size, os.SEEK_CUR)
        return Run(at, size)

    def exactly(self, size: int) -> bytes:
        found = self.file.read(size)
        if len(found) < size:
            raise EOFError
        return found


@dataclass(frozen=True)
class Run:
    """Bytes in a file that were passed over."""

    at: int
    size: int


FIXED = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}  # extensions by code: their sizes
# By code: how the number behind it is written, and what that number says.
KINDS: Mapping[int, tuple[str, Callable[..., Any]]] = {
    0xC2: ("", lambda reader: False),
    0xC3: ("", lambda reader: True),
    0xC4: (">B", Reader.run),
    0xC5: (">H", Reader.run),
    0xC6: (">I", Reader.run),
    0xC7: (">B", Reader.extension),
    0xC8: (">H", Reader.extension),
    0xC9: (">I", Reader.extension),
    0xCC: (">B", lambda reader, number: number),
    0xCD: (">H", lambda reader, number: number),
    0xCE: (">I", lambda reader, number: number),
    0xCF: (">Q", lambda reader, number: number),
    0xD9: (">B", Reader.text),
    0xDA: (">H", Reader.text),
    0xDB: (">I", Reader.text),
    0xDE: (">H", Reader.map),
    0xDF: (">I", Reader.map),
}


def joined(tree: Any) -> Any:
    """A tree in which the arrays that flax has cut are whole again: their parts still lie where they are."""
    if not isinstance(tree, dict):
        return tree
    if CUT not in tree:
        return {name: joined(value) for name, value in tree.items()}
    shape, chunks = ([part[str(i)] for i in range(len(part))] for part in (tree["shape"], tree["chunks"]))
    return Stored(chunks[0].file, tuple(shape), chunks[0].dtype, tuple(part for one in chunks for part in one.parts))
