"""The networks of a benchmark: by name, or as a body of POST /api/train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nets.architecture.architecture import Architecture
from nets.architecture.cost import flops_train_step, macs_forward
from nets.architecture.read import parse_architecture
from nets.benchmarks import networks
from nets.benchmarks.data import choice, wanted
from nets.benchmarks.results import BodyFacts, body_sha256
from nets.errors import NetsError, Problem, SpecError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.spec.words import meant
from nets.training.check import check_fit
from nets.training.sampling import split_sizes
from nets.training.update import Update

FLOAT = 4


class BadBody(NetsError):
    """A body that cannot be measured. The message names it."""


@dataclass(frozen=True)
class Body:
    """A checked network with its hyperparameters. data: what it is trained on."""

    name: str
    architecture: Architecture
    hyperparams: Hyperparams
    data: str

    @property
    def json(self) -> dict[str, Any]:
        """Its canonical form."""
        return {"architecture": self.architecture.to_json(), "hyperparams": self.hyperparams.to_json()}

    @cached_property
    def flops_train(self) -> int:
        """Of one sample of a step."""
        return flops_train_step(self.architecture.graph, 1)

    @property
    def train_samples(self) -> int:
        """Of an epoch of the body as it is."""
        return split_sizes(self.hyperparams, wanted(self.hyperparams).train_size)[0]

    def intensity(self, batch: int) -> float:
        """Floating point operations for each byte that a step has to move.

        Weights are read on both ways, gradients written and read, the optimizer's state read and written; what layers
        keep is written and read once.
        """
        update = Update.of(self.hyperparams, self.architecture.graph)
        weights = FLOAT * self.architecture.parameters * (5 + 2 * update.moved)
        kept = sum(node.cost.held_bytes for node in self.architecture.graph.nodes)
        return self.flops_train * batch / (weights + 2 * batch * kept)

    def facts(self) -> BodyFacts:
        """For results."""
        body = self.json
        return {
            "name": self.name,
            "sha256": body_sha256(body),
            "body": body,
            "dataset": self.data,
            "train_samples": self.train_samples,
            "params": self.architecture.parameters,
            "macs_forward": macs_forward(self.architecture.graph),
            "flops_train": self.flops_train,
        }


def read_bodies(asked: Sequence[str | Mapping[str, Any]], data_dir: Path) -> list[Body]:
    """Each by the name of a network here, or as a body of its own, whose `name` it has. SpecError, BadBody."""
    found: dict[str, Body] = {}
    for number, item in enumerate(asked):
        body = named(item) if isinstance(item, str) else item
        try:
            known = read(body, str(body.get("name") or f"body {number + 1}"), data_dir)
        except SpecError as error:
            raise SpecError(
                [replace(one, path=("bodies", number, *one.path), fix=()) for one in error.problems]
            ) from None
        if known.name in found:
            if found[known.name].json == known.json:
                continue
            raise BadBody(f"bodies[{number}].name: must be the only one, but another body is called '{known.name}' too")
        found[known.name] = known
    return list(found.values())


def named(name: str) -> dict[str, Any]:
    """The body of a network here. BadBody for another name, with those that there are."""
    if name not in networks.NETWORKS:
        near = meant(name, networks.NETWORKS)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise BadBody(
            f"'{name}' is no network here; choose from {', '.join(networks.NETWORKS)}{'.' * bool(hint)}{hint}"
        )
    return {"name": name, **networks.body(name)}


def read(body: Mapping[str, Any], name: str, data_dir: Path) -> Body:
    """One that can be trained. SpecError with every problem."""
    problems: list[Problem] = []
    try:
        architecture = parse_architecture(body.get("architecture"))
    except SpecError as error:
        problems += error.problems
    try:
        hyperparams = parse_hyperparams(body.get("hyperparams"))
    except SpecError as error:
        problems += error.problems
    if problems:
        raise SpecError(problems)
    check_fit(architecture, hyperparams, wanted(hyperparams))
    return Body(name, architecture, hyperparams, choice(hyperparams, data_dir))
