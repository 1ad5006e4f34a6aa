"""Cases, what goes into them, and recordings of what came out. Imports neither JAX nor PyTorch: both sides use it."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Json = dict[str, Any]
Arrays = dict[str, np.ndarray]
FAMILIES = Path(__file__).parent / "families"
TRACKED = "num_batches_tracked"  # PyTorch's count of batches, an integer
LEVELS = np.linspace(0, 1, 201)  # of the quantiles that are kept of initial weights
DRAWS = 10_000  # of initial weights


class Tokens(NamedTuple):
    """The shape of an input of tokens."""

    length: int
    vocabulary: int


@dataclass(frozen=True)
class Case:
    """A layer, and the module of PyTorch that is the same.

    layers: one layer as JSON, or several in a row, of which the first reads the inputs; PyTorch's names of the arrays of
    several begin with their numbers, as in `nn.Sequential`, or with the names that they have. takes: the shapes of the
    inputs without the batch: (features,), (length, features), (channels, height, width) or Tokens. torch: the module as
    an expression of `nn`, `F`, `torch`. random: whether training draws numbers, so that evaluation alone is compared.
    channels_first: whether PyTorch has sequences as (channels, length). spread: what inputs of deviation 1 are multiplied by. shift: what is
    added to them. names: our names of arrays (as `layout=torch` has them) by PyTorch's, where they differ. within:
    relative, of the largest number of an array.
    """

    layers: Json | list[Json]
    takes: tuple[tuple[int, ...] | Tokens, ...]
    torch: str
    random: bool = False
    channels_first: bool = False
    spread: float = 1.0
    shift: float = 0.0
    names: Mapping[str, str] = field(default_factory=dict)
    batch: int = 3
    within: float = 1e-5

    @property
    def modes(self) -> tuple[str, ...]:
        return ("eval",) if self.random else ("train", "eval")

    @property
    def digest(self) -> int:
        """Of all that decides what comes out."""
        return zlib.crc32(repr(self).encode())


def draws(case: str, what: str) -> np.random.RandomState:
    """Random numbers that no version of NumPy changes."""
    return np.random.RandomState(zlib.crc32(f"{case}/{what}".encode()))


def inputs_of(name: str, case: Case) -> list[np.ndarray]:
    """What goes in, in our order of axes: channels first for images, last for sequences."""
    return [_input(draws(name, f"input {place}"), case, shape) for place, shape in enumerate(case.takes)]


def _input(random: np.random.RandomState, case: Case, shape: tuple[int, ...] | Tokens) -> np.ndarray:
    if isinstance(shape, Tokens):
        return random.randint(0, shape.vocabulary, (case.batch, shape.length)).astype(np.int32)
    return (random.standard_normal((case.batch, *shape)) * case.spread + case.shift).astype(np.float32)


def cotangent_of(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient of a loss for what comes out."""
    return draws(name, "cotangent").standard_normal(shape).astype(np.float32)


def array_of(name: str, array: str, shape: tuple[int, ...]) -> np.ndarray:
    """A weight or a statistic by PyTorch's name, in PyTorch's shape."""
    if array.endswith(TRACKED):
        return np.full(shape, 3, np.float32)
    values = draws(name, array).standard_normal(shape) * 0.5
    if array.endswith("var"):
        values = np.abs(values) + 0.5
    return np.asarray(values, np.float32)


def families() -> list[str]:
    """The names of all families."""
    return sorted(
        path.stem for path in FAMILIES.glob("*.py") if path.stem != "__init__" and not path.stem.endswith("_modules")
    )


def cases_of(family: str, table: str = "CASES") -> dict[str, Case]:
    """The cases of a family; `INITIAL` are those of initial weights."""
    found: dict[str, Case] = getattr(import_module(f"tests.nets.parity.families.{family}"), table, {})
    return found


def every(table: str) -> Iterator[tuple[str, str, Case]]:
    """All cases with their families and names."""
    for family in families():
        for name, case in cases_of(family, table).items():
            yield family, name, case


def recorded(family: str) -> dict[str, Arrays]:
    """What PyTorch gave, by case. AssertionError where a case has been changed since."""
    with np.load(FAMILIES / f"{family}.npz") as file:
        index, numbers = json.loads(str(file["index"])), file["numbers"]
    cases, found, at = {}, {}, 0
    for table in ("CASES", "INITIAL"):
        cases |= {f"{table} {name}": case for name, case in cases_of(family, table).items()}
    for name, (digest, shapes) in index.items():
        case = cases.get(name)
        assert case is not None and case.digest == digest, f"record {family} again: {name} has changed"
        found[name] = {}
        for array, shape in shapes.items():
            size = int(np.prod(shape))
            found[name][array] = numbers[at : at + size].reshape(shape)
            at += size
    assert found.keys() == cases.keys(), f"record {family} again: {cases.keys() ^ found.keys()}"
    return found


def record(family: str, found: Mapping[str, tuple[Case, Arrays]]) -> int:
    """Write what PyTorch gave; how many bytes."""
    index = {
        name: (case.digest, {array: x.shape for array, x in arrays.items()}) for name, (case, arrays) in found.items()
    }
    numbers = [np.asarray(x, np.float32).reshape(-1) for _, arrays in found.values() for x in arrays.values()]
    content = io.BytesIO()
    np.savez_compressed(content, index=np.array(json.dumps(index)), numbers=np.concatenate(numbers))
    (FAMILIES / f"{family}.npz").write_bytes(content.getvalue())
    return len(content.getvalue())
