"""Learning rates of every schedule, step by step: PyTorch's, optax's, and what holds of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nets.errors import SpecError
from nets.schedules import SCHEDULES, Plateau, ReduceOnPlateau, Schedule, Span
from nets.schedules.base import on_host
from nets.schedules.rates import rate_at, rates
from nets.stopping.goals import GOALS
from tests.nets.parity.schedules import CASES, EPOCHS, LR, PLATEAUS, RECORDED, STEPS_PER_EPOCH

Json = dict[str, Any]
SPAN = Span(STEPS_PER_EPOCH, EPOCHS, LR)
TORCH = dict(np.load(RECORDED))


def schedule(**fields: Any) -> Schedule:
    return SCHEDULES.parse(fields, ("lr_schedule",))


def curve(spec: Schedule, span: Span = SPAN, kind: Any = np.float64) -> np.ndarray:
    """The learning rate of every step, as the host computes it. kind: of the numbers; programs have float32."""
    steps = np.arange(span.passed, span.passed + span.steps_per_epoch * span.epochs).astype(kind)
    n = {name: np.asarray(value, kind) for name, value in spec.inputs(span).items()}
    factors = np.asarray(spec.scale(steps, n))
    assert factors.dtype == kind
    return span.lr * factors.astype(np.float64)


def test_every_schedule_is_held_against_pytorch() -> None:
    assert {case.ours["type"] for case in CASES.values()} | {"reduce_on_plateau"} == set(SCHEDULES)
    assert TORCH.keys() == CASES.keys() | PLATEAUS.keys()


@pytest.mark.parametrize("name", CASES)
def test_three_epochs_have_pytorch_s_learning_rates(name: str) -> None:
    spec = schedule(**CASES[name].ours)
    assert np.allclose(curve(spec), TORCH[name][:, 0], rtol=1e-5, atol=1e-7)


def test_a_program_computes_what_the_host_tells() -> None:
    """It knows structures alone: their numbers are its inputs."""
    specs = {name: schedule(**case.ours) for name, case in CASES.items()}
    bare = {name: spec.structure() for name, spec in specs.items()}
    inputs = jax.tree.map(jnp.float32, {name: dict(on_host(spec.inputs(SPAN))) for name, spec in specs.items()})

    @jax.jit
    def program(step: jax.Array, inputs: Any) -> Any:
        return {name: bare[name].scale(step, n) for name, n in inputs.items()}

    found = [program(jnp.int32(step), inputs) for step in range(SPAN.steps_per_epoch * SPAN.epochs)]
    for name, spec in specs.items():
        assert np.allclose([LR * float(each[name]) for each in found], curve(spec), rtol=2e-6, atol=1e-9), name


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("one_cycle")])
def test_the_momentum_of_one_cycle_is_pytorch_s(name: str) -> None:
    spec = schedule(**CASES[name].ours).over(["momentum"])
    found = spec.momentum(np.arange(SPAN.steps_per_epoch * SPAN.epochs), on_host(spec.inputs(SPAN)))
    assert np.allclose(found, TORCH[name][:, 1], rtol=1e-5)
    assert schedule(type="one_cycle").over([]).momentum(0, {}) is None


@pytest.mark.parametrize("name", PLATEAUS)
def test_a_plateau_reduces_as_pytorch_does(name: str) -> None:
    """And so does one that goes on from the state of another after each epoch."""
    fields, _, metrics = PLATEAUS[name]
    spec = schedule(type="reduce_on_plateau", **fields)
    assert isinstance(spec, ReduceOnPlateau)
    goal = spec.goal or GOALS[spec.metric]
    rule, found = Plateau(spec, LR, goal), []
    for value in metrics:
        rule.see({spec.metric: value})
        rule.see({"another": 0.0})
        found.append(LR * rule.reduced)
        state, rule = rule.state(), Plateau(spec, LR, goal)
        rule.go_on(state)
    assert np.allclose(found, TORCH[name], rtol=1e-9)
    assert len(set(found)) > 1 or not fields


N, S = SPAN.steps_per_epoch * SPAN.epochs, SPAN.steps_per_epoch
OPTAX: list[tuple[Json, Callable[[], optax.Schedule]]] = [
    ({"type": "linear", "final_lr": 0.05}, lambda: optax.linear_schedule(LR, 0.05, N)),
    ({"type": "polynomial", "power": 3, "final_lr": 0.01}, lambda: optax.polynomial_schedule(LR, 0.01, 3, N)),
    ({"type": "exponential", "gamma": 0.6}, lambda: optax.exponential_decay(LR, S, 0.6)),
    ({"type": "exponential", "gamma": 0.6, "staircase": True}, lambda: optax.exponential_decay(LR, S, 0.6, staircase=True)),
    ({"type": "cosine", "final_lr": 0.02}, lambda: optax.cosine_decay_schedule(LR, N, 0.1)),
    ({"type": "multistep", "milestones_epochs": [1, 2], "gamma": 0.5}, lambda: optax.piecewise_constant_schedule(LR, {S: 0.5, 2 * S: 0.5})),
    ({"type": "piecewise", "points": [[1, 0.3], [2, 0.9]]}, lambda: optax.piecewise_constant_schedule(LR, {S: 0.3, 2 * S: 3})),
    ({"type": "piecewise", "points": [[0, 1], [2, 0.5], [3, 0.1]], "interpolation": "linear"}, lambda: optax.piecewise_interpolate_schedule("linear", LR, {2 * S: 0.5, 3 * S: 0.2})),
    ({"type": "wsd", "decay_epochs": 1, "final_lr": 0.02}, lambda: optax.join_schedules([optax.constant_schedule(LR), optax.linear_schedule(LR, 0.02, S)], [2 * S])),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), OPTAX, ids=[str(ours) for ours, _ in OPTAX])
def test_three_epochs_have_optax_s_learning_rates(ours: Json, theirs: Callable[[], optax.Schedule]) -> None:
    assert np.allclose(curve(schedule(**ours)), jax.vmap(theirs())(jnp.arange(N)), rtol=1e-5, atol=1e-7)


def drawn(kind: str, random: np.random.Generator) -> Json:
    """Random options of a type."""

    def some(low: float, high: float) -> float:
        return float(np.exp(random.uniform(np.log(low), np.log(high))))

    final = {"final_lr": float(random.choice([0.0, some(1e-6, 0.1)]))}
    rows = np.sort(random.choice(np.arange(1, 99), 5, replace=False)) / 10
    own: dict[str, Json] = {
        "constant": {},
        "linear": final,
        "polynomial": {**final, "power": some(0.2, 4)},
        "exponential": {"gamma": some(0.3, 1.2), "staircase": bool(random.integers(2))},
        "inverse_sqrt": {"timescale_epochs": random.choice([None, some(0.01, 10)])},
        "step": {"step_epochs": some(0.05, 10), "gamma": some(0.3, 2)},
        "multistep": {"milestones_epochs": rows.tolist(), "gamma": some(0.3, 2)},
        "cosine": {**final, "restart_epochs": random.choice([None, some(0.05, 10)]), "restart_factor": random.choice([1.0, some(1, 4)])},
        "one_cycle": {"pct_start": random.uniform(), "three_phase": bool(random.integers(2)), "div_factor": some(1, 1e3), "anneal_strategy": str(random.choice(["cos", "linear"]))},
        "wsd": {**final, "decay_epochs": random.choice([None, some(0.05, 10)]), "decay": str(random.choice(["linear", "cosine", "sqrt"]))},
        "reduce_on_plateau": {},
        "piecewise": {"points": [[e, some(0.01, 3)] for e in rows.tolist()], "interpolation": str(random.choice(["constant", "linear"]))},
    }  # fmt: skip
    warm = {"warmup_epochs": float(random.choice([0.0, some(0.05, 20)])), "warmup_start_factor": random.uniform() ** 4}
    over = {"begin_after_epochs": float(random.choice([0.0, some(0.1, 3)])), "horizon_epochs": random.choice([None, some(0.2, 20)])}  # fmt: skip
    common = {"warmup_epochs": random.choice([None, some(0.1, 5)])} if kind == "one_cycle" else warm
    return {"type": kind, **common, **({} if kind == "reduce_on_plateau" else over), **own[kind]}


@pytest.mark.parametrize("kind", SCHEDULES)
def test_every_learning_rate_is_finite_and_above_zero(kind: str) -> None:
    """Whatever the options: none is ever 0, and what is told first, largest and last is so."""
    random = np.random.default_rng(len(kind))
    for _ in range(60):
        fields = drawn(kind, random)
        span = Span(int(random.integers(1, 40)), int(random.integers(1, 12)), 0.1, int(random.integers(2) * 17))
        spec = schedule(**fields)
        found, told = curve(spec, span), rates(spec, span)
        assert np.isfinite(found).all() and (found > 0).all(), fields
        single = curve(spec, span, np.float32)
        assert (single > 0).all()
        assert np.allclose(single, found, rtol=3e-4, atol=1e-5 * found.max()), (fields, span)
        assert (told["first"], told["last"]) == (found[0], found[-1]), fields
        assert told["largest"] == pytest.approx(found.max(), rel=1e-6), (fields, span)
        assert rate_at(spec, span, span.passed) == told["first"]
        assert SCHEDULES.parse(spec.model_dump(mode="json"), ()) == spec
        bare = spec.structure()
        assert bare.structure() == bare and bare.inputs(span).keys() == spec.inputs(span).keys()
        for name, value in bare.inputs(Span()).items():
            assert np.shape(value) == np.shape(spec.inputs(span)[name])


# Of every type: the factors of the first and of the last step, of N steps of which S are an epoch, without a warm-up.
ENDS: list[tuple[Json, Callable[[int, int], tuple[float, float]]]] = [
    ({"type": "constant"}, lambda n, s: (1, 1)),
    ({"type": "linear"}, lambda n, s: (1, 1 / n)),
    ({"type": "linear", "final_lr": 0.02}, lambda n, s: (1, 0.1 + 0.9 / n)),
    ({"type": "polynomial", "power": 2}, lambda n, s: (1, n**-2)),
    ({"type": "exponential", "gamma": 0.5}, lambda n, s: (1, 0.5 ** ((n - 1) / s))),
    ({"type": "exponential", "gamma": 0.5, "staircase": True}, lambda n, s: (1, 0.5 ** ((n - 1) // s))),
    ({"type": "inverse_sqrt"}, lambda n, s: (1, (s / (s + n - 1)) ** 0.5)),
    ({"type": "step", "step_epochs": 1}, lambda n, s: (1, 0.1 ** ((n - 1) // s))),
    ({"type": "multistep", "milestones_epochs": [1, 2]}, lambda n, s: (1, 0.1 ** min((n - 1) // s, 2))),
    ({"type": "cosine"}, lambda n, s: (1, np.sin(np.pi / 2 / n) ** 2)),
    ({"type": "cosine", "restart_epochs": 1, "final_lr": 0.02}, lambda n, s: (1, 0.1 + 0.9 * np.sin(np.pi / 2 / s) ** 2)),
    ({"type": "one_cycle", "pct_start": 0.5}, lambda n, s: (0.04, 4e-6)),
    ({"type": "one_cycle", "div_factor": 4, "three_phase": True}, lambda n, s: (0.25, 2.5e-5)),
    ({"type": "wsd", "decay_epochs": 1}, lambda n, s: (1, 1 / s)),
    ({"type": "reduce_on_plateau"}, lambda n, s: (1, 1)),
    ({"type": "piecewise", "points": [[1, 0.5], [2, 0.2]]}, lambda n, s: (1, [1, 0.5, 0.2][(n - 1) // s])),
    ({"type": "piecewise", "points": [[0, 1], [3, 0]], "interpolation": "linear"}, lambda n, s: (1, 1 - (n - 1) / s / 3)),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "ends"), ENDS, ids=[str(ours) for ours, _ in ENDS])
def test_the_first_and_the_last_step_have_what_they_should(ours: Json, ends: Callable[[int, int], Any]) -> None:
    """Of one epoch or three, of one step or several; and a warm-up of 2.1 steps begins with so little of it."""
    for steps, epochs in ((7, 3), (7, 1), (1, 3), (1, 1)):
        span = Span(steps, epochs, LR)
        found = curve(schedule(**ours), span)
        if steps > 1 or ours["type"] != "one_cycle":
            assert np.allclose(found[[0, -1]] / LR, ends(steps * epochs, steps), rtol=1e-6), (steps, epochs)
        assert (found > 0).all()
        if ours["type"] != "one_cycle":
            warmed = curve(schedule(**ours, warmup_epochs=0.3), span)
            assert warmed[0] == pytest.approx(found[0] / max(0.3 * steps, 1))


@pytest.mark.parametrize("kind", ["step", "multistep", "exponential", "polynomial"])
def test_no_power_is_so_small_that_it_is_0(kind: str) -> None:
    options: dict[str, Json] = {
        "step": {"step_epochs": 0.1},
        "multistep": {"milestones_epochs": list(range(1, 90)), "gamma": 0.01},
        "exponential": {"gamma": 0.001},
        "polynomial": {"power": 20},
    }
    for dtype in (np.float32, np.float64):
        assert (curve(schedule(type=kind, **options[kind]), Span(100, 300, LR), dtype) > 0).all()


SMOOTH = ("constant", "linear", "polynomial", "inverse_sqrt", "cosine", "one_cycle", "wsd")


@pytest.mark.parametrize("kind", SMOOTH)
def test_a_smooth_schedule_goes_in_small_steps(kind: str) -> None:
    """Ten times as many steps are each so much smaller."""
    random = np.random.default_rng(7)
    for _ in range(20):
        fields = {**drawn(kind, random), "restart_epochs": None, "final_lr": 0.01, "power": 1.5}
        spec = schedule(**{name: value for name, value in fields.items() if name in SCHEDULES[kind].model_fields})
        jumps = [np.abs(np.diff(curve(spec, Span(steps, 4, 0.1)))).max() for steps in (400, 16_000)]
        assert jumps[1] < 0.3 * jumps[0] + 1e-9 or jumps[1] < 1e-4, (fields, jumps)


@pytest.mark.parametrize("kind", ["linear", "polynomial", "cosine", "wsd", "one_cycle"])
def test_a_schedule_ends_where_it_says(kind: str) -> None:
    """The first step after the warm-up has the whole learning rate; the last one is a step away from the final one."""
    long = Span(100, 10, 0.1)
    found = curve(schedule(type=kind), long)
    assert found[0] == pytest.approx(0.1 if kind != "one_cycle" else 0.1 / 25)
    assert 0 < found[-1] < found[-2] < 0.1 * 0.011
    if kind != "one_cycle":
        warmed = curve(schedule(type=kind, warmup_epochs=2, final_lr=0.01), long)
        assert warmed[0] == pytest.approx(0.1 / 200) and warmed[199] == warmed[200] == pytest.approx(0.1)
        assert warmed.argmax() in (199, 200) and warmed[-1] == pytest.approx(0.01, rel=0.05)


def test_the_last_steps_of_a_long_cosine_are_not_zero() -> None:
    """In float32, (1 + cos) / 2 is 0 from 0.0002 of the run before its end on."""
    span = Span(10_000, 100, 0.1)
    last = np.array([999_998, 999_999])
    spec = schedule(type="cosine")
    n = {name: np.float32(value) for name, value in spec.inputs(span).items()}
    found = np.asarray(spec.scale(last.astype(np.float32), n))
    assert np.allclose(found, np.sin(np.pi / 2 * (1e6 - last) / 1e6) ** 2, rtol=1e-4) and (found > 0).all()


def test_restarts_are_on_time_over_many_cycles() -> None:
    """A step that begins a cycle is never taken for the end of the one before, where the learning rate is 0."""
    for restart, factor in ((0.1, 1), (1 / 3, 1), (0.7, 1), (0.1, 1.5), (0.3, 2), (0.2, 1.01)):
        spec = schedule(type="cosine", restart_epochs=restart, restart_factor=factor)
        span = Span(30, 2000, 1.0)
        found, begin, length = curve(spec, span, np.float32), 0.0, 30 * restart
        while begin < 60_000 - length:
            first = int(np.ceil(begin - 1e-6))
            assert found[first] > 0.5 or length < 3, (restart, factor, begin)
            begin, length = begin + length, length * factor


def test_stairs_are_on_time() -> None:
    for every in (0.1, 0.3, 0.7, 1 / 3, 1.1):
        span = Span(30, 400, 1.0)
        found = curve(schedule(type="step", step_epochs=every, gamma=0.99), span, np.float32)
        stairs = np.flatnonzero(np.diff(found)) + 1
        due = np.ceil(np.arange(1, len(stairs) + 1) * every * 30 - 1e-6)
        kept = found[stairs] > 1e-30
        assert (stairs == due)[kept].all()


def test_steps_of_other_epochs_before_shift_the_curve() -> None:
    """A run that continues one with other batches stands at its epoch, not where so many steps would be."""
    for case in (case.ours for case in CASES.values()):
        spec = schedule(**case)
        moved = Span(STEPS_PER_EPOCH, EPOCHS, LR, passed=1000)
        assert np.array_equal(curve(spec, moved), curve(spec))


def test_a_curve_can_begin_late_and_end_early() -> None:
    plain = curve(schedule(type="cosine", warmup_epochs=1), Span(7, 2, LR))
    late = curve(schedule(type="cosine", warmup_epochs=1, begin_after_epochs=3), Span(7, 5, LR))
    assert np.array_equal(late[21:], plain) and (late[:21] == plain[0]).all()
    early = curve(schedule(type="cosine", warmup_epochs=1, horizon_epochs=2), Span(7, 5, LR))
    assert np.array_equal(early[:14], plain) and (early[14:] == plain[-1]).all()


@pytest.mark.parametrize("kind", SCHEDULES)
def test_the_examples_are_curves_of_a_few_epochs(kind: str) -> None:
    for example in SCHEDULES[kind].examples:
        assert example["type"] == kind
        assert len(set(curve(schedule(**example), Span(10, 5, 0.1)).round(6))) > 1 or kind == "reduce_on_plateau"


NEEDS_EPOCHS = {"linear", "polynomial", "cosine", "one_cycle", "wsd"}


@pytest.mark.parametrize("kind", SCHEDULES)
def test_what_depends_on_the_number_of_epochs_says_so(kind: str) -> None:
    own = {"step": {"step_epochs": 1}, "multistep": {"milestones_epochs": [2]}, "piecewise": {"points": [[2, 0.5]]}}
    spec = schedule(type=kind, **own.get(kind, {}))
    same = np.array_equal(curve(spec, Span(10, 8, 0.1))[:40], curve(spec, Span(10, 4, 0.1)))
    assert spec.needs_epochs == (not same) == (kind in NEEDS_EPOCHS)
    if spec.has_a_curve:
        fixed = schedule(type=kind, horizon_epochs=4, **own.get(kind, {}))
        assert not fixed.needs_epochs
        assert np.array_equal(curve(fixed, Span(10, 8, 0.1))[:40], curve(spec, Span(10, 4, 0.1)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "cosine", "warmup_epochs": -1}, r"warmup_epochs: must be at least 0, got -1"),
        ({"type": "cosine", "warmup": 1}, r"warmup: is not a field of cosine. Did you mean 'warmup_epochs'?"),
        (
            {"type": "cosine", "T_max": 9},
            r"T_max: is not a field of cosine. A curve is laid over all epochs of the run;",
        ),
        ({"type": "one_cycle", "max_lr": 0.1}, r"max_lr: is not a field of one_cycle. The curve has the lr of the opt"),
        ({"type": "cosin"}, r"Did you mean 'cosine'\?"),
        ({"type": "CosineAnnealingLR"}, r"Did you mean 'cosine'\?"),
        ({"type": "StepLR", "step_epochs": 1}, r"Did you mean 'step'\?"),
        ({"type": "step"}, r"step_epochs: is required by step"),
        ({"type": "step", "step_epochs": 0}, r"step_epochs: must be greater than 0"),
        ({"type": "multistep", "milestones_epochs": [2, 1]}, r"must have its epochs in rising order, each once, got"),
        ({"type": "multistep", "milestones_epochs": []}, r"must be a list of 1 to 256 epochs, got 0 of them"),
        ({"type": "multistep", "milestones_epochs": 3}, r"must be a list of epochs, got 3"),
        ({"type": "multistep", "milestones_epochs": ["a"]}, r"must be a number"),
        ({"type": "piecewise", "points": [[1, 2, 3]]}, r"must be pairs \[epoch, factor\]"),
        ({"type": "piecewise", "points": [[1, -1]]}, r"must have a factor from 0 to 1,000 in each pair, got"),
        ({"type": "piecewise", "points": [[1, "x"]]}, r"must be a number, got"),
        ({"type": "piecewise", "points": [[1, 1], [1, 2]]}, r"rising order"),
        ({"type": "cosine", "restart_epochs": 1, "restart_factor": 0.5}, r"restart_factor: must be at least 1"),
        ({"type": "reduce_on_plateau", "mode": "least"}, r"mode: must be 'minimize' or 'maximize', got"),
        ({"type": "reduce_on_plateau", "patience": 1.5}, r"patience: must be a whole number"),
    ],
)
def test_what_is_wrong_is_said_with_the_cure(fields: Json, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        schedule(**fields)
