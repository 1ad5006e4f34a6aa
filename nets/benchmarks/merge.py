"""Results of several machines as one, if they are of one experiment: what differs where it must not is named."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import ValidationError

from nets.benchmarks.results import RESULTS, SCHEMA, Cell, Results
from nets.errors import NetsError

MOST_TOLD = 8  # differences of one kind, before the rest is counted
MEASURED = ("dataset", "train_samples", "params", "macs_forward", "flops_train")  # of a body, beside its JSON
NO_RESULTS = "is no results.json of lamina bench"


class Unmergeable(NetsError):
    """Files that are no results, or results that cannot be compared. `reasons`: each with place, values and cure."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = list(reasons)


@dataclass(frozen=True)
class Part:
    """Results, and the file that they came in."""

    file: str
    results: Results


def read(file: str, text: str | bytes) -> Part:
    """The results in a file; `Unmergeable` where there are none, or those of another version."""
    try:
        found = json.loads(text, parse_constant=_not_finite)
    except (ValueError, RecursionError) as problem:
        raise Unmergeable([f"{file} {NO_RESULTS}: it is not JSON ({problem}); name the file itself"]) from None
    schema = found.get("schema") if isinstance(found, dict) else None
    if not isinstance(schema, str) or not schema.startswith("lamina-bench/"):
        cure = "name the file that `lamina bench` wrote into its --out folder"
        raise Unmergeable([f"{file} {NO_RESULTS}: it has no `schema` such as {SCHEMA}; {cure}"])
    if schema != SCHEMA:
        cure = "merge it with the Lamina that wrote it, or measure again with this one"
        raise Unmergeable([f"{file}: schema must be {SCHEMA} here, got {schema[:80]}; {cure}"])
    try:
        results = RESULTS.validate_python(found, strict=True)
    except ValidationError as problem:
        raise Unmergeable(list(_broken(file, problem))) from None
    if lost := next(_lost(results), None):
        raise Unmergeable([f"{file}: {lost}; take the file as it was written"])
    return Part(file, results)


