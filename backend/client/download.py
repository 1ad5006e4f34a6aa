"""Files from the server: kept beside their place until they are whole, verified, and resumed where they broke off."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import requests

from backend.client.errors import Faulty, Refused, Unavailable, Unreachable, Unusable
from backend.client.transport import Query, Transport, refused_connection

PIECE = 1 << 15  # what is lost where a connection breaks off
TRIES = 6  # in a row that bring nothing
LONGEST_PAUSE = 5.0
SHA = re.compile(r'(?:W/)?"?([0-9a-f]{64})')

Progress = Callable[[int, int], None]  # bytes that are here, bytes in all


@dataclass(frozen=True)
class Saved:
    """A file that is whole. `sha256`: of its bytes."""

    path: Path
    size: int
    sha256: str


@dataclass
class Download:
    """What `path` answers, as the file `to`. What came before a connection broke off is completed, by a later call too.

    Its name holds the SHA-256 of the whole, which is the answer's ETag. Raises Unusable, Unreachable, Faulty.
    """

    transport: Transport
    path: str
    to: Path
    query: Query = field(default_factory=dict)
    progress: Progress = lambda done, total: None

    def fetch(self) -> Saved:
        """The file, once all of it is here."""
        if self.to.is_dir():
            raise Unusable(f"{self.to} is a directory: name the file")
        try:
            return self._fetch()
        except OSError as reason:
            raise Unusable(f"{self.to}: {reason.strerror}") from None

    def _fetch(self) -> Saved:
        left = TRIES
        while True:
            before = self._begun()[1]
            try:
                return self._finish(*self._rest())
            except (Unreachable, Unavailable) as problem:
                left = TRIES if self._begun()[1] > before else left - 1
                if not left or (refused_connection(problem) and not self._begun()[1]):
                    raise
                time.sleep(min(0.2 * 2 ** (TRIES - left), LONGEST_PAUSE))

    def _begun(self) -> tuple[Path | None, int]:
        """What is here of it, and how many bytes that is."""
        found = [part for part in self.to.parent.glob(f".{self.to.name}.*.part") if SHA.fullmatch(part.name[-69:-5])]
        newest = max(found, key=lambda part: part.stat().st_mtime, default=None)
        return newest, newest.stat().st_size if newest else 0

    def _rest(self) -> tuple[Path, str]:
        """Fetches what is missing; the whole part, and its SHA-256 as the server has it."""
        part, have = self._begun()
        known = part.name[-69:-5] if part else ""
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": f'"{known}"'}
        try:
            response = self.transport.send("GET", self.path, query=self.query, headers=headers, stream=True)
        except Refused as refused:
            if refused.status == 416 and part:  # all of it had come
                return part, known
            raise
        with response:
            sha = SHA.match(response.headers.get("ETag", ""))
            goes_on = response.status_code == 206 and part is not None
            if part is not None and not goes_on:
                part.unlink()
            name = sha[1] if sha else "0" * 64
            here = part if goes_on and part else self.to.with_name(f".{self.to.name}.{name}.part")
            self._write(response, here, have if goes_on else 0)
        return here, name

    def _write(self, response: requests.Response, part: Path, have: int) -> None:
        total = have + int(response.headers.get("Content-Length", 0))
        with part.open("ab" if have else "wb") as file:
            try:
                for piece in response.iter_content(PIECE):
                    file.write(piece)
                    have += len(piece)
                    self.progress(have, max(total, have))
            except requests.RequestException as reason:
                raise self.transport.lost(reason) from reason
        if have < total:
            raise Unreachable(f"{self.transport.shown} sent {have} of {total} bytes")

    def _finish(self, part: Path, expected: str) -> Saved:
        with part.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if expected not in (sha256, "0" * 64):
            part.unlink()
            raise Faulty(f"what came has the SHA-256 {sha256}, and should have {expected}: try again")
        size = part.stat().st_size
        part.replace(self.to)
        return Saved(self.to, size, sha256)
