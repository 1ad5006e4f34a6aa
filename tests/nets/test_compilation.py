"""Programs and where they came from, in sum."""

from __future__ import annotations

import pytest

from nets.facts import Source
from nets.process.origins import Origin
from nets.training.compilation import Arrival, compilation


def arrival(source: Source, *, before: bool = False, ahead: bool = False, kernels: tuple[str, ...] = ()) -> Arrival:
    return Arrival("train", Origin(source, 2.0, [(each, 0.5) for each in kernels]), before, ahead)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arrivals", "kind"),
    [
        ([arrival("cold"), arrival("cold", kernels=("disk",))], "cold"),
        ([arrival("disk"), arrival("disk", kernels=("disk",))], "disk"),
        ([arrival("disk"), arrival("disk", kernels=("cold",))], "mixed"),
        ([arrival("disk"), arrival("cold")], "mixed"),
        ([arrival("cold", before=True), arrival("process")], "process"),
        ([arrival("cold", before=True), arrival("disk")], "mixed"),
    ],
)
def test_one_word_for_all_of_them(arrivals: list[Arrival], kind: str) -> None:
    assert compilation(arrivals, seconds=1.0)["kind"] == kind


def test_what_another_run_has_waited_for_costs_this_one_nothing() -> None:
    used = arrival("cold", before=True, ahead=True, kernels=("cold",))
    told = compilation([used, arrival("disk", ahead=True, kernels=("disk", "disk"))], seconds=0.1)
    assert told["seconds"] == 0.1 and told["ahead"] == 1
    assert told["process"] == {"count": 1, "seconds": 0.0} and told["disk"] == {"count": 1, "seconds": 2.0}
    assert told["cold"] == {"count": 0, "seconds": 0.0}
    assert told["kernels"] == {"cold": {"count": 0, "seconds": 0.0}, "disk": {"count": 2, "seconds": 1.0}}
    assert [each["source"] for each in told["programs"]] == ["process", "disk"]
