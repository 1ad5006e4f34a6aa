"""The weights of a run as a file for others: as it is kept, or converted while it is sent."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, get_args

from backend.actions.networks import Networks
from backend.errors import ApiError, BadQuery, not_found
from backend.inference.predictors import Fingerprint
from backend.parsing.queries import KEPT_FORMAT, WeightsFormat, WeightsQuery
from backend.state.errors import UnknownRecord
from backend.state.files import no_link
from backend.state.records import RunRecord
from nets import datasets
from nets.architecture.read import parse_architecture
from nets.checkpoint import damaged
from nets.errors import CheckpointError, Problem
from nets.exchange.convert import converted
from nets.spec.allowed import one_of

KEPT = WeightsQuery(format=KEPT_FORMAT, layout="flax")
PIECE = 256 << 10  # bytes in memory at once
SMALL = 4 << 20  # bytes up to which a file is converted while it is sent, which those wait for who send others
REMEMBERED = 1000  # files, of which size and SHA-256 are known

Key = tuple[str, str, str, Fingerprint]  # run, format, layout, and the kept file


@dataclass(frozen=True)
class Known:
    """A file that was read to its end."""

    key: Key
    sha256: str  # in hex
    size: int


@dataclass
class Made:
    """A file that was converted, without a name on the disk, and how many are being sent from it."""

    file: BinaryIO
    users: int


class Download:
    """The weights of a run in a format. file: the kept one, open. Whoever has it closes it."""

    def __init__(self, weights: Weights, run: RunRecord, query: WeightsQuery, file: BinaryIO, known: Known) -> None:
        self.run, self.known = run, known
        self._weights, self._query, self._file, self._lent = weights, query, file, False

    @property
    def name(self) -> str:
        """What a client may call it."""
        layout = "" if self._query.layout == "flax" else f".{self._query.layout}"
        return f"{self.run.run_id}{layout}.{self._query.format}"

    def pieces(self, part: range) -> Iterator[bytes]:
        """A part of its bytes, once. The first piece may take long: what is to be converted is, before it."""
        if self._query.format == KEPT_FORMAT:
            return _read(self._file, part)
        pieces = _converted(self.run, self._query, self._file)
        if self.known.size <= SMALL:
            return _within(pieces, part)
        made = self._weights.lend(self.known, pieces)
        self._lent = True
        return _read(made, part)

    def close(self) -> None:
        self._file.close()
        if self._lent:
            self._lent = False
            self._weights.take_back(self.known)


class Weights:
    """Finds weight files, and verifies each before any of it is sent, as predictions do. Safe from any thread."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._reading = threading.Lock()  # one at a time: two requests for one file read it once
        self._counting = threading.Lock()  # for no longer than that
        self._known: dict[Key, Known] = {}
        self._made: dict[Key, Made] = {}

    def find(self, run_id: str, query: WeightsQuery) -> Download:
        """The weights of a run. ApiError 400, 404 and 409, `UnknownRecord`, CheckpointError where they are damaged."""
        if query.format == KEPT_FORMAT and query.layout != "flax":
            others = [name for name in get_args(WeightsFormat) if name != KEPT_FORMAT]
            rule = f"{KEPT_FORMAT} is the file as it is kept, with layout=flax"
            detail = f"{rule}; with layout={query.layout} ask for {' or '.join(others)}"
            raise BadQuery([Problem(("format",), detail, "conflict", expected=one_of(others), got=query.format)])
        store = self._networks.store
        run = store.get_run(run_id, metrics=False)
        if run is None:
            raise not_found("run", run_id, listing="/api/runs")
        try:
            self._networks.require_weights(run)
            return self._open(run, query)
        except (ApiError, CheckpointError):
            if store.get_run(run_id, metrics=False) is None:
                raise UnknownRecord(run_id) from None
            self._networks.require_weights(run)
            raise

    def lend(self, known: Known, pieces: Iterator[bytes]) -> BinaryIO:
        """A converted file, made of `pieces` unless others are sent from it. OSError where the disk is full."""
        with self._reading:
            with self._counting:
                if (made := self._made.get(known.key)) is not None:
                    made.users += 1
                    return made.file
            made = Made(_without_name(self._networks.checkpoints.root, pieces), users=1)
            with self._counting:
                self._made[known.key] = made
            return made.file

    def take_back(self, known: Known) -> None:
        """One fewer is sent from a file that was lent; without any it is gone."""
        with self._counting:
            made = self._made[known.key]
            made.users -= 1
            if not made.users:
                del self._made[known.key]
                made.file.close()

    def _open(self, run: RunRecord, query: WeightsQuery) -> Download:
        path = self._networks.checkpoints.weights(run.run_id)
        try:
            file = open(path, "rb", opener=no_link)  # noqa: SIM115  # open until it is sent
        except OSError as error:
            reason = f"the weight file {path.name} cannot be read: {error.strerror}"
            raise CheckpointError(f"{reason}; train again") from None
        try:
            return Download(self, run, query, file, self._look(run, query, file))
        except BaseException:
            file.close()
            raise

    def _look(self, run: RunRecord, query: WeightsQuery, file: BinaryIO) -> Known:
        """Size and SHA-256 of what is sent. A file that was touched since they were found is read again."""
        key = run.run_id, query.format, query.layout, Fingerprint.by(os.fstat(file.fileno()))
        if (known := self._known.get(key)) is not None:
            return known
        if query.format != KEPT_FORMAT:
            self._look(run, KEPT, file)
        with self._reading:
            if (known := self._known.get(key)) is None:
                known = self._known[key] = self._read_through(run, query, file, key)
                if len(self._known) > REMEMBERED:
                    del self._known[next(iter(self._known))]
        return known

    def _read_through(self, run: RunRecord, query: WeightsQuery, file: BinaryIO, key: Key) -> Known:
        kept = query.format == KEPT_FORMAT
        pieces = _read(file, range(key[3].size)) if kept else _converted(run, query, file)
        digest, size = hashlib.sha256(), 0
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
        if kept and run.weights_sha256 not in (None, digest.hexdigest()):
            raise damaged(self._networks.checkpoints.weights(run.run_id))
        return Known(key, digest.hexdigest(), size)


