"""Every open event stream, sent from one thread: a reader costs a socket and some bytes, and none waits for another."""

from __future__ import annotations

import fcntl
import logging
import selectors
import socket
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from backend.events.source import Source
from backend.events.wire import KEEP_ALIVE

logger = logging.getLogger("lamina.http")

STALLED = 20.0  # seconds without a byte acknowledged by a client's machine, until it counts as gone
REST = 49  # times the CPU time of a round: what comes meanwhile goes out together, for a fiftieth of a core
CATCH_UP_REST = 3  # the same for history, and only while a run trains: a quarter of a core
CATCH_UP_ROUND = 0.02  # seconds of CPU time, about: then news come first again
LONGEST_REST = 0.5  # seconds
TICK = 1.0  # seconds between two looks for silence and stalled clients
NOTHING = b"\0" * 4  # an int, for the kernel to fill in
FLUSH = 1.0  # seconds for the last events when the server stops


@dataclass(eq=False)
class Outlet:
    """One client's socket and what it is sent. `ended`: told once, whether the connection can be used again."""

    connection: socket.socket
    source: Source
    chunked: bool
    ended: Callable[[bool], None]
    pending: bytes = b""
    complete: bool = False  # `pending` is the end
    reusable: bool = True
    waits: bool = False  # for room in the kernel's buffer
    sent: int = 0  # bytes that the kernel took
    taken: int = 0  # of them, by the client's machine, when that was looked at
    spoke: float = field(default_factory=time.monotonic)  # when something was sent
    moved: float = field(default_factory=time.monotonic)  # when the client had taken all, or something more

    @property
    def behind(self) -> bool:
        """Whether there is more to send at once, and room for it."""
        return not self.waits and self.source.behind

    def pump(self, now: float) -> bool:
        """Send what there is and fits. False when the stream is over. OSError when the client is gone."""
        if not self.pending:
            self._fetch(now)
        if self.pending:
            with suppress(BlockingIOError):
                size = self.connection.send(self.pending)
                self.pending = self.pending[size:]
                self.sent += size
                self.spoke = now
            # With the last byte of a length that was told, nothing more is heard here: what follows is a request.
            self.complete = self.complete or (not self.chunked and self.source.done)
        return bool(self.pending) or not self.complete

    def _fetch(self, now: float) -> None:
        frames = self.source.news()
        if frames is None:
            self.complete = True
            self.pending = b"0\r\n\r\n" if self.chunked else b""
            return
        if not frames and now - self.spoke >= self.source.keep_alive:
            frames = [KEEP_ALIVE]
        told = b"".join(frames)
        self.pending = b"%X\r\n%b\r\n" % (len(told), told) if told and self.chunked else told

    def check(self, now: float) -> None:
        """OSError for a client that has taken nothing for too long, of what there is for it.

        What its machine has acknowledged decides: a slow reader leaves the kernel's buffer full for longer than that,
        and TCP_USER_TIMEOUT would end one whose window is smaller than what the kernel would send at once.
        """
        held = unacknowledged(self.connection)
        taken = self.sent - held
        if taken > self.taken or not (held or self.pending):
            self.moved = now
        self.taken = taken
        if now - self.moved > STALLED:
            raise TimeoutError("it does not read")

    def listen(self) -> None:
        """Take what the client says, which is nothing while it listens. OSError when it is gone.

        One that only closes its sending half counts as gone, too: most have left, and their places are wanted.
        """
        with suppress(BlockingIOError):
            if not self.connection.recv(4096):
                raise ConnectionResetError
            self.reusable = False


def unacknowledged(connection: socket.socket) -> int:
    """Bytes that the kernel holds for the other side; 0 where it does not say."""
    try:
        return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, NOTHING), sys.byteorder)
    except OSError:
        return 0


