"""A kept weight file as a file for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from nets.architecture.architecture import Architecture
from nets.exchange.formats import FORMATS, Format
from nets.exchange.named import Layout, about, listed
from nets.exchange.stored import stored_variables


def converted(
    file: BinaryIO, architecture: Architecture, *, format: Format, layout: Layout, details: Mapping[str, Any]
) -> Iterator[bytes]:
    """The weights in an open file, in another format, piece by piece: less than 100 MB in memory, however large.

    details: what explains them besides. The SHA-256 of the file has been looked at. CheckpointError unless its arrays
    are those of `architecture`, at once.
    """
    variables = stored_variables(file, architecture)
    explained = {**about(architecture, variables, layout=layout), **details}
    return FORMATS[format](listed(architecture, variables, layout=layout), explained)
