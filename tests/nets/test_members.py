"""What stands around optimizers: groups of layers, frozen ones, weight decay that spares some, clipping, lookahead."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.errors import SpecError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.inspection.memory import memory_needed
from nets.network import initial_variables
from nets.optimizers import OPTIMIZERS
from nets.training import fit as module
from nets.training.cache import ProgramCache
from nets.training.check import check_fit
from nets.training.events import EpochEnd, Finished
from nets.training.members import members_of
from nets.training.programs import start
from nets.training.snapshot import load_snapshot, save_snapshot
from nets.training.update import Update, kept_otherwise, shapes_of
from nets.training.workload import workload_of
from tests.nets.builders import network, stripes

NET = network(
    {
        "type": "repeat",
        "times": 2,
        "name": "stem",
        "layers": [{"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": "same"}, {"type": "batchnorm2d"}],
    },
    {"type": "flatten"},
    {"type": "linear", "name": "head", "out": 3},
)
fit = partial(module.fit, programs=ProgramCache())
SGD = {"type": "sgd", "lr": 0.1}


def hyper(**fields: Any) -> Hyperparams:
    return parse_hyperparams({"epochs": 2, "batch_size": 8, "train_split": 0.8, "optimizer": SGD, **fields})


def stepped(h: Hyperparams, gradients: Any, params: Any, steps: int = 1) -> Any:
    """The parameters after steps with the same gradients."""
    update = Update.of(h, NET.graph)

    @jax.jit  # one program in place of one for each operation and shape
    def run(params: Any) -> Any:
        numbers, state = update.numbers(), update.init(params)
        for step in range(steps):
            made, state = update.updates(update.changed(gradients), state, params, jnp.int32(step), numbers)
            params = update.added(params, made)
        return params

    return run(params)


PARAMS = initial_variables(NET.graph, seed=0)["params"]
GRADIENTS = jax.tree.map(lambda x: np.ones(x.shape, np.float32), PARAMS)


def moved(h: Hyperparams) -> dict[str, float]:
    """By how much each array went down where gradients are 1, if all its numbers did alike."""
    after = stepped(h, GRADIENTS, PARAMS)
    found = {}
    for layer, own in PARAMS.items():
        for name, x in own.items():
            found[f"{layer}.{name}"] = round(float(np.mean(np.asarray(x) - np.asarray(after[layer][name]))), 6)
    return found


def test_a_group_learns_by_factors_of_the_learning_rate() -> None:
    plain, grouped = moved(hyper()), moved(hyper(groups=[{"layers": "head", "lr": 0.5}, {"layers": "*.1.*", "lr": 0}]))
    assert set(plain.values()) == {0.1}
    assert {value for name, value in grouped.items() if name.startswith("head")} == {0.05}
    assert {value for name, value in grouped.items() if name.startswith("stem.1")} == {0}
    assert {value for name, value in grouped.items() if name.startswith("stem.0")} == {0.1}


def test_weight_decay_spares_biases_and_norms_where_that_is_asked_for() -> None:
    h = {"optimizer": {"type": "adamw", "lr": 0.01, "weight_decay": 0.5}}
    after = {
        exclude: stepped(hyper(**h, weight_decay_exclude=exclude), GRADIENTS, PARAMS)
        for exclude in (None, "bias_and_norm")
    }
    none = stepped(hyper(optimizer={**h["optimizer"], "weight_decay": 0}), GRADIENTS, PARAMS)
    for layer, own in PARAMS.items():
        for name in own:
            spared = name == "bias" or "batchnorm" in layer
            expected = none if spared else after[None]
            assert np.array_equal(after["bias_and_norm"][layer][name], expected[layer][name]), (layer, name)
    assert not np.array_equal(after[None]["head"]["kernel"], none["head"]["kernel"])


def test_a_group_s_factor_of_weight_decay_multiplies_it() -> None:
    h = {
        "optimizer": {"type": "adamw", "lr": 0.01, "weight_decay": 0.5},
        "groups": [{"layers": "head", "weight_decay": 0}],
    }
    grouped, none = (
        stepped(hyper(**h), GRADIENTS, PARAMS),
        stepped(hyper(optimizer={"type": "adamw", "lr": 0.01, "weight_decay": 0}), GRADIENTS, PARAMS),
    )
    assert np.allclose(grouped["head"]["kernel"], none["head"]["kernel"], rtol=1e-6)
    assert not np.allclose(grouped["stem.0.conv2d_0"]["kernel"], none["stem.0.conv2d_0"]["kernel"])


def test_gradients_are_clipped_as_pytorch_clips_them() -> None:
    many = sum(x.size for x in jax.tree.leaves(PARAMS))
    norm, value = moved(hyper(gradient_clip_norm=2)), moved(hyper(gradient_clip_value=0.25))
    assert set(norm.values()) == {round(0.1 * 2 / (many**0.5 + 1e-6), 6)}
    assert set(value.values()) == {0.025}
    both = moved(hyper(gradient_clip_value=0.25, gradient_clip_norm=1e5))
    assert both == value


def test_a_norm_is_that_of_the_gradients_that_are_used() -> None:
    many = sum(x.size for x in PARAMS["head"].values())
    clipped = moved(hyper(gradient_clip_norm=2, frozen=["stem"]))
    assert {value for name, value in clipped.items() if name.startswith("head")} == {round(0.2 / many**0.5, 6)}


def test_what_is_frozen_takes_no_memory() -> None:
    h, a, data = hyper(frozen=["stem.0*", "stem.1.conv2d_0"], optimizer={"type": "adam", "lr": 0.01}), NET, stripes()
    workload = workload_of(a, h, train=48, samples=100)
    assert set(workload.update.changed(PARAMS)) == {"head", "stem.1.batchnorm2d_1"}
    held = jax.tree.leaves(shapes_of(workload.update, PARAMS))
    kept = sum(x.size for layer in ("head", "stem.1.batchnorm2d_1") for x in PARAMS[layer].values())
    assert sum(x.size for x in held) == 2 * kept + 1
    assert (
        memory_needed(a, h, data.info).optimizer
        < memory_needed(a, hyper(optimizer={"type": "adam"}), data.info).optimizer
    )


def test_another_factor_is_the_same_program_and_other_layers_are_not() -> None:
    def workload(**fields: Any) -> Any:
        return workload_of(NET, hyper(**fields), train=48, samples=100)

    one = workload(groups=[{"layers": "head", "lr": 0.5}], gradient_clip_norm=1, lookahead={"k": 2})
    assert one == workload(
        groups=[{"layers": ["hea?"], "weight_decay": 3}], gradient_clip_norm=9, lookahead={"alpha": 0.1}
    )
    assert one != workload(groups=[{"layers": "stem"}], gradient_clip_norm=1, lookahead={})
    assert one != workload(groups=[{"layers": "head", "lr": 0.5}], lookahead={})
    assert workload() == workload(optimizer={**SGD, "lr": 0.7}) and members_of(hyper(), NET.graph) == ()


def test_lookahead_goes_back_to_slow_weights_every_few_steps() -> None:
    h = hyper(lookahead={"k": 2, "alpha": 0.25})
    x = {"head": {"bias": np.zeros(3, np.float32)}}
    g = {"head": {"bias": np.ones(3, np.float32)}}
    # Fast: -0.1, -0.2; slow: a quarter of -0.2; fast goes on from there: -0.15, -0.25; slow: -0.05 - 0.25 * 0.2
    ways = [float(stepped(h, g, x, steps)["head"]["bias"][0]) for steps in range(1, 5)]
    assert np.allclose(ways, [-0.1, -0.05, -0.15, -0.1], atol=1e-7)


def test_alpha_goes_along_a_ramp() -> None:
    """As `1 - 0.95^5 (t / T)^3`, that of airbench94, in numbers that another ramp changes alone."""
    ramp = {"k": 2, "alpha": 1, "final_alpha": 0.25, "ramp_epochs": 4, "ramp_power": 3}
    h = hyper(lookahead=ramp)
    x, g = ({"head": {"bias": np.full(3, value, np.float32)}} for value in (0, 1))
    slow = fast = 0.0
    for step in range(1, 7):
        fast -= 0.1
        if step % 2 == 0:
            slow += (1 - 0.75 * min(step / 4, 1) ** 3) * (fast - slow)
            fast = slow
    assert np.allclose(stepped(h, g, x, 6)["head"]["bias"], fast, atol=1e-6)
    assert Update.of(h, NET.graph).numbers(steps_per_epoch=5)["lookahead"]["ramp_epochs"] == 20
    other = hyper(lookahead={**ramp, "ramp_epochs": 9, "ramp_power": 1})
    assert Update.of(h, NET.graph).structure() == Update.of(other, NET.graph).structure()


def test_patterns_name_arrays_of_layers() -> None:
    h = hyper(frozen="stem.0.conv2d_0.kernel", groups=[{"layers": "*batchnorm2d*.bias", "lr": 64}, {"layers": "stem"}])
    (fast,) = (each for each in members_of(h, NET.graph) if each.factors == 0)
    assert {name for _, name in fast.arrays} == {"bias"} and len(fast.arrays) == 2
    everything = {place for each in members_of(h, NET.graph) for place in each.arrays}
    assert ("stem.0.conv2d_0", "bias") in everything and ("stem.0.conv2d_0", "kernel") not in everything


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"frozen": ["steam*"]}, r'hyperparams.frozen: "steam\*" names no layer with weights.* There are: stem.0.conv2d_0,'),
        ({"groups": [{"layers": "flatten_1", "lr": 0.1}]}, r"hyperparams.groups\[0\].layers: \"flatten_1\" names no layer"),
        ({"frozen": "*"}, "hyperparams.frozen: names every layer that has weights"),
        ({"frozen": ["head.kernel", "head.scale"]}, r'"head.scale" names no array of these layers; theirs are bias, kernel'),
        ({"groups": [{"layers": "*"}, {"layers": "head"}]}, r"hyperparams.groups\[1\].layers: names only layers that an earlier"),
    ],
)  # fmt: skip
def test_patterns_that_name_nothing_are_told(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        check_fit(NET, hyper(**fields), stripes().info)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"groups": {"layers": "head"}}, "hyperparams.groups: must be a list of up to 64 objects"),
        ({"groups": [{"lr": 0.1}]}, r"hyperparams.groups\[0\].layers: is required by a group"),
        ({"groups": [{"layers": "a", "lr": -1}]}, r"hyperparams.groups\[0\].lr: must be at least 0, got -1"),
        ({"groups": [{"layers": 3}]}, r"hyperparams.groups\[0\].layers: must be a pattern of layer names"),
        ({"frozen": [3]}, "hyperparams.frozen: must be a pattern of layer names"),
        ({"gradient_clip_norm": 0}, "hyperparams.gradient_clip_norm: must be greater than 0, got 0"),
        ({"weight_decay_exclude": "norms"}, "hyperparams.weight_decay_exclude: must be 'bias_and_norm'"),
        ({"optimizer": {"type": "adam", "gradient_clip_norm": 1}}, "It belongs in hyperparams, beside it."),
        ({"lookahead": {"k": 0}}, "hyperparams.lookahead.k: must be at least 1, got 0"),
        ({"lookahead": {}, "optimizer": {"type": "schedule_free_adamw"}}, "lookahead: cannot stand beside schedule_free"),
        ({"ema": {}, "optimizer": {"type": "schedule_free_adamw"}}, "hyperparams.ema: cannot stand beside schedule_free"),
    ],
)  # fmt: skip
def test_bad_options_are_told(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        hyper(**fields)


def test_null_is_none() -> None:
    none = {"frozen": None, "groups": None, "lookahead": None, "gradient_clip_norm": None, "weight_decay_exclude": None}
    assert hyper(**none) == hyper()


def test_what_is_asked_for_comes_back_filled_in() -> None:
    h = hyper(groups=[{"layers": "head"}], frozen="stem*", lookahead={})
    told = h.to_json()
    assert told["groups"] == [{"layers": ["head"], "lr": 1.0, "weight_decay": 1.0}]
    assert (told["frozen"], told["lookahead"]["alpha"]) == (["stem*"], 0.5)
    assert parse_hyperparams(told) == h


def test_a_run_goes_on_only_from_what_its_optimizer_kept() -> None:
    plain, graph = hyper(), NET.graph
    assert list(kept_otherwise(plain, hyper(gradient_clip_norm=1), graph)) == []
    assert list(kept_otherwise(plain, hyper(lookahead={}, frozen="head"), graph)) == ["lookahead", "frozen"]
    one = hyper(groups=[{"layers": "head", "lr": 0.5}])
    assert list(kept_otherwise(one, hyper(groups=[{"layers": "he*", "lr": 0.1}]), graph)) == []
    assert list(kept_otherwise(one, hyper(groups=[{"layers": "stem"}]), graph)) == ["groups"]


ALL: dict[str, Any] = {
    "groups": [{"layers": "head", "lr": 0.5}],
    "frozen": ["stem.0"],
    "weight_decay_exclude": "bias_and_norm",
    "gradient_clip_norm": 0.5,
    "regularizers": [{"type": "l1"}],
    "lookahead": {"k": 4},
    "optimizer": {"type": "adamw", "lr": 0.01},
}
FREE = {"optimizer": {"type": "schedule_free_adamw", "lr": 0.01}}


EACH = [{"optimizer": {"type": kind, "lr": 0.01}, "weight_decay_exclude": "bias_and_norm"} for kind in OPTIMIZERS]


@pytest.mark.parametrize("fields", [ALL, *(pytest.param(each, marks=pytest.mark.slow) for each in EACH)], ids=str)
def test_a_run_that_goes_on_ends_on_the_same_bits_and_what_is_frozen_stays(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    h, path = hyper(**fields), tmp_path / "state"
    result = []
    for event in fit(NET, h, stripes()):
        result.append(event)
        if isinstance(event, EpochEnd) and event.epoch == 1:
            save_snapshot(path, event.take())
    again = list(fit(NET, h, stripes(), resume=load_snapshot(path, NET, h)))[-1]
    whole = result[-1]
    assert isinstance(whole, Finished) and isinstance(again, Finished)
    assert all(
        np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (whole.variables, again.variables)), strict=True)
    )
    first = initial_variables(NET.graph, seed=h.seed)["params"]
    for layer, own in whole.variables["params"].items():
        still = "frozen" in fields and layer.startswith("stem.0")
        assert all(np.array_equal(x, first[layer][name]) for name, x in own.items()) == still, layer
    assert np.any(whole.variables["batch_stats"]["stem.0.batchnorm2d_1"]["mean"])  # as with requires_grad_(False)


def test_the_average_of_an_optimizer_is_what_is_evaluated() -> None:
    h = hyper(**FREE)
    workload = workload_of(NET, h, train=48, samples=100)
    state = start(workload, initial_variables(NET.graph, seed=0))
    update = workload.update
    assert update.source(state) == "optimizer"
    assert all(
        np.array_equal(a, b)
        for a, b in zip(*map(jax.tree.leaves, (update.evaluated(state)["params"], PARAMS)), strict=True)
    )
