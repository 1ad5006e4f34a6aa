"""The SHA-256 of each data set that runs train on: computed once, beside the first of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable
from concurrent.futures import Future
from threading import Lock, Thread, get_native_id

from nets.datasets import Dataset, sha256

NICE = 10  # of the thread that computes: the run in hand needs it only when it ends


class Digests:
    """By data set, and by the state of its file. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: dict[Hashable, Future[str]] = {}

    def of(self, dataset: Dataset, *, state: Hashable) -> Future[str]:
        """The digest, known or being computed. `state`: differs where the arrays do."""
        with self._lock:
            if (known := self._found.get(state)) is not None:
                return known
            future = self._found[state] = Future()
        Thread(target=_compute, args=(dataset, future), name="digest", daemon=True).start()
        return future


def _compute(dataset: Dataset, future: Future[str]) -> None:
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICE)
    try:
        future.set_result(sha256(dataset))
    except BaseException as error:  # a want of memory, told by who asks
        future.set_exception(error)
