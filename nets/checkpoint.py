"""Weight files: flax.serialization's msgpack, written atomically and checked before anything trusts them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from flax import serialization

from nets.architecture.architecture import Architecture
from nets.durable import sha256_of, write_durably
from nets.earlier_names import renamed
from nets.errors import CheckpointError
from nets.network import Variables
from nets.packed import packed

Place = tuple[str, ...]
CLASSES = "classes"  # the collection of what a network that ends in an embedding is read by


def save_weights(path: Path, variables: Variables) -> str:
    """Write `params` and `batch_stats` to `path` and return the file's SHA-256 in hex.

    The file is complete or not there: it is written under a temporary name, flushed to the disk, then renamed.
    """
    parts = list(packed(variables))
    write_durably(path, *parts)
    return sha256_of(parts)


def load_weights(path: Path, architecture: Architecture, *, sha256: str | None = None) -> Variables:
    """Read the weights of `architecture`; CheckpointError unless every array is there with its shape and type."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"the weight file {path.name} cannot be read: {error.strerror}; train again") from None
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise damaged(path)
    try:
        restored = serialization.msgpack_restore(content)
    except Exception as error:  # msgpack raises many kinds; none of them may pass for weights
        raise CheckpointError(
            f"the weight file {path.name} is not readable as msgpack ({type(error).__name__})"
        ) from None
    return fitted(path, restored, architecture)


def damaged(path: Path) -> CheckpointError:
    """The refusal of a file that is not what was written."""
    return CheckpointError(
        f"the weight file {path.name} is damaged: its SHA-256 is not the one recorded when it was written; "
        "restore it from a copy or train again"
    )


def fitted(path: Path, restored: Any, architecture: Architecture) -> Variables:
    """The tree of a file under the names of today; CheckpointError unless it is that of `architecture`."""
    restored = renamed(restored, architecture.graph)
    classes = restored.pop(CLASSES, None) if isinstance(restored, dict) else None
    problems = chain(misfits(restored, architecture), () if classes is None else misplaced(classes, architecture))
    problem = next(problems, None)
    if problem is not None:
        raise CheckpointError(f"the weight file {path.name} does not fit the architecture: {problem}")
    found = {collection: restored[collection] for collection in ("params", "batch_stats")}
    return found if classes is None else {**found, CLASSES: classes}


def misplaced(classes: Any, architecture: Architecture) -> Iterator[str]:
    """Differences between what a network that ends in an embedding is read by, and what that has to be."""
    means: Any = classes.get("means") if isinstance(classes, dict) else None
    count = means.shape[0] if getattr(means, "shape", ()) else 0
    shapes = {"means": (count, architecture.graph.classes), "sharpness": (1,), "unit": (1,)}
    expected: dict[Place, tuple[tuple[int, ...], np.dtype[Any]]] = {
        (name,): (shape, np.dtype(np.float32)) for name, shape in shapes.items()
    }
    yield from (f"{CLASSES}/{problem}" for problem in differences(classes, expected))


def misfits(restored: Any, architecture: Architecture) -> Iterator[str]:
    """Differences between a restored tree and the arrays that `architecture` declares."""
    yield from differences(
        restored,
        {
            (collection, layer, name): (parameter.shape, np.dtype(np.float32))
            for collection, layers in architecture.graph.arrays().items()
            for layer, arrays in layers.items()
            for name, parameter in arrays.items()
        },
    )


def differences(restored: Any, expected: Mapping[Place, tuple[tuple[int, ...], np.dtype[Any]]]) -> Iterator[str]:
    """Where a restored tree has not exactly the `expected` arrays, each with its shape and type."""
    found = dict(leaves(restored))
    for place in sorted(expected.keys() - found.keys()):
        yield f"{'/'.join(place)} is missing"
    for place in sorted(found.keys() - expected.keys()):
        yield f"{'/'.join(place)} is unknown"
    for place in sorted(expected.keys() & found.keys()):
        array, (shape, dtype) = found[place], expected[place]
        is_array = hasattr(array, "shape") and not isinstance(array, np.generic)
        if not is_array or array.shape != shape or array.dtype != dtype:
            came = f"{array.dtype}{list(array.shape)}" if is_array else type(array).__name__
            yield f"{'/'.join(place)} must be {dtype}{list(shape)}, got {came}"


def leaves(tree: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every leaf of nested dictionaries with its path. An empty dictionary has none."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from leaves(value, (*path, str(name)))
    else:
        yield path, tree
