"""What one event stream sends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator

from backend.events.wire import KEEP_ALIVE

SEND_BUFFER = 64 << 10


class Source(ABC, Iterator[bytes]):
    """Frames for one client, for whoever sends them: the delivery asks for `news`, others iterate and wait.

    send_buffer: bytes that the kernel may hold for a client that does not read; None for any.
    """

    send_buffer: int | None = SEND_BUFFER

    def __init__(self, subject: str, keep_alive: float) -> None:
        """`subject`: what it tells of, for the log. `keep_alive`: seconds of silence before a comment."""
        self.subject, self.keep_alive = subject, keep_alive
        self._waiting: deque[bytes] = deque()  # fetched, for who takes one frame at a time

    @property
    def due(self) -> float | None:
        """When there will be something new whatever happens, on the monotonic clock."""
        return None

    @property
    @abstractmethod
    def behind(self) -> bool:
        """Whether there is more to tell at once."""

    @property
    def done(self) -> bool:
        """Whether what was given was the end, by what the client knows: it may send its next request at once."""
        return False

    @abstractmethod
    def news(self, timeout: float = 0.0) -> list[bytes] | None:
        """Some frames that are new, waiting for up to `timeout` seconds; none if nothing is, None after the end."""

    def stop(self) -> None:
        """Come to an end with what is there. From any thread."""

    def __next__(self) -> bytes:
        """The next frame, as soon as there is one; silence is broken by comments."""
        if not self._waiting:
            frames = self.news(self.keep_alive)
            if frames is None:
                raise StopIteration
            self._waiting.extend(frames or [KEEP_ALIVE])
        return self._waiting.popleft()