def _converted(run: RunRecord, query: WeightsQuery, file: BinaryIO) -> Iterator[bytes]:
    assert query.format != KEPT_FORMAT
    details = {
        "dataset": run.dataset,
        "classes": list(datasets.info(run.dataset).classes),
        "precision": run.precision or "float32",
    }
    architecture = parse_architecture(run.architecture)
    return converted(file, architecture, format=query.format, layout=query.layout, details=details)


def _without_name(folder: Path, pieces: Iterator[bytes]) -> BinaryIO:
    """A file of some bytes that is gone from the disk when it is closed, or the server dies."""
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
    try:
        for piece in pieces:
            file.write(piece)
        file.flush()
    except BaseException:
        with suppress(OSError):  # it writes what it could not write before
            file.close()
        raise
    return file


def _read(file: BinaryIO, part: range) -> Iterator[bytes]:
    """Bytes of a file. By their place: two threads may read one file."""
    for at in range(part.start, part.stop, PIECE):
        wanted = min(PIECE, part.stop - at)
        piece = os.pread(file.fileno(), wanted, at)
        if len(piece) < wanted:
            raise CheckpointError("the weight file has been cut off while it was read")
        yield piece


def _within(pieces: Iterator[bytes], part: range) -> Iterator[bytes]:
    """Those bytes of all pieces that lie in a part."""
    at = 0
    for piece in pieces:
        found = piece[max(part.start - at, 0) : max(part.stop - at, 0)]
        at += len(piece)
        if found:
            yield found
        if at >= part.stop:
            return
