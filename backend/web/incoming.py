"""The body of a request as it arrives: whoever has the connection takes what is there, and no thread waits for more."""

from __future__ import annotations

import re
import select
import socket
import threading
import time
import zlib
from collections.abc import Collection
from dataclasses import dataclass, field

SMALL = 64 << 10  # bytes that any request may have; memory for more is taken from the room
PIECE = 256 << 10  # bytes read in one turn, so that others get theirs
MOMENT, PAUSE = 0.1, 0.01  # seconds that a thread takes in all, and of silence, for a body that comes at once
GRACE_SECONDS = 10.0  # for a body to begin to arrive ...
LEAST_PACE = 64 << 10  # ... and bytes per second from then on,
HURRIED_PACE = 1 << 20  # or so many while others wait for its memory
LONGEST_LINE = 1024  # bytes between two chunks
MOST_TRAILERS = 8192  # bytes behind the last one

GZIP_STREAM = 16 + zlib.MAX_WBITS
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,12})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
TRAILER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n")


class Room:
    """Memory for large bodies, taken for a whole one before it is read. Safe from any thread."""

    def __init__(self, most: float, queue: Collection[object] = ()) -> None:
        """`queue`: those who wait for it, whom nobody overtakes."""
        self._free, self.queue = most, queue
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Whether there was so much."""
        with self._lock:
            if size > self._free:
                return False
            self._free -= size
            return True

    def give_back(self, size: int) -> None:
        with self._lock:
            self._free += size


class BadChunks(ValueError):
    """What came is not a body in chunks."""


class Chunks:
    """Bodies of unknown length (RFC 9112 7.1), decoded as they arrive."""

    def __init__(self) -> None:
        self._raw = b""  # a line that is not complete
        self._left = 0  # bytes of the chunk, and of the line end behind it, that are still to come
        self._trailers: int | None = None  # bytes of them, once the last chunk has come

    def decode(self, data: bytes, *, most: int) -> tuple[bytes, bytes | None]:
        """What of the body is in `data`, and what lies behind the body, once it is complete.

        Stops beyond `most` bytes. Raises BadChunks.
        """
        raw, at, body = self._raw + data, 0, bytearray()
        while len(body) <= most:
            if self._left > 2:
                piece = raw[at : at + self._left - 2]
                body += piece
                at += len(piece)
                self._left -= len(piece)
            end = raw.find(b"\n", at) + 1
            if self._left > 2 or not end:
                break
            if self._take_line(raw[at:end]):
                return bytes(body), raw[end:]
            at = end
        self._raw = raw[at:]
        if len(self._raw) > LONGEST_LINE and self._left <= 2 and len(body) <= most:
            raise BadChunks
        return bytes(body), None

    def _take_line(self, line: bytes) -> bool:
        """Whether it is the last one."""
        if self._left:
            if line != b"\r\n":
                raise BadChunks
            self._left = 0
        elif self._trailers is not None:
            self._trailers += len(line)
            if line != b"\r\n" and (self._trailers > MOST_TRAILERS or not TRAILER_LINE.fullmatch(line)):
                raise BadChunks
            return line == b"\r\n"
        else:
            size = SIZE_LINE.fullmatch(line)
            if size is None or len(line) > LONGEST_LINE:
                raise BadChunks
            self._left = int(size[1], 16) + 2
            if self._left == 2:
                self._left, self._trailers = 0, 0
        return False


@dataclass(frozen=True)
class Failure:
    """Why a body is not read to its end."""

    status: int
    sentence: str


BROKEN = Failure(400, "The body could not be read: its chunks are malformed")
ENDED = Failure(400, "The body could not be read: the connection ended before it was complete")
NO_GZIP = Failure(400, "The body is not one whole gzip stream, as its Content-Encoding says")
LATE = Failure(
    408, f"The body arrived too slowly: after {GRACE_SECONDS:.0f} s less than {LEAST_PACE >> 10} KB a second"
)
NO_ROOM = Failure(503, "The memory for large bodies is in use; try again in 1 s")


@dataclass(eq=False)
class Incoming:
    """One body. `length`: None when it comes in chunks. `expected`: the client waits until it is asked for it."""

    connection: socket.socket | None
    length: int | None
    limit: int
    room: Room
    expected: bool = False
    whole: bool = False
    failure: Failure | None = None
    rest: bytes = b""  # what came behind it
    pieces: list[bytes] = field(default_factory=list)  # one body that grows would leave holes in the heap
    newest: bytearray = field(default_factory=bytearray)  # less than a piece
    size: int = 0  # of them together
    since: float = field(default_factory=time.monotonic)
    held: int = 0  # of the room

    def __post_init__(self) -> None:
        self._chunks = Chunks() if self.length is None else None
        self.whole = self.length == 0

    @property
    def absent(self) -> bool:
        return self.whole and not self.size

    @property
    def settled(self) -> bool:
        return self.whole or self.failure is not None

    @property
    def wanted(self) -> int:
        """The room that it needs before more of it is read."""
        if self.held or self.settled:
            return 0
        size = self.size if self.length is None else self.length
        return 0 if size <= SMALL else self.limit if self.length is None else self.length

    def claim(self, size: int) -> bool:
        """Whether there is room for so much more. Given back by `release`, when the request is answered."""
        if not self.room.take(size):
            return False
        self.held += size
        return True

    def release(self) -> bytes:
        """Nobody needs it any longer. What came behind it, once."""
        self.room.give_back(self.held)
        rest, self.held, self.pieces, self.newest, self.rest = self.rest, 0, [], bytearray(), b""
        return rest

    def take(self) -> bytes:
        """What came, which is then no longer kept here."""
        whole, self.pieces, self.newest = b"".join([*self.pieces, self.newest]), [], bytearray()
        return whole

    def due(self, pace: int) -> float:
        """When it is late, if nothing more comes."""
        return self.since + GRACE_SECONDS + self.size / pace

    @property
    def piece(self) -> int:
        """Bytes to wait for and to read at one time: none of what lies behind the body, if that can be known."""
        return PIECE if self.length is None else min(PIECE, self.length - self.size)

    def feed(self, data: bytes) -> None:
        """Take what has been read, in order."""
        if self.settled:
            self.rest += data
        elif self._chunks is None:
            assert self.length is not None
            missing = self.length - self.size
            self._keep(data[:missing])
            self.rest = data[missing:]
            self.whole = self.size == self.length
        else:
            try:
                piece, rest = self._chunks.decode(data, most=self.limit - self.size)
            except BadChunks:
                self.failure = BROKEN
                return
            self._keep(piece)
            if self.size > self.limit:
                self.failure = too_large(self.limit)
            elif rest is not None:
                self.whole, self.rest = True, rest

    def _keep(self, piece: bytes) -> None:
        self.size += len(piece)
        self.newest += piece
        if len(self.newest) >= PIECE:
            self.pieces.append(bytes(self.newest))
            self.newest.clear()

    def gather(self) -> None:
        """Take what comes at once, on a thread, which a slow body does not get."""
        until = time.monotonic() + MOMENT
        while not self.settled:
            if self.wanted and (self.room.queue or not self.claim(self.wanted)):
                return
            if not self.receive() and (time.monotonic() > until or not self._comes()):
                return

    def _comes(self) -> bool:
        if self.connection is None:
            return False
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        return bool(poll.poll(1000 * PAUSE))

    def receive(self) -> bool:
        """Take a piece of what has arrived, without waiting. Whether there was any."""
        if self.settled or self.wanted or self.connection is None:
            return False
        try:
            if self.expected:
                self.expected = False
                self.connection.send(CONTINUE)
            data = self.connection.recv(self.piece, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self.feed(data)
        else:
            self.failure = ENDED
        return True


def too_large(limit: int) -> Failure:
    return Failure(413, f"The body is larger than the limit of {limit >> 20} MB (see --max-body-mb)")


def unzipped(incoming: Incoming) -> bytes | Failure:
    """What a body that was sent compressed holds, in the bounds of any other."""
    unread, text, most = incoming.take(), bytearray(), SMALL
    stream = zlib.decompressobj(GZIP_STREAM)
    while not stream.eof:
        try:
            text += stream.decompress(unread, most + 1 - len(text))
        except zlib.error:
            return NO_GZIP
        unread = stream.unconsumed_tail
        if len(text) > most:
            if most == incoming.limit:
                return too_large(incoming.limit)
            if not incoming.claim(incoming.limit):
                return NO_ROOM
            most = incoming.limit
        elif not stream.eof and not unread:  # cut off
            return NO_GZIP
    return NO_GZIP if stream.unused_data else bytes(text)
