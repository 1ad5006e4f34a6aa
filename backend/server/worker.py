"""The one process that imports JAX: gunicorn's threaded worker, with an orderly end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from types import FrameType
from typing import Any

from backend.events.source import Source
from backend.server.connections import SEND_SECONDS, PatientWorker, Slices
from backend.server.refusals import refuse
from backend.web.environ import CROWDED, HANDED_OVER, INCOMING

log = logging.getLogger("lamina.server")

# Between threads that run Python: with 16 at work, the slowest answers come a fifth sooner than with Python's 5 ms.
SWITCH_SECONDS = 0.0005

# How long requests in flight may take once runs and event streams have ended.
LAST_REQUESTS_SECONDS = 2.0

GIVEN_AWAY = object()  # a connection that is the delivery's now


class Stream(Exception):
    """An event stream or a download leaves gunicorn, which would keep a thread for it, before any of it is sent."""

    def __init__(self, source: Source, response: Any, close: Callable[[], None]) -> None:
        """`response`: gunicorn's, with status and headers. `close`: the application's, to be called at the end."""
        super().__init__(source.subject)
        self.source, self.close = source, close
        self.chunked, self.must_close = bool(response.chunked), bool(response.should_close())
        lines = [*response.default_headers(), *(f"{name}: {value}\r\n" for name, value in response.headers), "\r\n"]
        self.head = "".join(lines).encode("latin-1")


class Worker(PatientWorker):
    """Ends event streams and runs first: a stream would hold its thread, and so the process, until it is killed."""

    alive: bool
    wsgi: Any
    stopper: threading.Thread | None = None

    def load_wsgi(self) -> None:
        super().load_wsgi()
        sys.setswitchinterval(SWITCH_SECONDS)
        self.application, self.wsgi = self.wsgi, self.answer
        self.streams: dict[Any, Stream] = {}  # by connection, until its thread gives them away
        self.here = threading.local()

    def answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        """The application's answer; a stream leaves gunicorn, which has one thread for each, by an exception."""
        response = start_response.__self__
        incoming = response.req.incoming

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if not incoming.whole:  # what is left of it cannot be told from a next request
                response.force_close()
            return start_response(status, headers, exc_info)

        environ[HANDED_OVER] = []
        environ[CROWDED] = self.here.crowded
        environ[INCOMING] = incoming
        body = self.application(environ, start)
        if environ[HANDED_OVER]:
            (source,) = environ[HANDED_OVER]
            raise Stream(source, response, body.close)
        response.sock.settimeout(SEND_SECONDS)  # of every call that sends, for all of its bytes together
        return Slices(body)

    def handle_request(self, req: Any, conn: Any) -> Any:
        try:
            return super().handle_request(req, conn)
        except Stream as stream:
            self.streams[conn] = stream
            return False

    def handle(self, conn: Any) -> Any:
        """Serve a request, on a thread. What it returns is what `finish_request` gets."""
        self.here.crowded = conn in self.crowded
        result = super().handle(conn)
        stream = self.streams.pop(conn, None)
        if stream is None:
            return result
        delivery = self.application.extensions["lamina"].delivery
        delivery.adopt(
            conn.sock,
            stream.source,
            head=stream.head,
            chunked=stream.chunked,
            ended=partial(self.end_stream, conn, stream),
        )
        return GIVEN_AWAY

    def go_on(self, conn: Any, fs: Any) -> None:
        if fs.cancelled() or fs.exception() or fs.result() is not GIVEN_AWAY:
            super().go_on(conn, fs)

    def end_stream(self, conn: Any, stream: Stream, reusable: bool) -> None:
        """Called by the delivery."""
        stream.close()
        over: Future[bool] = Future()
        over.set_result(reusable and not stream.must_close)
        self.method_queue.defer(self.finish_request, conn, over)

    def init_signals(self) -> None:
        super().init_signals()
        # A closing terminal signals the whole process group: the master decides what becomes of it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM, SIGINT and SIGQUIT alike. Only queues: a signal handler must not take locks."""
        if self.alive:
            self.alive = False
            self.method_queue.defer(self.begin_stop)

    handle_quit = handle_exit

    def is_parent_alive(self) -> bool:
        alive = bool(super().is_parent_alive())
        if not alive:
            self.begin_stop()
        return alive

    def begin_stop(self) -> None:
        """Closes the services beside the main loop, which goes on serving the last requests."""
        if self.stopper is None:
            self.stopper = threading.Thread(target=self._stop, name="lamina-stop")
            self.stopper.start()

    def run(self) -> None:
        super().run()
        self.begin_stop()
        assert self.stopper is not None
        self.stopper.join()  # it ends the process

    def _stop(self) -> None:
        try:
            self.application.extensions["lamina"].close()
            deadline = time.monotonic() + LAST_REQUESTS_SECONDS
            while self.nr_conns > self.idle and time.monotonic() < deadline:
                time.sleep(0.01)
        except Exception:
            log.exception("the services did not close cleanly")
        logging.shutdown()
        # Not sys.exit: it would wait for threads that are stuck in a send to a client that no longer reads, or in the
        # compiler. Everything that must last is on disk by now.
        os._exit(0)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """What gunicorn refuses before the application sees it."""
        refuse(client, addr, exc)
