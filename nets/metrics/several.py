"""Lists of metrics as requests have them: names, or objects with a type and options."""

from __future__ import annotations

from typing import Any

from nets.errors import Problem, SpecError
from nets.metrics.base import METRICS, Metric
from nets.metrics.names import TOP
from nets.spec.allowed import one_of
from nets.spec.fields import shown

MOST = 32  # metrics of one list


class Several:
    """Reads a list of metrics, and describes it."""

    def parse(self, value: object, path: tuple[str | int, ...]) -> tuple[Metric, ...]:
        """All of them in their order, also those that came twice; SpecError with every problem."""
        if not isinstance(value, list):
            rule = f'must be a list of metrics such as ["f1", {{"type": "top_k", "k": 3}}], got {shown(value)}'
            raise SpecError([Problem(path, rule, "wrong_type", expected={"type": "array"}, got=value)])
        if len(value) > MOST:
            rule = f"must have at most {MOST} metrics, got {len(value)}"
            raise SpecError([Problem(path, rule, "too_long", expected={"type": "array", "maxItems": MOST})])
        listed: list[Metric] = []
        found: dict[str, Metric] = {}
        problems: list[Problem] = []
        for place, sent in enumerate(value):
            at = (*path, place)
            try:
                metric = METRICS.parse(as_object(sent), at)
            except SpecError as error:
                problems += [named(problem, at, sent) for problem in error.problems]
                continue
            listed.append(metric)
            other = found.setdefault(metric.key, metric)
            if other != metric:
                rule = f"{metric.key} came before with other options: {shown(other.model_dump())}; send one of the two"
                problems.append(Problem(at, rule, "conflict", got=sent))
        if problems:
            raise SpecError(problems)
        return tuple(listed)

    def schema(self) -> dict[str, Any]:
        """What `parse` takes, as JSON Schema."""
        one = {"anyOf": [one_of(METRICS.words()), {"type": "string", "pattern": f"^{TOP.pattern}$"}]}
        items = {"anyOf": [*one["anyOf"], *METRICS.schema()["anyOf"]]}
        return {"type": "array", "items": items, "maxItems": MOST}


def as_object(sent: object) -> object:
    """A metric with its type; `top_3` is that of three."""
    if not isinstance(sent, str):
        return sent
    top = TOP.fullmatch(sent)
    return {"type": "top_k", "k": int(top[1])} if top else {"type": sent}


def named(problem: Problem, at: tuple[str | int, ...], sent: object) -> Problem:
    """A problem of a metric that came as a mere name: it stands where the name does."""
    if not isinstance(sent, str):
        return problem
    fix = tuple(type(change)(change.op, at, change.value) for change in problem.fix)
    return type(problem)(
        at, problem.detail, problem.code, problem.expected, got=sent, suggestion=problem.suggestion, fix=fix
    )


SEVERAL = Several()
