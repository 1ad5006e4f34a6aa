"""Where the programs of a run came from, in sum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nets.facts import Compilation, ProgramOrigin, Source, Tally
from nets.process.origins import Origin


@dataclass(frozen=True)
class Arrival:
    """One program of a run. `before`: a run has used it. `ahead`: it was there, or under way, when the run asked."""

    name: str
    origin: Origin
    before: bool
    ahead: bool

    @property
    def told(self) -> ProgramOrigin:
        """What was made for another run costs this one nothing; what was made ahead, it tells as it was made."""
        if self.before:
            return {"name": self.name, "source": "process", "seconds": 0.0, "ahead": False}
        origin = self.origin
        return {"name": self.name, "source": origin.source, "seconds": origin.seconds, "ahead": self.ahead}


def compilation(arrivals: Sequence[Arrival], *, seconds: float) -> Compilation:
    """In sum. `seconds`: that the run waited for them."""
    programs = [each.told for each in arrivals]
    kernels = [kernel for each in arrivals if not each.before for kernel in each.origin.kernels]
    anew = [took for source, took in kernels if source == "cold"]
    sources: set[Source] = {each["source"] for each in programs}
    if anew:  # lest a run seem to be from the disk that has waited for a compiler
        sources.add("cold")
    return {
        "kind": sources.pop() if len(sources) == 1 else "mixed",
        "seconds": seconds,
        "cold": of_source(programs, "cold"),
        "disk": of_source(programs, "disk"),
        "process": of_source(programs, "process"),
        "ahead": sum(each["ahead"] for each in programs),
        "programs": programs,
        "kernels": {"cold": tally(anew), "disk": tally(took for source, took in kernels if source == "disk")},
    }


def of_source(programs: Iterable[ProgramOrigin], source: Source) -> Tally:
    return tally(each["seconds"] for each in programs if each["source"] == source)


def tally(seconds: Iterable[float]) -> Tally:
    """How many, and their sum."""
    found = list(seconds)
    return {"count": len(found), "seconds": sum(found, start=0.0)}
