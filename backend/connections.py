"""gunicorn's threaded worker with patience for slow clients: only whole heads of requests get a thread."""

from __future__ import annotations

import errno
import resource
import selectors
import socket
import struct
import time
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn import http
from gunicorn.workers.gthread import ThreadWorker

HEAD_SECONDS = 10.0  # for the head of a request to arrive
LARGEST_HEAD = 128 << 10  # gunicorn's parser refuses far smaller ones, with a reason
PARTING_SECONDS = 2.0  # for a client to take the end of an answer and close its side
PARTING_BYTES = 32 << 20
SEND_SECONDS = 15  # without a byte taken by a client until its answer is given up
WAIT_SECONDS = 3.0  # for a place, in a burst of requests, until a request is refused
RESERVE = 16  # threads beyond the places: for what is always served, and for refusing the rest
ALWAYS_SERVED = frozenset({b"/api/health", b"/metrics"})  # they tell how busy the server is
SPARE_FILES = 256
END_OF_HEAD = b"\r\n\r\n"


def allow_open_files(wanted: int) -> None:
    """Raise this process's limit as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # some systems have a further limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def always_served(head: bytes) -> bool:
    """Whether a request gets a thread even where all places are taken."""
    words = head.partition(b"\r\n")[0].split(b" ")
    return len(words) > 1 and words[1].partition(b"?")[0] in ALWAYS_SERVED


class PatientWorker(ThreadWorker):
    """Heads arrive and connections end in the main loop, so that a slow client holds no thread and never the loop.

    A request with a whole head takes a place, of which there are as many as `--threads`, until its answer is sent.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heads: dict[Any, tuple[bytearray, float]] = {}  # connections whose next request is arriving, by age
        self.parting: dict[Any, tuple[int, float]] = {}  # connections that end: bytes dropped, and when it is over
        self.placed: set[Any] = set()  # connections whose request has a place
        self.waiting: dict[Any, float] = {}  # those whose request waits for one, and until when
        self.crowded: set[Any] = set()  # those whose request is to be refused

    @property
    def idle(self) -> int:
        """How many connections have no request that is served."""
        return len(self.keepalived_conns) + len(self.heads)

    def init_process(self) -> None:
        allow_open_files(self.worker_connections + SPARE_FILES)
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """A connection may have a request. Called in the main loop, as is all that follows."""
        # A thread that waits for room in a send wakes up with EAGAIN after this time.
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_SECONDS, 0))
        conn.sock.setblocking(False)
        if conn.parser is None:
            conn.parser = http.get_parser(self.cfg, conn.sock, conn.client)
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
            conn.parser.unreader.unread(bytes(buffered))
            self.admit(conn, bytes(buffered))

    def admit(self, conn: Any, head: bytes) -> None:
        """A thread for a request, or its turn to wait for a place."""
        if always_served(head):
            super().enqueue_req(conn)
        else:
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

    def drop(self, conn: Any) -> None:
        """Close a connection without waiting for anything."""
        self.heads.pop(conn, None)
        self.parting.pop(conn, None)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

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
            for conn in [*list(self.heads)[:1], *list(self.parting)[:1], *list(self.keepalived_conns)[:1]]:
                with suppress(ValueError):
                    self.keepalived_conns.remove(conn)
                return self.drop(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """The request of a connection is answered: its place is free."""
        self.crowded.discard(conn)
        if conn in self.placed:
            self.placed.remove(conn)
            self.fill_places()
        self.go_on(conn, fs)

    def go_on(self, conn: Any, fs: Any) -> None:
        """Wait for the next request, or end the connection."""
        if fs.cancelled() or fs.exception() or not fs.result():
            self.part(conn)
        else:
            super().finish_request(conn, fs)

    def part(self, conn: Any) -> None:
        """Close as RFC 9112 9.6 asks: a reset, which unread input would cause, could overtake the answer."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.swallow, conn))
        except (OSError, KeyError, ValueError):
            return self.drop(conn)
        self.parting[conn] = 0, time.monotonic() + PARTING_SECONDS

    def swallow(self, conn: Any, _: object = None) -> None:
        """Drop what still comes on a connection that ends."""
        dropped, until = self.parting[conn]
        try:
            data = conn.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.parting[conn] = dropped + len(data), until
        if not data or dropped > PARTING_BYTES:
            self.drop(conn)

    def murder_pending(self) -> None:
        """Called at least once a second: whose time is over."""
        super().murder_pending()
        self.refuse_late()
        now = time.monotonic()
        for waiting in (self.heads, self.parting):
            for conn, (_, until) in list(waiting.items()):
                if until > now:
                    break  # they are in the order of their times
                self.drop(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        try:
            return super().handle_request(req, conn)
        except BlockingIOError:  # SEND_SECONDS are over
            raise ConnectionResetError("the client does not take its answer") from None