class Delivery:
    """The thread that sends."""

    def __init__(self) -> None:
        self._training: Callable[[], bool] = lambda: False
        self._selector = selectors.DefaultSelector()
        self._bell, self._rope = socket.socketpair()
        for end in (self._bell, self._rope):
            end.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._outlets: set[Outlet] = set()
        self._behind: dict[Outlet, None] = {}  # those with more to send at once, and room for it, in turn
        self._timed: set[Outlet] = set()  # those that have something new at times of their own
        self._newcomers: deque[Outlet] = deque()
        self._rung = threading.Event()
        self._until: float | None = None  # when it stops at the latest
        self._thread = threading.Thread(target=self._work, name="delivery", daemon=True)

    def start(self, *, training: Callable[[], bool] = lambda: False) -> None:
        """`training`: whether a run trains, for which history waits."""
        self._training = training
        self._thread.start()

    def wake(self) -> None:
        """There is news. Cheap, and safe from any thread."""
        if not self._rung.is_set():
            self._rung.set()
            self._ring()

    def _ring(self) -> None:
        with suppress(OSError):  # full: it wakes anyway; closed: nobody is left to be told
            self._rope.send(b"!")

    def adopt(
        self,
        connection: socket.socket,
        source: Source,
        *,
        head: bytes,
        chunked: bool,
        ended: Callable[[bool], None],
    ) -> None:
        """Send `head` and then all that `source` tells, chunk by chunk where `chunked`; then call `ended`."""
        connection.setblocking(False)
        if source.send_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, source.send_buffer)
        self._newcomers.append(Outlet(connection, source, chunked, ended, pending=head))
        self._ring()

    def close(self) -> None:
        """Send what the sources, which have ended, still have, for a moment; then drop every stream."""
        self._until = time.monotonic() + FLUSH
        self.wake()
        if self._thread.is_alive():
            self._thread.join(2 * FLUSH)
        if not self._thread.is_alive():
            self._selector.close()
            self._bell.close()
            self._rope.close()

    # The thread

    def _work(self) -> None:
        sweep_at = tick_at = catch_up_at = 0.0
        while self._until is None or (self._has_work() and time.monotonic() < self._until):
            due = sweep_at if self._rung.is_set() else tick_at
            if self._behind:
                due = min(due, catch_up_at)
            due = min([due, *(outlet.source.due or due for outlet in self._timed if not outlet.waits)])
            self._attend(max(0.0, due - time.monotonic()))
            self._welcome()
            now, began = time.monotonic(), time.thread_time()
            self._call_on(now)
            tick = now >= tick_at
            if tick or (self._rung.is_set() and now >= sweep_at):
                tick_at = now + TICK if tick else tick_at
                self._rung.clear()
                self._sweep(now, tick=tick)
                sweep_at = time.monotonic() + self._rest(began, REST)
            elif self._behind and now >= catch_up_at:
                self._catch_up(now)
                catch_up_at = time.monotonic() + self._rest(began, CATCH_UP_REST if self._training() else 0)
        for outlet in [*self._outlets, *self._newcomers]:
            self._end(outlet, False)

    def _rest(self, began: float, times: float) -> float:
        """How long to leave the processor to others, after a round that began at `began` of this thread's time."""
        return min(times * (time.thread_time() - began), LONGEST_REST) if self._until is None else 0.0

    def _has_work(self) -> bool:
        return bool(self._outlets or self._newcomers)

    def _attend(self, timeout: float) -> None:
        """Wait for what sockets say."""
        for key, events in self._selector.select(timeout):
            outlet: Outlet | None = key.data
            if outlet is None:
                with suppress(BlockingIOError):
                    self._bell.recv(4096)
                continue
            with self._ending(outlet):
                if events & selectors.EVENT_READ:
                    outlet.listen()
                if events & selectors.EVENT_WRITE:
                    self._pump(outlet, time.monotonic())

    def _welcome(self) -> None:
        """New ones wait for no rest: all of history is theirs to come."""
        while self._newcomers:
            outlet = self._newcomers.popleft()
            with self._ending(outlet):
                self._selector.register(outlet.connection, selectors.EVENT_READ, outlet)
                self._outlets.add(outlet)
                self._behind[outlet] = None
                if outlet.source.due is not None:
                    self._timed.add(outlet)

    def _call_on(self, now: float) -> None:
        """Give those what is due who have their own times, whoever rests."""
        for outlet in list(self._timed):
            if not outlet.waits and (outlet.source.due or now) <= now:
                with self._ending(outlet):
                    self._pump(outlet, now)

    def _sweep(self, now: float, *, tick: bool) -> None:
        """Give everyone what is new. `tick`: and let go of those who take nothing."""
        for outlet in list(self._outlets):
            with self._ending(outlet):
                if tick:
                    outlet.check(now)
                if not outlet.waits and outlet not in self._behind:
                    self._pump(outlet, now)

    def _catch_up(self, now: float) -> None:
        """History for those who are behind, a page each, until the round is long enough."""
        began = time.thread_time()
        for outlet in list(self._behind):
            del self._behind[outlet]
            with self._ending(outlet):
                self._pump(outlet, now)
            if time.thread_time() - began >= CATCH_UP_ROUND:
                break

    @contextmanager
    def _ending(self, outlet: Outlet) -> Iterator[None]:
        """Whatever goes wrong with one stream is the end of that one."""
        try:
            yield
        except OSError as reason:
            logger.debug("a client of %s is gone: %s", outlet.source.subject, reason)
            self._end(outlet, False)
        except Exception:
            logger.exception("the events of %s cannot be sent", outlet.source.subject)
            self._end(outlet, False)

    def _pump(self, outlet: Outlet, now: float) -> None:
        if not outlet.pump(now):
            self._end(outlet, outlet.reusable)
            return
        waits = bool(outlet.pending)
        if waits != outlet.waits:
            outlet.waits = waits
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if waits else 0)
            self._selector.modify(outlet.connection, events, outlet)
        if outlet.behind:
            self._behind[outlet] = None

    def _end(self, outlet: Outlet, reusable: bool) -> None:
        if outlet in self._outlets:
            self._outlets.remove(outlet)
            self._timed.discard(outlet)
            self._behind.pop(outlet, None)
            self._selector.unregister(outlet.connection)
        try:
            outlet.ended(reusable)
        except Exception:
            logger.exception("a stream of %s did not close cleanly", outlet.source.subject)
