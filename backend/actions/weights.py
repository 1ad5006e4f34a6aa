"""The weights of a run as a file for others: as it is kept, or converted while it is sent."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
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
REMEMBERED = 1000  # files, of which size and SHA-256 are known


@dataclass(frozen=True)
class Known:
    """A file that was read to its end. file: what it was made from."""

    file: Fingerprint
    sha256: str  # in hex
    size: int


@dataclass(frozen=True)
class Download:
    """An open weight file in a format. Whoever has it closes it."""

    run: RunRecord
    query: WeightsQuery
    file: BinaryIO
    known: Known

    @property
    def name(self) -> str:
        """What a client may call it."""
        layout = "" if self.query.layout == "flax" else f".{self.query.layout}"
        return f"{self.run.run_id}{layout}.{self.query.format}"

    def pieces(self, part: range) -> Iterator[bytes]:
        """A part of its bytes. The first piece takes as long as all before it, where it is converted."""
        if self.query.format == KEPT_FORMAT:
            return _read(self.file, part)
        return _within(_converted(self.run, self.query, self.file), part)

    def close(self) -> None:
        self.file.close()


class Weights:
    """Finds weight files, and verifies each before any of it is sent, as predictions do. Safe from any thread."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._reading = threading.Lock()  # one at a time: two requests for one file read it once
        self._known: OrderedDict[tuple[str, str, str], Known] = OrderedDict()

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

    def _open(self, run: RunRecord, query: WeightsQuery) -> Download:
        path = self._networks.checkpoints.weights(run.run_id)
        try:
            file = open(path, "rb", opener=no_link)  # noqa: SIM115  # open until it is sent
        except OSError as error:
            reason = f"the weight file {path.name} cannot be read: {error.strerror}"
            raise CheckpointError(f"{reason}; train again") from None
        try:
            with self._reading:
                known = self._look(run, query, file)
        except BaseException:
            file.close()
            raise
        return Download(run, query, file, known)

    def _look(self, run: RunRecord, query: WeightsQuery, file: BinaryIO) -> Known:
        """Size and SHA-256 of what is sent. A file that was touched since they were found is read again."""
        fingerprint = Fingerprint.by(os.fstat(file.fileno()))
        key = run.run_id, query.format, query.layout
        known = self._known.pop(key, None)
        if known is None or known.file != fingerprint:
            if query.format == KEPT_FORMAT:
                known = _read_through(_read(file, range(fingerprint.size)), fingerprint)
                if run.weights_sha256 not in (None, known.sha256):
                    raise damaged(self._networks.checkpoints.weights(run.run_id))
            else:
                self._look(run, KEPT, file)
                known = _read_through(_converted(run, query, file), fingerprint)
        self._known[key] = known
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return known


def _converted(run: RunRecord, query: WeightsQuery, file: BinaryIO) -> Iterator[bytes]:
    assert query.format != KEPT_FORMAT
    details = {
        "dataset": run.dataset,
        "classes": list(datasets.info(run.dataset).classes),
        "precision": run.precision or "float32",
    }
    architecture = parse_architecture(run.architecture)
    return converted(file, architecture, format=query.format, layout=query.layout, details=details)


def _read_through(pieces: Iterator[bytes], fingerprint: Fingerprint) -> Known:
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return Known(fingerprint, digest.hexdigest(), size)


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
