"""In which order layers can run, and which of them wait for each other."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence

from nets.architecture.expand import Placed
from nets.errors import Path, Problem


def in_order(placed: Sequence[Placed]) -> tuple[list[Placed], list[Problem]]:
    """Those that can run, each behind what it reads and otherwise as listed; a problem for each circle of others."""
    at = {one.id: index for index, one in enumerate(placed)}
    reads = [[at[read.id] for read in one.reads if read and read.id in at] for one in placed]
    readers: list[list[int]] = [[] for _ in placed]
    waits = [len(sources) for sources in reads]
    for index, sources in enumerate(reads):
        for source in sources:
            readers[source].append(index)
    ready = [index for index, count in enumerate(waits) if count == 0]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers[index]:
            waits[reader] -= 1
            if waits[reader] == 0:
                heapq.heappush(ready, reader)
    stuck = {index: [source for source in reads[index] if waits[source]] for index, count in enumerate(waits) if count}
    found: dict[Path, Problem] = {}
    for circle in circles(stuck):
        problem = told(placed, circle)
        found.setdefault(problem.path, problem)
    return [placed[index] for index in order], list(found.values())


def circles(waits_for: Mapping[int, Sequence[int]]) -> Iterator[list[int]]:
    """Circles that have no layer in common, each from what is read to who reads it."""
    seen: set[int] = set()
    for start in waits_for:
        way: list[int] = []
        at = start
        while at not in seen:
            seen.add(at)
            way.append(at)
            at = waits_for[at][0]
        if at in way:
            circle = way[way.index(at) :][::-1]
            first = circle.index(min(circle))
            yield circle[first:] + circle[:first]


def told(placed: Sequence[Placed], circle: Sequence[int]) -> Problem:
    items = [placed[index].item for index in (*circle, circle[0])]
    called = [item.name or item.position for item in items]
    steps = [name for index, name in enumerate(called) if index == 0 or name != called[index - 1] or len(called) == 2]
    way = " -> ".join(steps if len(steps) <= 12 else [*steps[:6], "...", *steps[-5:]])
    return Problem(items[0].shown, f"is part of a cycle: {way}; change the inputs of one of them", "cycle")
