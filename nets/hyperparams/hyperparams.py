"""JSON to checked hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, WithJsonSchema

from nets.augment import Augmentation
from nets.augment.listed import MOST_AUGMENTATIONS, parse_augment
from nets.averages import Ema, Swa
from nets.datasets import DATASETS
from nets.errors import BrokenRule, Change, Path, Problem, SpecError
from nets.hyperparams.hints import inside
from nets.hyperparams.parts import ALIASES, EXAMPLES, OPTIONAL, PARTS, TYPED, aliases_of, names_at, words_for
from nets.losses import LOSSES, CrossEntropy, Loss
from nets.metrics import SEVERAL, Metric
from nets.metrics.names import metric_of
from nets.optimizers import Optimizer, Sgd
from nets.optimizers.groups import MOST_GROUPS, Group, Patterns, parse_groups
from nets.optimizers.lookahead import Lookahead
from nets.regularizers import Regularizer
from nets.regularizers.listed import MOST_REGULARIZERS, parse_regularizers
from nets.schedules import Schedule
from nets.spec.allowed import one_of
from nets.spec.fields import Boolean, Hint, Real, Spec, Text, Whole, no_object, parse, real, shown
from nets.spec.registry import Names, Typed
from nets.spec.sent import in_words_of
from nets.stopping import EarlyStopping, Target
from nets.stopping.goals import GOALS, Goal
from nets.views import VIEWS

Reader = Callable[[object, Path], Any]
Precision = Literal["float32", "bfloat16"]
METRIC_LIST = {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}}


def output_weights(value: object) -> object:
    """An object of numbers."""
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        rule = 'must be an object of a number for each name of an output, such as {"main": 1, "aux": 0.3}'
        raise BrokenRule(f"{rule}, got {shown(value)}", "wrong_type")
    found = {name: real(number) for name, number in value.items()}
    for name, number in found.items():
        if not 0 <= number <= MOST_OUTPUT_WEIGHT:
            raise BrokenRule(
                f"must be from 0 to {MOST_OUTPUT_WEIGHT:g}, got {shown(value[name])} of {shown(name)}", "out_of_range"
            )
    return found


MOST_OUTPUT_WEIGHT = 1e6
WEIGHT = {"type": "number", "minimum": 0, "maximum": MOST_OUTPUT_WEIGHT}
OutputWeights = Annotated[
    dict[str, float] | None,
    BeforeValidator(output_weights),
    WithJsonSchema({"anyOf": [{"type": "object", "additionalProperties": WEIGHT}, {"type": "null"}]}),
]


class Hyperparams(Spec):
    """How a network is trained."""

    epochs: Annotated[Whole, Field(ge=1, le=100_000)] = Field(5, description="Passes over the training samples.")
    batch_size: Annotated[Whole, Field(ge=1, le=65_536)] = Field(64, description="Samples per step.")
    accumulate: Annotated[Whole, Field(ge=1, le=65_536)] = Field(
        1,
        description="Batches that make one step of the optimizer: their gradients are averaged over all samples; the "
        "last step of an epoch takes what is left.",
    )
    optimizer: Optimizer = Field(Sgd(), description="A type with its options.")
    lr_schedule: Schedule | None = Field(
        None, description="How the learning rate changes over the run: a type with its options; without it not at all."
    )
    loss: Annotated[Loss, WithJsonSchema({"anyOf": [one_of(LOSSES.words()), {"type": "object"}]})] = Field(
        CrossEntropy(), description="What is made small: the name of a loss, or a type with its options."
    )
    regularizers: Annotated[tuple[Regularizer, ...], Field(max_length=MOST_REGULARIZERS)] = Field(
        (), description="What is made small beside the loss: a list of types with their options."
    )
    output_weights: OutputWeights = Field(
        None,
        description="Of a network with several `outputs`: what their losses are multiplied by, by name; 1 without.",
    )
    augment: Annotated[tuple[Augmentation, ...], Field(max_length=MOST_AUGMENTATIONS)] = Field(
        (),
        description="What is done with images of training batches: a list of types with their options, in their order.",
    )
    seed: Annotated[Whole, Field(ge=0, le=2**53 - 1)] = Field(
        42,
        description="Seeds everything random: initial weights, the samples drawn, the split, their order, dropout and "
        "augmentation.",
    )
    train_split: Annotated[Real, Field(gt=0, lt=1)] = Field(
        0.9, description="The share of the drawn samples to train on; the rest validates."
    )
    shuffle: Boolean = Field(True, description="A new order every epoch.")
    max_samples: Annotated[Whole, Field(ge=2)] | None = Field(
        4096, description="How many samples are drawn from the training set; null takes all."
    )
    dataset_type: Annotated[str, BeforeValidator(DATASETS.known)] | None = Field(
        None, description="Name of the data set; without it MNIST, or digits if MNIST cannot be had."
    )
    keep_best: Boolean = Field(
        False,
        description="Test, save and use the epoch with the lowest validation loss instead of the last one; with "
        "`early_stopping` and its `restore_best`, the one that is best by its metric.",
    )
    test_time_augmentation: Annotated[str, BeforeValidator(VIEWS.known)] | None = Field(
        None,
        description="Views of each image whose logits are averaged wherever the network is validated, tested or asked: "
        "`flip` (as it is and mirrored), `flip_translate` (these, and moved by a pixel both ways).",
    )
    weight_decay_exclude: Literal["bias_and_norm"] | None = Field(
        None, description="What weight decay leaves out: biases, and the factors and constants of norms."
    )
    groups: Annotated[tuple[Group, ...], Field(max_length=MOST_GROUPS)] = Field(
        (), description="Layers with factors of their own: `layers` (names, or patterns), `lr`, `weight_decay`."
    )
    frozen: Patterns = Field(
        (),
        description="Names of layers, or patterns, whose weights stay as they are; statistics of norms still move. "
        "`stem.kernel` names one array of a layer.",
    )
    gradient_clip_norm: Annotated[Real, Field(gt=0, le=1e6)] | None = Field(
        None, description="The largest norm of all gradients of a step together; PyTorch's `clip_grad_norm_`."
    )
    gradient_clip_value: Annotated[Real, Field(gt=0, le=1e6)] | None = Field(
        None, description="The largest amount of each number of a gradient, before its norm; `clip_grad_value_`."
    )
    lookahead: Lookahead | None = Field(
        None, description="Slow weights around the optimizer; an object, `{}` for its defaults."
    )
    ema: Ema | None = Field(None, description="Average the weights over the steps; an object, `{}` for its defaults.")
    swa: Swa | None = Field(None, description="Average the weights over the ends of epochs; an object.")
    metrics: Annotated[tuple[SerializeAsAny[Metric], ...], WithJsonSchema(METRIC_LIST)] = Field(
        (),
        description="What is computed of each validation, and of the test, beside loss and accuracy: a list of "
        "metrics by name, or as objects with a type and options.",
    )
    log_every: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="Loss and learning rate are told of each n-th step, of 2,000 at most; null tells of none."
    )
    early_stopping: EarlyStopping | None = Field(
        None, description="End the run when it no longer gets better; an object, `{}` for its defaults."
    )
    target: Target | None = Field(None, description="End the run when it is good enough, and tell when; an object.")
    max_seconds: Annotated[Real, Field(gt=0, le=1e9)] | None = Field(
        None,
        description="How long all training and validation may take, compilation not counted: the epoch under way ends "
        "about 0.1 s after, with what it has seen.",
    )
    max_steps: Annotated[Whole, Field(ge=1, le=2_000_000_000)] | None = Field(
        None, description="Steps of the optimizer in all, after which the epoch under way ends with what it has seen."
    )
    precision: Precision = Field(
        "float32", description="Precision of operands; sums, weights and statistics stay float32."
    )
    device: Text | None = Field(  # whether it is here is asked where it is used: a stored definition may travel
        None,
        description="Where to train: a platform (`cpu`, `gpu`, `tpu`) for its first device, or a device such as "
        "`gpu:1`, as `GET /api/devices` lists them; without it the default one.",
    )

    def goal_of(self, metric: str, asked: Goal | None = None) -> Goal:
        """Which values of a metric of the run are better. asked: what a part of it says."""
        return asked or self.watched[metric]

    @property
    def watched(self) -> dict[str, Goal]:
        """All single numbers that are measured after each epoch, by name, and which values are better."""
        extra: dict[str, Goal] = {
            f"val_{name}": "maximize" if metric.higher else "minimize"
            for metric in self.metrics
            for name in metric.single
        }
        return {**GOALS, **extra}

    @property
    def kept_by(self) -> tuple[str, Goal] | None:
        """The metric by which the best epoch is kept, and its goal; None where the last one is."""
        rule = self.early_stopping
        if rule and rule.restore_best:
            return rule.metric, self.goal_of(rule.metric, rule.goal)
        return ("val_loss", "minimize") if self.keep_best else None

    def to_json(self) -> dict[str, Any]:
        """Every field filled in."""
        found = self.model_dump(mode="json", serialize_as_any=True)  # all that a type has, not its base class alone
        return {**found, "loss": self.loss.to_json()}


def parse_hyperparams(value: object, path: Path = ("hyperparams",)) -> Hyperparams:
    """Checked hyperparameters, None and {} meaning all defaults; SpecError with every problem."""
    if not isinstance(value, dict | None):
        raise SpecError([no_object(value, path)])
    fields = dict(value or {})
    problems: list[Problem] = []
    typed: dict[str, Any] = {}
    for name, read in READERS.items():
        for said in [word for word in words_for(name) if word in fields][:1]:
            if fields[said] is None and name in OPTIONAL:
                continue
            try:
                typed[name] = read(fields.pop(said), (*path, said))
            except SpecError as error:
                problems += error.problems
    try:
        hint = partial(inside, value or {})
        parsed = parse(Hyperparams, fields, path, owner="hyperparams", aliases=ALIASES, elsewhere=hint)
    except SpecError as error:
        raise SpecError([*error.problems, *problems]) from None
    if problems:
        raise SpecError(problems)
    made = validated_ones(parsed.model_copy(update=typed))
    if problems := list(conflicts(made, path)):
        raise SpecError([in_words_of(value, problem, names_at, path) for problem in problems])
    return made


def validated_ones(made: Hyperparams) -> Hyperparams:
    """The same with `f1` as `val_f1` where a part looks at a metric: it is that of the validation."""
    names = {name.removeprefix("val_"): name for name in made.watched if name not in GOALS}
    for field in ("early_stopping", "target", "lr_schedule"):
        part = getattr(made, field)
        if part and getattr(part, "metric", None) in names:
            made = made.model_copy(update={field: part.model_copy(update={"metric": names[part.metric]})})
    return made


def conflicts(made: Hyperparams, path: Path) -> Iterator[Problem]:
    """What is wrong about fields that are right each by itself."""
    for name in ("lookahead", "ema", "swa") if made.optimizer.averages else ():
        if getattr(made, name) is not None:
            rule = f"cannot stand beside {made.optimizer.type}, which averages the weights itself; leave it out"
            yield Problem((*path, name), rule, "conflict", expected=None, fix=(Change("remove", (*path, name)),))
    if made.swa and made.swa.from_epoch > made.epochs:
        rule = f"must be at most {made.epochs}, the number of epochs, got {made.swa.from_epoch}"
        most = {"type": "integer", "minimum": 1, "maximum": made.epochs}
        yield Problem((*path, "swa", "from_epoch"), rule, "out_of_range", expected=most, got=made.swa.from_epoch)
    if made.lr_schedule is not None:
        yield from made.lr_schedule.problems(made.optimizer.cycled(), (*path, "lr_schedule"))
    for name in ("early_stopping", "target", "lr_schedule"):
        if metric := getattr(getattr(made, name), "metric", None):
            yield from unmeasured(metric, made.watched, (*path, name, "metric"))
    if made.target:
        yield from unreachable(made.target, (*path, "target", "value"))


def unmeasured(metric: str, watched: Mapping[str, Goal], path: Path) -> Iterator[Problem]:
    """A metric that is not computed after each epoch."""
    known: Names[Goal] = Names("metric")
    for name, goal in watched.items():
        known.add(name, goal)
    try:
        known.known(metric)
    except BrokenRule as rule:
        once = " The test is measured once, when training has ended." * metric.startswith("test_")
        other = metric_of(metric.removeprefix("val_"))
        asked = f" Ask for it with metrics: {shown([other.type])}." if other and not once else ""
        problem, more = rule.at(path), once or asked
        stop = "." if more and not problem.detail.endswith("?") else ""
        yield replace(problem, detail=f"{problem.detail}{stop}{more}", got=metric)


def unreachable(target: Target, path: Path) -> Iterator[Problem]:
    """An accuracy in percent."""
    if target.metric.endswith("accuracy") and not 0 <= target.value <= 1:
        share = target.value / 100
        cure = f"; send {share:g} for {target.value:g} %" if 0 <= share <= 1 else ""
        rule = f"must be a share from 0 to 1, as {target.metric} is, got {shown(target.value)}{cure}"
        fix = (Change("replace", path, share),) if cure else ()
        expected = {"type": "number", "minimum": 0, "maximum": 1}
        yield Problem(path, rule, "out_of_range", expected=expected, got=target.value, fix=fix)


def part_reader(name: str, cls: type[Spec]) -> Reader:
    """Reads the field of that name, one of `PARTS`."""

    def read(value: object, path: Path) -> Spec | None:
        if value is None:
            return None
        return parse(cls, value, path, owner=name, aliases=aliases_of(cls), example=EXAMPLES[name])

    return read


def beside(name: str, value: object) -> Hint:
    """Where a field belongs that came inside of one that has a type."""
    return Hint(" It belongs in hyperparams, beside it.") if name in Hyperparams.model_fields else Hint()


READERS: Mapping[str, Reader] = {
    **{name: partial(registry.parse, elsewhere=beside) for name, registry in TYPED.items()},
    **{name: part_reader(name, cls) for name, cls in PARTS.items()},
    "augment": parse_augment,
    "regularizers": parse_regularizers,
    "metrics": SEVERAL.parse,
    "groups": parse_groups,
}


def part_schema(name: str, field: Mapping[str, Any]) -> dict[str, Any]:
    """What a field of `PARTS` takes, as JSON Schema. field: of the schema of `Hyperparams`."""
    schema = PARTS[name].model_json_schema()
    others = {alias: schema["properties"][own] for alias, own in aliases_of(PARTS[name]).items()}
    made = {**schema, "properties": {**schema["properties"], **others}}
    told = {key: field[key] for key in ("default", "description") if key in field}
    return {"anyOf": [made, {"type": "null"}], **told}


DEFAULTS: Mapping[str, Any] = {"optimizer": Sgd().model_dump(mode="json"), "loss": "cross_entropy"}


def merged(kept: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters as JSON with what `sent` names, by whatever name, instead; unchecked.

    An optimizer, a schedule or a loss of the type that is kept, or of none, keeps the options that it leaves out;
    another type is taken as it came, since its options mean something else. So is a name alone. An object without
    types, such as `ema`, keeps what it leaves out.
    """
    result = _replaced(kept, sent, ALIASES)
    for field, registry in TYPED.items():
        own, new = kept.get(field, DEFAULTS.get(field)), sent.get(field)
        own, new = (
            registry.by_its_own_name({"type": own} if isinstance(own, str) else own),
            registry.by_its_own_name(new),
        )
        if isinstance(own, dict) and isinstance(new, dict) and new.get("type", own["type"]) == own["type"]:
            result[field] = _beside(own, new, registry[own["type"]])
    for name, cls in PARTS.items():
        if isinstance(own := kept.get(name), dict) and isinstance(part := sent.get(name), dict):
            result[name] = _replaced(own, part, aliases_of(cls))
    return result


def _beside(kept: Mapping[str, Any], sent: Mapping[str, Any], cls: type[Typed]) -> dict[str, Any]:
    """Options of the same type; what means nothing in `sent` gets no meaning from what is kept, unless it is in use."""
    nothing = cls.ignored_in(sent).model_fields.keys() & cls.model_fields.keys() if "type" in sent else ()
    meant = {name: value for name, value in sent.items() if name not in nothing or kept.get(name)}
    return _replaced(kept, meant, cls.aliases)


def _replaced(kept: Mapping[str, Any], sent: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    names = {aliases.get(name, name) for name in sent}
    return {**{name: value for name, value in kept.items() if aliases.get(name, name) not in names}, **sent}
