"""Named arrays as files of other programs, made piece by piece: the same arrays give the same bytes, always."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal
from zipfile import ZipFile

import numpy as np

from nets.exchange.named import Named

Format = Literal["npz", "safetensors"]
PIECE = 1 << 18  # bytes, at most
ALIGNED = 8  # bytes: what the header of a safetensors file is filled up to
METADATA = "metadata"  # without a dot: no array of a network is called so


def as_safetensors(arrays: Iterable[Named], about: Mapping[str, Any]) -> Iterator[bytes]:
    """https://huggingface.co/docs/safetensors: its own library takes all arrays at once, and whole.

    about: becomes `__metadata__`, what is no text as JSON.
    """
    arrays, at = list(arrays), 0
    head: dict[str, Any] = {"__metadata__": {name: _text(value) for name, value in about.items()}}
    for each in arrays:
        end = at + 4 * int(np.prod(each.shape, dtype=np.int64))
        head[each.name] = {"dtype": "F32", "shape": list(each.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % ALIGNED)
    yield struct.pack("<Q", len(text)) + text
    for each in arrays:
        yield from _pieces(each)


def as_npz(arrays: Iterable[Named], about: Mapping[str, Any]) -> Iterator[bytes]:
    """As `numpy.savez` writes, which wants arrays whole. about: becomes the array `metadata`, one text of JSON."""
    written = _Written()
    with ZipFile(written, "w") as archive:  # type: ignore[call-overload]  # it asks for no more than `write`
        with archive.open(f"{METADATA}.npy", "w") as file:
            np.lib.format.write_array(file, np.array(_text(about)), version=(1, 0), allow_pickle=False)
        for each in arrays:
            with archive.open(f"{each.name}.npy", "w", force_zip64=True) as file:
                head = {"descr": "<f4", "fortran_order": False, "shape": each.shape}
                np.lib.format.write_array_header_1_0(file, head)
                for piece in _pieces(each):
                    file.write(piece)
                    yield from written.taken()
    yield from written.taken()


FORMATS: Mapping[Format, Callable[[Iterable[Named], Mapping[str, Any]], Iterator[bytes]]] = {
    "npz": as_npz,
    "safetensors": as_safetensors,
}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), allow_nan=False)


def _pieces(array: Named) -> Iterator[bytes]:
    """Its numbers, little endian."""
    for block in array.blocks():
        step = max(1, PIECE // max(1, block[0].nbytes))
        for first in range(0, len(block), step):
            content = np.ascontiguousarray(block[first : first + step], "<f4").reshape(-1).data.cast("B")
            yield from (bytes(content[at : at + PIECE]) for at in range(0, len(content), PIECE))


class _Written:
    """A file that can only be written to, whose content is taken away as it comes."""

    def __init__(self) -> None:
        self._content: list[bytes] = []

    def write(self, data: Any) -> int:
        self._content.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere."""

    def taken(self) -> Iterator[bytes]:
        content, self._content = b"".join(self._content), []
        if content:
            yield content
