"""gunicorn's threaded worker with patience for slow clients: only whole heads and whole bodies get a thread."""

from __future__ import annotations

import errno
import re
import resource
import selectors
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import ThreadWorker

from backend.web.environ import Parked
from backend.web.incoming import GRACE_SECONDS, HURRIED_PACE, LATE, LEAST_PACE, NO_ROOM, PIECE, Failure, Incoming, Room

HEAD_SECONDS = 10.0  # for the head of a request to arrive
LARGEST_HEAD = 128 << 10  # gunicorn's parser refuses far smaller ones, with a reason
PARTING_SECONDS = 2.0  # of silence, for a client to take the end of an answer and close its side
LONGEST_PARTING = 15.0  # seconds, for one that is still sending a body that nobody reads
PARTING_BYTES = 512 << 20
SLICE = 64 << 10  # bytes of an answer that a client takes ...
SEND_SECONDS = 15  # ... in so long, until the answer is given up
WAIT_SECONDS = 3.0  # for a place, in a burst of requests, until a request is refused
ROOM_SECONDS = 10.0  # for the memory of a large body, which others have to send first
ROOM = 2  # times the largest body: the memory for all large ones that are being sent, read and answered
SWEEP_SECONDS = 0.25  # between two looks for those whose time is over
RESERVE = 16  # threads beyond the places: for what is always served, and for refusing the rest
ALWAYS_SERVED = frozenset({b"/api/health", b"/metrics"})  # they tell how busy the server is
SPARE_FILES = 256
END_OF_HEAD = b"\r\n\r\n"
BODY_FOLLOWS = re.compile(rb"\r\n(?:transfer-encoding[ \t]*:|content-length[ \t]*:(?![ \t]*0+[ \t]*\r))", re.IGNORECASE)
PARKED = object()  # the outcome of a request whose body is still to come


def allow_open_files(wanted: int) -> None:
    """Raise this process's limit as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # some systems have a further limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def wake_after(connection: socket.socket, size: int) -> None:
    """Let the main loop sleep until so many bytes have come: it costs more than they do."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


def always_served(head: bytes) -> bool:
    """Whether a request gets a thread even where all places are taken."""
    method, _, line = head.partition(b"\r\n")[0].partition(b" ")
    path = line.partition(b" ")[0].partition(b"?")[0].rstrip(b"/")
    return method in (b"GET", b"HEAD") and path in ALWAYS_SERVED and not BODY_FOLLOWS.search(head)


class Requests(RequestParser):
    """The requests of a connection. Their bodies are not gunicorn's, whose readers wait for them, but `incoming`."""

    def __init__(self, cfg: Any, connection: socket.socket, client: Any, *, limit: int, room: Room) -> None:
        super().__init__(cfg, connection, client)
        self.connection, self.limit, self.room = connection, limit, room
        self.empty = Body(LengthReader(self.unreader, 0))
        self.parked: Any = None  # a request that was read before, and whose body has come

    def __next__(self) -> Any:
        if self.parked is not None:
            request, self.parked = self.parked, None
            return request
        request = super().__next__()
        reader, request.body = request.body.reader, self.empty
        length = None if isinstance(reader, ChunkedReader) else reader.length
        expected, request._expected_100_continue = request._expected_100_continue, False
        request.incoming = Incoming(self.connection, length, self.limit, self.room, expected)
        if buffered := self.unreader.take_buffered():
            request.incoming.feed(buffered)
        return request

    @property
    def incoming(self) -> Incoming | None:
        """The body of the newest request."""
        return getattr(self.mesg, "incoming", None)

    def release(self) -> None:
        """That request is answered. What lies behind its body is the next one."""
        if self.incoming and (rest := self.incoming.release()):
            self.unreader.unread(rest)

    def finish_body(self, deadline: Any = None, max_bytes: Any = None) -> bool:
        """Nothing of a body is left to gunicorn, which would wait for it."""
        return True


class Slices:
    """The body of an answer that a thread sends, in slices that each have `SEND_SECONDS`: it is not held for ever."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for part in self._body:
            if len(part) <= SLICE:
                yield part
            else:
                yield from (part[at : at + SLICE] for at in range(0, len(part), SLICE))

    def close(self) -> None:
        """WSGI's."""
        if close := getattr(self._body, "close", None):
            close()