def _not_finite(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _broken(file: str, problem: ValidationError) -> Iterator[str]:
    errors = problem.errors(include_url=False, include_context=False)
    for error in errors[:MOST_TOLD]:
        place = ".".join(map(str, error["loc"])) or "the whole"
        got = repr(error["input"])
        yield f"{file}: {place}: {error['msg']}, got {got[:60]}; take the file as it was written"
    if len(errors) > MOST_TOLD:
        yield f"{file}: and {len(errors) - MOST_TOLD} more"


def _lost(results: Results) -> Iterator[str]:
    """What cells name that is not there."""
    machines, bodies = {one["name"] for one in results["machines"]}, {one["name"] for one in results["bodies"]}
    devices = {(one["machine"], one["id"]) for one in results["devices"]}
    for place, cell in enumerate(results["cells"]):
        if cell["machine"] not in machines:
            yield f"cells.{place}.machine: there is no machine {cell['machine']!r}"
        if (cell["machine"], cell["device"]) not in devices:
            yield f"cells.{place}.device: there is no device {cell['device']!r} of {cell['machine']!r}"
        if cell["body"] not in bodies:
            yield f"cells.{place}.body: there is no body {cell['body']!r}"


def merge(parts: Sequence[Part]) -> Results:
    """All of them in one, in their order. `Unmergeable` names everything that differs and must not.

    Machines are told apart by name: of equal names, later ones are numbered. The same results are taken once.
    """
    notes: list[str] = []
    kept: list[Part] = []
    for part in parts:
        if same := next((each for each in kept if each.results == part.results), None):
            notes.append(f"{part.file} has the same results as {same.file}, which are here once")
        else:
            kept.append(part)
    first = kept[0]
    reasons = [reason for other in kept[1:] for reason in differences(first, other)]
    if reasons:
        raise Unmergeable(reasons)
    whole = copy.deepcopy(first.results)
    if len(kept) > 1:
        whole["warnings"] = placed(whole)
    for part in kept[1:]:
        notes += _add(whole, part)
    if len(kept) > 1:
        _name(whole, kept)
        whole["parity"] += list(across(whole, first.results))
    whole["warnings"] = list(dict.fromkeys([*whole["warnings"], *notes, *sizes(kept)]))
    return whole


def differences(one: Part, other: Part) -> Iterator[str]:
    """What differs in body, precision or protocol."""
    ours, theirs = one.results, other.results
    cure = "measure both with one command, as each report tells it"
    for place, (mine, yours) in differing({**ours["protocol"]}, {**theirs["protocol"]}):
        yield f"protocol.{place}: {mine} in {one.file}, {yours} in {other.file}; {cure}"
    yield from _bodies(one, other)
    mine, yours = ({cell["precision"] for cell in part.results["cells"]} for part in (one, other))
    if mine != yours:
        listed = " and ".join(
            f"{told(sorted(each))} in {file}" for each, file in ((mine, one.file), (yours, other.file))
        )
        yield f"precisions: {listed}; measure both with the same --precisions"


def _bodies(one: Part, other: Part) -> Iterator[str]:
    mine, yours = ({body["name"]: body for body in part.results["bodies"]} for part in (one, other))
    for name in [*mine, *(name for name in yours if name not in mine)]:
        if name not in mine or name not in yours:
            has, lacks = (one, other) if name in mine else (other, one)
            yield f"bodies: {has.file} has {name!r}, {lacks.file} has not; measure the same bodies on both machines"
            continue
        ours, theirs = mine[name], yours[name]
        if ours["sha256"] != theirs["sha256"]:
            places = list(differing(ours["body"], theirs["body"]))
            listed = [
                f"{place} is {told(a)} in {one.file}, {told(b)} in {other.file}" for place, (a, b) in places[:MOST_TOLD]
            ]
            more = [f"and {len(places) - MOST_TOLD} more"] if len(places) > MOST_TOLD else []
            what = "; ".join(listed + more) or f"SHA-256 {ours['sha256'][:12]} and {theirs['sha256'][:12]}"
            yield f"bodies.{name}: {what}; take the body from one report for both"
            continue
        for field in MEASURED:
            a, b = ours[field], theirs[field]  # type: ignore[literal-required]
            if a != b:
                found = f"{told(a)} in {one.file}, {told(b)} in {other.file}"
                yield f"bodies.{name}.{field}: {found}; measure with equal data and versions"


def differing(one: Any, other: Any, before: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Places, by dotted names, at which two values of JSON differ, with both; `None` for what is not there."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in dict.fromkeys([*one, *other]):
            yield from differing(one.get(name), other.get(name), f"{before}.{name}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (mine, yours) in enumerate(zip(one, other, strict=True)):
            yield from differing(mine, yours, f"{before}.{place}".lstrip("."))
    elif one != other:
        yield before, (one, other)


def told(value: object) -> str:
    """A value in a sentence."""
    whole = json.dumps(value) if not isinstance(value, str) else value
    return whole if len(whole) <= 60 else f"{whole[:59]}…"


def _add(whole: Results, part: Part) -> list[str]:
    """The machines, devices, cells and parity of a part; notes of those that got another name."""
    notes: list[str] = []
    more = copy.deepcopy(part.results)
    taken = {machine["name"] for machine in whole["machines"]}
    names: dict[str, str] = {}
    for machine in more["machines"]:
        old = machine["name"]
        number = 2
        while machine["name"] in taken:
            machine["name"] = f"{old} ({number})"
            number += 1
        taken.add(machine["name"])
        names[old] = machine["name"]
        if machine["name"] != old:
            notes.append(f"the machine {old} of {part.file} is {machine['name']} here, as another has its name")
    for device in more["devices"]:
        device["machine"] = names[device["machine"]]
    for cell in more["cells"]:
        cell["machine"] = names[cell["machine"]]
    for parity in more["parity"]:
        parity["reference"], parity["compared"] = (_renamed(parity[end], names) for end in ("reference", "compared"))
    whole["machines"] += more["machines"]
    whole["devices"] += more["devices"]
    whole["cells"] += more["cells"]
    whole["parity"] += more["parity"]
    whole["warnings"] += placed(more)
    return notes


def placed(results: Results) -> list[str]:
    """The warnings of a machine, each with its name, but for those that the machine itself has."""
    if len(results["machines"]) != 1:
        return results["warnings"]  # put together already
    (machine,) = results["machines"]
    own = machine["quiet"]["warnings"]
    return [each if each in own else f"{machine['name']}: {each}" for each in results["warnings"]]


def _renamed(curve: str, names: Mapping[str, str]) -> str:
    """`machine, device, precision` with the name that the machine has now."""
    machine, *rest = curve.rsplit(", ", 2)
    return ", ".join([names.get(machine, machine), *rest])


def _name(whole: Results, kept: Sequence[Part]) -> None:
    """What is told of all of them together."""
    every = [part.results for part in kept]
    text = "\n".join(json.dumps(each, sort_keys=True) for each in every)
    whole["id"] = f"b_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    whole["created_at"] = min(each["created_at"] for each in every)
    whole["seconds"] = sum(each["seconds"] for each in every)
    whole["complete"] = all(each["complete"] for each in every)
    whole["command"] = "\n".join(dict.fromkeys(each["command"] for each in every))
    whole["merged_from"] = list(dict.fromkeys(one for each in every for one in each["merged_from"] or [each["id"]]))


def across(whole: Results, first: Results) -> Iterator[Any]:
    """Losses of the other machines against those of the first: the same bodies and batch sizes, from the same seed."""
    ours = {machine["name"] for machine in first["machines"]}
    for body in whole["bodies"]:
        cells = [cell for cell in whole["cells"] if cell["body"] == body["name"] and cell["losses"]]
        for size in dict.fromkeys(cell["batch_size"] for cell in cells):
            here = [cell for cell in cells if cell["batch_size"] == size]
            reference = min(
                (cell for cell in here if cell["machine"] in ours),
                key=lambda cell: cell["precision"] != "float32",
                default=None,
            )
            for cell in here if reference else ():
                if reference is not None and cell["machine"] not in ours:
                    yield _compared(reference, cell, whole["protocol"]["tolerances"].get(cell["precision"], 0.0))


def _compared(reference: Cell, cell: Cell, tolerance: float) -> dict[str, Any]:
    curves = [one["losses"]["curve"] if one["losses"] else [] for one in (reference, cell)]
    pairs = list(zip(*curves, strict=False))
    largest = max((abs(a - b) / max(abs(a), 1e-12) for a, b in pairs), default=0.0)
    return {
        "body": cell["body"],
        "batch_size": cell["batch_size"],
        "reference": curve_of(reference),
        "compared": curve_of(cell),
        "steps": len(pairs),
        "largest_difference": largest,
        "tolerance": tolerance,
        "within": largest <= tolerance,
    }


def curve_of(cell: Cell) -> str:
    """What parity calls the losses of a cell."""
    return f"{cell['machine']}, {cell['device']}, {cell['precision']}"


def sizes(kept: Sequence[Part]) -> Iterator[str]:
    """A warning where batch sizes are not the same."""
    found = {part.file: sorted({cell["batch_size"] for cell in part.results["cells"]}) for part in kept}
    if len({tuple(each) for each in found.values()}) > 1:
        listed = "; ".join(f"{told(each)} in {file}" for file, each in found.items())
        yield f"batch sizes are not the same: {listed}; compare equal ones"
