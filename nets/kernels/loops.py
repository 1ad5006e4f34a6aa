"""Equal blocks of a network that follow one another: found among its stages, so that they can be compiled once."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from nets.kernels.schedule import Stage

LONGEST_BLOCK = 64  # stages
Stack = tuple[str, ...]  # ids of the nodes that stand in one place of equal blocks, in their order


@dataclass(frozen=True)
class Loop:
    """Blocks of equal stages, each reading only what the one before gives. copies: the stages of each block."""

    copies: tuple[tuple[Stage, ...], ...]

    @property
    def input(self) -> str:
        """The id of what the first block reads."""
        return next(name for stage in self.copies[0] for name in outside(self.copies[0], stage))

    @property
    def output(self) -> str:
        """The id of what the last block gives."""
        return self.copies[-1][-1].output

    @property
    def places(self) -> tuple[Stack, ...]:
        """The nodes in each place of the blocks."""
        blocks = ([node.id for stage in block for node in stage.nodes] for block in self.copies)
        return tuple(zip(*blocks, strict=True))


def looped(
    stages: Sequence[Stage], least: int | None, *, positions: int = 1, kept: Collection[str] = ()
) -> Iterator[Stage | Loop]:
    """The same stages, those of at least `least` equal blocks together, where a sample has so many positions.

    The weights of all blocks are put side by side for a loop. Where each is used once for a sample, as by features,
    that costs as much as it saves. kept: nodes whose values are asked for, and are not lost inside of a loop.
    """
    if least is None:
        yield from stages
        return
    signs = signatures(stages)
    readers = read_counts(stages)
    readers.update({name: readers[name] + 1 for name in kept if name in readers})
    at = 0
    while at < len(stages):
        many = stages[at].nodes[-1].gives.positions >= positions
        loop = longest(stages, signs, readers, at, least) if many else None
        yield loop or stages[at]
        at += sum(map(len, loop.copies)) if loop else 1


def longest(
    stages: Sequence[Stage], signs: Sequence[Hashable], readers: dict[str, int], at: int, least: int
) -> Loop | None:
    """The loop of the shortest blocks that begins at a stage."""
    for size in range(1, min(LONGEST_BLOCK, (len(stages) - at) // least) + 1):
        times = 1
        while signs[at + times * size : at + (times + 1) * size] == signs[at : at + size]:
            times += 1
        copies = tuple(tuple(stages[at + n * size : at + (n + 1) * size]) for n in range(times))
        while len(copies) >= least:
            if closed(copies, readers):
                return Loop(copies)
            copies = copies[:-1]
    return None


def signatures(stages: Sequence[Stage]) -> list[Hashable]:
    """What two stages have to have in common: their row, layers, values, and how far back what they read lies."""
    order = {stage.output: place for place, stage in enumerate(stages)}

    def of(place: int, stage: Stage) -> Hashable:
        nodes = tuple(replace(node, id="", inputs=()) for node in stage.nodes)
        if any(node.shares for node in nodes):
            return place  # equal to no other
        return id(stage.how), nodes, tuple(place - order.get(name, -1) for name in stage.inputs)

    return [of(place, stage) for place, stage in enumerate(stages)]


def read_counts(stages: Sequence[Stage]) -> dict[str, int]:
    """How often each value is read."""
    found = {stage.output: 0 for stage in stages}
    for stage in stages:
        for name in stage.inputs:
            found[name] = found.get(name, 0) + 1
    return found


def closed(copies: Sequence[tuple[Stage, ...]], readers: dict[str, int]) -> bool:
    """Whether each block reads one value from outside, that of the block before, and nothing else reads from within."""
    before: str | None = None
    for number, block in enumerate(copies):
        read = [name for stage in block for name in stage.inputs]
        came = {name for stage in block for name in outside(block, stage)}
        if len(came) != 1 or (before is not None and came != {before}):
            return False
        if any(readers[stage.output] != read.count(stage.output) for stage in block[:-1]):
            return False
        following = copies[number + 1] if number + 1 < len(copies) else None
        if following is not None:
            reads = sum(stage.inputs.count(block[-1].output) for stage in following)
            if readers[block[-1].output] != reads + read.count(block[-1].output):
                return False
        before = block[-1].output
    return True


def outside(block: Sequence[Stage], stage: Stage) -> Iterator[str]:
    """What a stage reads that no stage of its block gives."""
    within = {each.output for each in block}
    return (name for name in stage.inputs if name not in within)
