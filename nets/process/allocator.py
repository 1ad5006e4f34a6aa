"""How the C library hands out memory, where it is glibc: large blocks stay with the process, on huge pages.

Every dispatch of a program allocates its temporaries anew. By itself glibc maps blocks of that size from the system and
gives them back, and each of their pages is zeroed again at its first touch: up to a third of the time of a training
step. On small pages, too, a step takes up to twice as long in one process as in the next, as its pages happen to share
the sets of the caches. Elsewhere these functions do nothing.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache

# mallopt(3): what to set, and to what. Blocks that are mapped by themselves would be given back at once.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
KEEPING = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_ARENA_MAX, 1))
# Threads of more processors wait for one another at the one heap that all this makes of many. Measured on two, which
# gain up to a third, and on sixteen, which lose a seventh in training and compile for 2.3 s instead of 0.9.
MOST_PROCESSORS = 4
# Bytes of addresses that are asked for in advance; memory is taken when it is used. Less than the threshold above (an
# int, and it cannot be more): glibc would give back a larger end of the heap at once, and the advice with it.
RESERVED = 3 << 29
HUGE_PAGE = 2 << 20


class _Mallinfo(ctypes.Structure):
    """mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def keep() -> None:
    """Keep what is freed for the next who asks, where few processors ask. Once, before threads are started."""
    if (libc := _glibc()) and few_processors() and all(libc.mallopt(what, value) for what, value in KEEPING):
        _advise_huge_pages(libc)


def release() -> None:
    """Give what is free back to the system: between runs, when nobody needs it soon."""
    if libc := _glibc():
        libc.malloc_trim(0)
        if few_processors():
            _advise_huge_pages(libc)


def unused() -> int:
    """Bytes that this process has and does not use: what is freed stays with it. 0 where the library does not say."""
    libc = _glibc()
    if not libc or not hasattr(libc, "mallinfo2"):
        return 0
    libc.mallinfo2.restype = _Mallinfo
    return int(libc.mallinfo2().fordblks)


def few_processors() -> bool:
    """Whether this process may run on so few that their threads can share one heap."""
    return len(os.sched_getaffinity(0)) <= MOST_PROCESSORS


@cache
def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc


def _advise_huge_pages(libc: ctypes.CDLL) -> None:
    """Let the heap grow at once, and ask for huge pages there: the advice holds for addresses, not for blocks."""
    if start := libc.malloc(RESERVED):
        aligned = -(-start // HUGE_PAGE) * HUGE_PAGE
        libc.madvise(aligned, start + RESERVED - aligned, mmap.MADV_HUGEPAGE)
        libc.free(start)