class PatientWorker(ThreadWorker):
    """Heads and bodies arrive and connections end in the main loop: a slow client holds no thread and never the loop.

    A request with a whole head takes a place, of which there are as many as `--threads`, until its answer is sent. What
    its head says may be refused at once. If its body is not there yet, it gives up the place and takes one again later.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limit = self.app.settings.max_body_mb << 20
        self.heads: dict[Any, tuple[bytearray, float]] = {}  # connections whose next request is arriving, by age
        self.bodies: dict[Any, Incoming] = {}  # those whose body is arriving
        self.cramped: dict[Any, float] = {}  # those of them whose body waits for room, and until when
        self.room = Room(ROOM * self.limit, self.cramped)
        self.parting: dict[Any, tuple[int, float, float]] = {}  # those that end: bytes dropped, since when, last heard
        self.dropped = bytearray(PIECE)  # where those bytes go
        self.sweep_at = 0.0
        self.placed: set[Any] = set()  # connections whose request has a place
        self.waiting: dict[Any, float] = {}  # those whose request waits for one, and until when
        self.crowded: set[Any] = set()  # those whose request is to be refused

    @property
    def idle(self) -> int:
        """How many connections have no request that is served."""
        return len(self.keepalived_conns) + len(self.heads) + len(self.bodies)

    def init_process(self) -> None:
        allow_open_files(self.worker_connections + SPARE_FILES)
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """A connection may have a request. Called in the main loop, as is all that follows."""
        # A thread that waits for room in a send wakes up with EAGAIN after this time.
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_SECONDS, 0))
        conn.sock.setblocking(False)
        if conn.parser is None:
            conn.parser = Requests(self.cfg, conn.sock, conn.client, limit=self.limit, room=self.room)
            conn.initialized = True
        buffered = bytearray(conn.parser.unreader.take_buffered())
        self.heads[conn] = buffered, time.monotonic() + HEAD_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.receive, conn))
        self.receive(conn)

    def receive(self, conn: Any, _: object = None) -> None:
        """Take what has arrived of a head; a thread gets it once it is whole, or too long for the parser's taste."""
        buffered, _until = self.heads[conn]
        data: bytes | None = None
        if END_OF_HEAD not in buffered:
            try:
                data = conn.sock.recv(LARGEST_HEAD)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            buffered += data
        if data == b"" and not buffered:
            self.drop(conn)
        elif data == b"" or END_OF_HEAD in buffered or len(buffered) >= LARGEST_HEAD:
            del self.heads[conn]
            self.poller.unregister(conn.sock)
            conn.parser.unreader.unread(head := bytes(buffered))
            if always_served(head):
                super().enqueue_req(conn)
            else:
                self.admit(conn)

    def admit(self, conn: Any) -> None:
        """A thread for a request, or its turn to wait for a place."""
        self.waiting[conn] = time.monotonic() + WAIT_SECONDS
        self.fill_places()

    def fill_places(self) -> None:
        while self.waiting and len(self.placed) < self.cfg.threads - RESERVE:
            conn = next(iter(self.waiting))
            del self.waiting[conn]
            self.placed.add(conn)
            super().enqueue_req(conn)

    def refuse_late(self) -> None:
        """Threads for those who have waited for too long: the application refuses them."""
        now = time.monotonic()
        for conn, until in list(self.waiting.items()):
            if until <= now:
                del self.waiting[conn]
                self.crowded.add(conn)
                super().enqueue_req(conn)

    def await_body(self, conn: Any) -> None:
        """A request may be answered once its body is there."""
        conn.sock.setblocking(False)
        incoming = self.bodies[conn] = conn.parser.incoming
        if incoming.wanted:
            self.cramped[conn] = time.monotonic() + ROOM_SECONDS
            self.make_room()
        else:
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.receive_body, conn))
            self.receive_body(conn)

    def make_room(self) -> None:
        """Memory for those who wait for it, in turn."""
        while self.cramped:
            conn = next(iter(self.cramped))
            incoming = self.bodies[conn]
            if not incoming.claim(incoming.wanted):
                return
            del self.cramped[conn]
            incoming.since = time.monotonic()
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.receive_body, conn))
            self.receive_body(conn)

    def receive_body(self, conn: Any, _: object = None) -> None:
        """Take what has arrived of a body; a thread gets its request once it is whole, or cannot be."""
        incoming = self.bodies[conn]
        incoming.receive()
        if incoming.settled:
            self.resume(conn)
        elif incoming.wanted:  # its chunks have become many
            self.poller.unregister(conn.sock)
            self.cramped[conn] = time.monotonic() + ROOM_SECONDS
            self.make_room()
        elif incoming.held and incoming.length is not None:
            wake_after(conn.sock, incoming.piece)

    def resume(self, conn: Any, failure: Failure | None = None) -> None:
        """Go on with a request that was parked, as its body is there or will not be."""
        incoming = self.bodies.pop(conn)
        incoming.failure = incoming.failure or failure
        if self.cramped.pop(conn, None) is None:
            self.poller.unregister(conn.sock)
        wake_after(conn.sock, 1)
        conn.parser.parked = conn.parser.mesg
        self.admit(conn)

    def refuse_slow(self) -> None:
        """Bodies that are late, and those for which there is no room."""
        now, pace = time.monotonic(), HURRIED_PACE if self.cramped else LEAST_PACE
        for conn, incoming in list(self.bodies.items()):
            if conn in self.cramped:
                if self.cramped[conn] <= now:
                    self.resume(conn, NO_ROOM)
            elif incoming.due(pace if incoming.held else LEAST_PACE) <= now:
                came = incoming.size
                self.receive_body(conn)  # there may be some that was not worth waking up for
                if conn in self.bodies and incoming.size == came:
                    self.resume(conn, LATE)

    def release(self, conn: Any) -> None:
        """The body of a request is no longer needed."""
        if conn.parser is not None:
            conn.parser.release()
            self.make_room()

    def drop(self, conn: Any) -> None:
        """Close a connection without waiting for anything."""
        self.heads.pop(conn, None)
        self.bodies.pop(conn, None)
        self.parting.pop(conn, None)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()
        self.cramped.pop(conn, None)
        self.release(conn)

    def accept(self, listener: Any) -> None:
        """Where connections or files run out, the one that has been incomplete or idle for longest makes room."""
        full = False
        try:
            super().accept(listener)
        except OSError as reason:
            if reason.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            full = True
        if full or self.nr_conns >= self.worker_connections:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        """Of bodies, each counts as old as one that came at the least pace and is as far behind."""
        idle = {conn: since for conn, (_, since, _) in self.parting.items()}
        idle |= {conn: until - HEAD_SECONDS for conn, (_, until) in self.heads.items()}
        idle |= {conn: incoming.due(LEAST_PACE) - GRACE_SECONDS for conn, incoming in self.bodies.items()}
        idle |= {conn: conn.timeout - self.cfg.keepalive for conn in self.keepalived_conns}
        if idle:
            conn = min(idle, key=lambda conn: idle[conn])
            with suppress(ValueError):
                self.keepalived_conns.remove(conn)
            self.drop(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """The request of a connection is answered, or waits for its body: its place is free."""
        self.crowded.discard(conn)
        if conn in self.placed:
            self.placed.remove(conn)
            self.fill_places()
        self.go_on(conn, fs)

    def go_on(self, conn: Any, fs: Any) -> None:
        """Wait for the body, or the next request, or end the connection."""
        result = None if fs.cancelled() or fs.exception() else fs.result()
        if result is PARKED:
            return self.await_body(conn)
        self.release(conn)
        if result:
            super().finish_request(conn, fs)
        else:
            self.part(conn)

    def part(self, conn: Any) -> None:
        """Close as RFC 9112 9.6 asks: a reset, which unread input would cause, could overtake the answer."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.swallow, conn))
        except (OSError, KeyError, ValueError):
            return self.drop(conn)
        self.parting[conn] = 0, (now := time.monotonic()), now

    def swallow(self, conn: Any, _: object = None) -> None:
        """Drop what still comes on a connection that ends."""
        dropped, since, _heard = self.parting[conn]
        try:
            size = conn.sock.recv_into(self.dropped)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        self.parting[conn] = dropped + size, since, time.monotonic()
        if not size or dropped > PARTING_BYTES:
            self.drop(conn)

    def murder_pending(self) -> None:
        """Called at least once a second: whose time is over."""
        super().murder_pending()
        self.refuse_late()
        now = time.monotonic()
        if now < self.sweep_at:
            return
        self.sweep_at = now + SWEEP_SECONDS
        self.refuse_slow()
        for conn, (_, until) in list(self.heads.items()):
            if until <= now:
                self.drop(conn)
        for conn, (_, since, heard) in list(self.parting.items()):
            if now > min(heard + PARTING_SECONDS, since + LONGEST_PARTING):
                self.drop(conn)

    def handle(self, conn: Any) -> Any:
        """Serve a request, on a thread."""
        try:
            return super().handle(conn)
        except Parked:
            return PARKED

    def handle_request(self, req: Any, conn: Any) -> Any:
        before = conn.sock.gettimeout()
        try:
            return super().handle_request(req, conn)
        except (BlockingIOError, TimeoutError):
            raise ConnectionResetError("the client does not take its answer") from None
        finally:  # that of the answer is over: with one, a look for what a client has sent would wait for it
            with suppress(OSError):
                conn.sock.settimeout(before)
