"""What is legal and seldom meant: of each rule, requests that it doubts, and near ones that it lets pass."""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.demo.example import EXAMPLE
from nets import datasets
from nets.architecture.graph import Graph
from nets.architecture.read import parse_architecture
from nets.benchmarks import networks as benchmarked
from nets.doubts.case import Case
from nets.doubts.doubt import Doubt
from nets.doubts.rules import RULES, doubts
from nets.errors import found_at
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.layers import LAYERS
from nets.optimizers import OPTIMIZERS
from tests.nets import networks, public_networks
from tests.nets.builders import REFERENCE, TINY_CNN, stripes

Json = dict[str, Any]
RELU, SIGMOID, TANH, SOFTMAX, FLAT = ({"type": kind} for kind in ("relu", "sigmoid", "tanh", "softmax", "flatten"))
DROP, NORM_1D, NORM_2D = {"type": "dropout", "p": 0.3}, {"type": "batchnorm1d"}, {"type": "batchnorm2d"}
HIDDEN, END, END_ALONE = (
    {"type": "linear", "out": 6},
    {"type": "linear", "out": 3},
    {"type": "linear", "out": 3, "bias": False},
)
CONV = {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"}
POOL = {"type": "maxpool2d", "kernel_size": 2}
BLOCK = {"type": "residual_block", "out_channels": 4}
ROWS, LSTM = {"type": "reshape", "shape": [8, 8]}, {"type": "lstm", "hidden_size": 3, "output": "last"}
INFO = stripes(60).info  # of 8 x 8, with three classes


def body(*layers: Any, **hyperparams: Any) -> Json:
    """A request on stripes."""
    return {"architecture": {"input_shape": [1, 8, 8], "layers": list(layers)}, "hyperparams": hyperparams}


def augmented(*augment: Json, **hyperparams: Any) -> Json:
    """A request with these augmentations."""
    return body(END, augment=list(augment), **hyperparams)


def found(sent: Json, **more: Any) -> list[Doubt]:
    """All doubts about a request that trains on stripes, unless it names another data set."""
    a = parse_architecture(sent["architecture"])
    h = parse_hyperparams({"batch_size": 18, **sent.get("hyperparams", {})})
    return doubts(Case(a.graph, h, datasets.info(h.dataset_type) if h.dataset_type else INFO, sent, **more))


def told(sent: Json) -> dict[str, list[str]]:
    """The places by rule."""
    return {doubt.rule: doubt.to_json()["pointers"] for doubt in found(sent)}


def layer(*indices: int, field: str = "") -> list[str]:
    return [f"/architecture/layers/{index}{field and '/' + field}" for index in indices]


def parallel(*branches: list[Json], merge: str = "concat") -> Json:
    return {"type": "parallel", "branches": list(branches), "merge": merge}


def scheduled(kind: str, **options: Any) -> Json:
    """A request of five epochs with a schedule."""
    return body(END, epochs=5, lr_schedule={"type": kind, **options})


def schedule(field: str = "") -> list[str]:
    return [f"/hyperparams/lr_schedule{field and '/' + field}"]


LOSS = ["/hyperparams/loss"]
BATCH = ["/hyperparams/batch_size"]
LR = ["/hyperparams/optimizer/lr"]
FIRES: list[tuple[str, Json, list[str]]] = [
    ("softmax_twice", body(HIDDEN, RELU, END, SOFTMAX, SOFTMAX), layer(3)),
    ("softmax_twice", body(END, SOFTMAX, {"type": "dropout"}, FLAT, SOFTMAX), layer(1)),
    ("softmax_twice", body(END, SOFTMAX, FLAT), layer(1)),
    ("softmax_twice", body(END, SOFTMAX, DROP), layer(1)),
    ("softmax_twice", body({**CONV, "out_channels": 3}, {**POOL, "kernel_size": 8}, SOFTMAX, FLAT, SOFTMAX), layer(2)),
    ("softmax_twice", body(parallel([END, SOFTMAX], [END, SOFTMAX]), SOFTMAX), ["/architecture/layers/0/branches/0/1", "/architecture/layers/0/branches/1/1"]),
    ("softmax_before_end", body(HIDDEN, SOFTMAX, END), layer(1)),
    ("softmax_before_end", body(CONV, SOFTMAX, POOL, END, SOFTMAX), layer(1)),
    ("softmax_before_end", body(HIDDEN, SOFTMAX, DROP, END, SOFTMAX), layer(1)),
    ("softmax_before_end", body(parallel([END, SOFTMAX], [END, SOFTMAX], merge="average")), ["/architecture/layers/0/branches/0/1", "/architecture/layers/0/branches/1/1"]),
    ("softmax_before_end", body({"type": "repeat", "times": 3, "layers": [HIDDEN, SOFTMAX]}, END), ["/architecture/layers/0/layers/1"]),
    ("bounded_logits", body(HIDDEN, RELU, END, SIGMOID, SOFTMAX), layer(3)),
    ("bounded_logits", body(END, SIGMOID), layer(1)),
    ("bounded_logits", body(END, TANH, DROP, SOFTMAX), layer(1)),
    *(("bounded_logits", body(END, {"type": kind}, SOFTMAX), layer(1)) for kind in ("relu6", "hardtanh", "hardsigmoid", "softsign")),
    ("bounded_logits", body({"type": "residual", "layers": [CONV, {**CONV, "out_channels": 1}]}, END, SIGMOID, FLAT, SOFTMAX), layer(2)),
    ("relu_on_logits", body(END, RELU), layer(1)),
    *(("relu_on_logits", body(END, {"type": kind}), layer(1)) for kind in ("gelu", "silu", "mish", "elu", "selu", "celu", "softplus")),
    ("softmax_twice", body(END, {"type": "softmin"}), layer(1)),
    ("softmax_twice", body(END, SOFTMAX, {"type": "logsoftmax"}), layer(1)),
    ("softmax_before_end", body(HIDDEN, {"type": "softmin"}, END), layer(1)),
    ("relu_on_logits", body(HIDDEN, RELU, END, RELU, SOFTMAX), layer(3)),
    ("relu_on_logits", body(END, RELU, FLAT, DROP, SOFTMAX), layer(1)),
    ("relu_on_logits", body({"type": "repeat", "times": 2, "layers": [END, RELU]}), ["/architecture/layers/0/layers/1"]),
    ("linear_after_linear", body(HIDDEN, END), layer(1)),
    ("linear_after_linear", body(CONV, CONV, RELU, END), layer(1)),
    ("linear_after_linear", body(CONV, RELU, CONV, END), layer(3)),
    ("linear_after_linear", body(CONV, FLAT, END), layer(2)),
    ("linear_after_linear", body(CONV, DROP, FLAT, DROP, HIDDEN, DROP, END), layer(4, 6)),
    ("linear_after_linear", body({"type": "repeat", "times": 3, "layers": [HIDDEN]}, RELU, END), ["/architecture/layers/0/layers/0"]),
    ("linear_after_linear", body({"type": "residual", "layers": [CONV, {**CONV, "out_channels": 1}]}, RELU, END), ["/architecture/layers/0/layers/1"]),
    ("linear_after_linear", body(HIDDEN, parallel([RELU], [HIDDEN, END, SIGMOID]), END), ["/architecture/layers/1/branches/1/1"]),
    ("dropout_before_norm", body(HIDDEN, DROP, NORM_1D, RELU, END), layer(1)),
    ("dropout_before_norm", body(CONV, RELU, DROP, NORM_2D, END), layer(2)),
    ("dropout_before_norm", body(CONV, RELU, DROP, FLAT, NORM_1D, END), layer(2)),
    ("dropout_before_norm", body(CONV, RELU, DROP, {"type": "residual", "layers": [NORM_2D, RELU, CONV]}, END), layer(2)),
    ("bias_before_norm", body(HIDDEN, NORM_1D, RELU, END), layer(0, field="bias")),
    ("bias_before_norm", body(CONV, FLAT, NORM_1D, RELU, END), layer(0, field="bias")),
    ("bias_before_norm", body(*[CONV, NORM_2D, RELU] * 3, END), layer(0, 3, 6, field="bias")),
    ("bias_before_norm", body({"type": "repeat", "times": 3, "layers": [CONV, NORM_2D, RELU]}, END), ["/architecture/layers/0/layers/0/bias"]),
    ("bias_before_norm", body({**BLOCK, "bias": True}, END), layer(0, field="bias")),
    ("norm_momentum", body(NORM_2D, END, {**NORM_1D, "momentum": 0}), layer(2, field="momentum")),
    ("norm_momentum", body(NORM_2D, {**NORM_2D, "momentum": 0.99}, END), layer(1, field="momentum")),
    ("norm_momentum", body({**BLOCK, "momentum": 0.9}, END), layer(0, field="momentum")),
    ("dropout_of_one_layer", body(ROWS, {**LSTM, "dropout": 0.2}, END), layer(1, field="dropout")),
    ("last_batch_of_one", body(NORM_2D, END, batch_size=53), BATCH),
    ("last_batch_of_one", body(BLOCK, END, batch_size=53), BATCH),
    ("large_batch", body(END, batch_size=55), BATCH),
    ("large_batch", body(END, batch_size=32, max_samples=20), BATCH),
    ("hard_mining", body(END, loss={"type": "triplet", "mining": "hard"}, batch_size=64), ["/hyperparams/loss/mining"]),
    ("momentum_beside_rms", body(END, optimizer={"type": "rmsprop", "momentum": 0.9, "centered": False}), ["/hyperparams/optimizer/momentum"]),
    ("no_weight_decay", body(END, weight_decay_exclude="bias_and_norm"), ["/hyperparams/weight_decay_exclude"]),
    ("no_weight_decay", body(END, optimizer={"type": "rprop"}, groups=[{"layers": "*", "weight_decay": 2}]), ["/hyperparams/groups/0/weight_decay"]),
    ("idle_group", body(HIDDEN, RELU, END, groups=[{"layers": "linear_2", "lr": 0.5}, {"layers": "*"}]), ["/hyperparams/groups/1"]),
    ("idle_group", body(HIDDEN, RELU, END, groups=[{"layers": "linear_2", "lr": 0.5}], frozen="linear_2"), ["/hyperparams/groups/0"]),
    ("log_every", body(END, log_every=1, epochs=3000), ["/hyperparams/log_every"]),
    ("loss_of_numbers", body(END, loss="mse"), LOSS),
    ("loss_of_numbers", body(END, SOFTMAX, loss={"type": "huber", "delta": 0.5}), LOSS),
    ("bce_of_softmax", body(END, SOFTMAX, loss="bce"), LOSS),
    ("few_pairs", body(END, loss="contrastive", batch_size=4), BATCH),
    ("patience", body(END, epochs=5, early_stopping={"patience": 5}), ["/hyperparams/early_stopping/patience"]),
    ("worse_is_better", body(END, early_stopping={"patience": 2, "goal": "maximize"}), ["/hyperparams/early_stopping/goal"]),
    ("worse_is_better", body(END, target={"value": 0.9, "mode": "min"}), ["/hyperparams/target/mode"]),
    ("worse_is_better", scheduled("plateau", metric="train_accuracy", goal="minimize"), schedule("goal")),
    ("first_weights", body(END, ema={}), ["/hyperparams/ema/decay"]),
    ("first_weights", body(END, ema={"every_steps": 500}), ["/hyperparams/ema/every_steps"]),
    ("first_weights", body(END, ema={"decay": 0.9}, max_steps=10), ["/hyperparams/ema/decay"]),
    ("no_limit", body(END, batch_size=7, epochs=5, max_steps=41), ["/hyperparams/max_steps"]),
    ("accumulate", body(END, batch_size=7, accumulate=9), ["/hyperparams/accumulate"]),
    ("learning_rate", body(END, optimizer={"type": "sgd", "lr": 10}), LR),
    ("learning_rate", body(END, optimizer={"type": "sgd", "lr": 1e-6}), LR),
    ("learning_rate", body(END, optimizer={"type": "adam", "lr": 0.1}), LR),
    ("learning_rate", body(END, optimizer={"type": "adamw", "learning_rate": 1e-8}), ["/hyperparams/optimizer/learning_rate"]),
    ("learning_rate", body(END, optimizer={"type": "rmsprop", "lr": 0.5}), LR),
    ("learning_rate", body(END, optimizer={"type": "sgd"}, lr_schedule={"type": "piecewise", "points": [[1, 100]]}), LR),
    ("warmup_beyond_the_run", scheduled("constant", warmup_epochs=5), schedule("warmup_epochs")),
    ("warmup_beyond_the_run", scheduled("cosine", warmup_epochs=2, horizon_epochs=2), schedule("warmup_epochs")),
    ("idle_end", scheduled("exponential", gamma=0.01), schedule()),
    ("idle_end", scheduled("polynomial", power=5, horizon_epochs=2), schedule()),
    ("idle_end", scheduled("piecewise", points=[[3, 0]]), schedule()),
    ("never_reached", scheduled("step", step_epochs=5), schedule("step_epochs")),
    ("never_reached", scheduled("multistep", milestones_epochs=[2, 7]), schedule("milestones_epochs")),
    ("never_reached", scheduled("piecewise", points=[[0, 1], [9, 0.1]]), schedule("points")),
    ("cut_off_cycle", scheduled("cosine", restart_epochs=2), schedule("restart_epochs")),
    ("rising_end", scheduled("linear", final_lr=0.3), schedule("final_lr")),
    ("rising_end", scheduled("linear", eta_min=0.3), schedule("eta_min")),
    ("late_plateau", scheduled("reduce_on_plateau"), schedule("patience")),
    ("ignored_field", body(END, optimizer={"type": "adam", "momentum": 0.9}), ["/hyperparams/optimizer/momentum"]),
    ("ignored_field", body(END, optimizer={"type": "rmsprop", "momentum": 0.9}), ["/hyperparams/optimizer/momentum"]),
    ("ignored_field", body(END, optimizer={"type": "rmsprop", "nesterov": True}), ["/hyperparams/optimizer/nesterov"]),
    ("flipped_writing", augmented({"type": "blur"}, {"type": "hflip"}, dataset_type="digits"), ["/hyperparams/augment/1"]),
    ("flipped_writing", augmented({"type": "vertical_flip", "p": 0.1}, dataset_type="emnist"), ["/hyperparams/augment/0"]),
    ("flipped_writing", augmented({"type": "alternating_flip"}, dataset_type="kmnist"), ["/hyperparams/augment/0"]),
    ("flipped_writing", augmented({"type": "rotate", "degrees": 90}, dataset_type="mnist"), ["/hyperparams/augment/0/degrees"]),
    ("far_crop", augmented({"type": "random_crop", "padding": 5}), ["/hyperparams/augment/0/padding"]),
    ("colourless", augmented({"type": "blur"}, {"type": "saturation"}), ["/hyperparams/augment/1"]),
    ("mixed_briefly", augmented({"type": "cutmix"}, epochs=3), ["/hyperparams/augment/0"]),
]  # fmt: skip
SILENT: list[tuple[str, Json]] = [
    ("softmax_twice", body(END, SOFTMAX)),
    ("softmax_twice", body(END, {"type": "logsoftmax"})),
    ("softmax_twice", body(END, {"type": "logsoftmax"}, SOFTMAX)),  # the softmax of logarithms of probabilities is those
    ("bounded_logits", body(END, {"type": "hardtanh", "min_val": -20, "max_val": 20})),
    *(("relu_on_logits", body(END, {"type": kind})) for kind in ("leakyrelu", "prelu", "rrelu", "logsigmoid", "tanhshrink")),
    ("softmax_before_end", body(END, SOFTMAX)),
    # A gate, whose weights sum to 1.
    ("softmax_before_end", body(HIDDEN, RELU, parallel([HIDDEN, SOFTMAX], [HIDDEN], merge="multiply"), END)),
    ("softmax_before_end", body(HIDDEN, RELU, parallel([HIDDEN, SOFTMAX, DROP], [HIDDEN], merge="multiply"), END)),
    ("learning_rate", scheduled("cosine", warmup_epochs=1)),
    ("learning_rate", scheduled("one_cycle")),
    ("warmup_beyond_the_run", scheduled("linear", warmup_epochs=4.5)),
    ("warmup_beyond_the_run", scheduled("one_cycle", warmup_epochs=1)),
    ("idle_end", scheduled("cosine")),
    ("idle_end", scheduled("polynomial", power=2)),
    ("idle_end", scheduled("one_cycle")),
    ("idle_end", scheduled("wsd", decay="sqrt")),
    ("never_reached", scheduled("step", step_epochs=2)),
    ("never_reached", scheduled("piecewise", points=[[0, 0.1], [2, 1], [5, 0]], interpolation="linear")),
    ("cut_off_cycle", scheduled("cosine", restart_epochs=2.5)),
    ("cut_off_cycle", scheduled("cosine", restart_epochs=5 / 7, restart_factor=2)),
    ("rising_end", scheduled("linear", final_lr=0.1)),
    ("late_plateau", scheduled("reduce_on_plateau", patience=2)),
    ("bounded_logits", body(HIDDEN, SIGMOID, END, SOFTMAX)),
    ("bounded_logits", body(END, parallel([SIGMOID], []), END)),
    ("bounded_logits", body(HIDDEN, TANH, END, NORM_1D, SOFTMAX)),
    ("bounded_logits", body(END, RELU, {"type": "residual", "layers": [END, TANH]}, SOFTMAX)),
    ("relu_on_logits", body(HIDDEN, RELU, DROP, END, SOFTMAX)),
    # As in All-CNN-C and in "Network in Network", which have a pool over the image behind it.
    ("relu_on_logits", body({**CONV, "out_channels": 3}, RELU, {**POOL, "kernel_size": 8}, FLAT)),
    ("relu_on_logits", body({**BLOCK, "out_channels": 3}, {**POOL, "kernel_size": 8}, {**BLOCK, "out_channels": 3}, FLAT)),
    ("linear_after_linear", body(HIDDEN, RELU, END)),
    ("linear_after_linear", body(CONV, POOL, END)),  # as in Caffe's LeNet: a pool is no linear map
    ("linear_after_linear", body(CONV, NORM_2D, CONV, RELU, END)),  # as in the bottlenecks of MobileNetV2
    ("linear_after_linear", body(CONV, RELU, {**CONV, "groups": 4}, {**CONV, "kernel_size": 1}, RELU, END)),
    ("linear_after_linear", body(CONV, {"type": "residual", "layers": [CONV, RELU]}, RELU, END)),  # as in ENNUI's
    ("linear_after_linear", body(CONV, BLOCK, END)),
    ("linear_after_linear", body(HIDDEN, parallel([HIDDEN, RELU], [HIDDEN, TANH]), END)),
    ("dropout_before_norm", body(HIDDEN, NORM_1D, RELU, DROP, END)),
    ("dropout_before_norm", body(HIDDEN, {"type": "dropout", "p": 0}, NORM_1D, RELU, END)),
    ("dropout_before_norm", body(HIDDEN, DROP, RELU, NORM_1D, END)),
    ("dropout_before_norm", body(CONV, RELU, DROP, BLOCK, END)),
    ("bias_before_norm", body({**CONV, "bias": False}, NORM_2D, RELU, END)),
    ("bias_before_norm", body(CONV, RELU, NORM_2D, END)),
    ("bias_before_norm", body(CONV, POOL, NORM_2D, RELU, END)),  # where it cancels too, and few would know
    ("bias_before_norm", body(HIDDEN, DROP, NORM_1D, END)),  # dropped, it differs between samples
    ("bias_before_norm", body(CONV, {"type": "residual", "layers": [NORM_2D, RELU, CONV]}, END)),  # the skip has it
    ("bias_before_norm", body(BLOCK, {**BLOCK, "stride": 2}, {**BLOCK, "bias": False}, END)),
    ("norm_momentum", body({**NORM_2D, "momentum": 0.5}, END)),
    ("norm_momentum", body(BLOCK, {**NORM_2D, "momentum": 0.01}, END)),
    ("dropout_of_one_layer", body(ROWS, {**LSTM, "dropout": 0.2, "num_layers": 2, "output": "sequence"}, LSTM, END)),
    ("last_batch_of_one", body(NORM_2D, END, batch_size=54)),
    ("last_batch_of_one", body(END, batch_size=53)),
    ("large_batch", body(END, batch_size=54)),
    ("log_every", body(END, log_every=1)),
    ("loss_of_numbers", body(END, loss="bce")),
    ("loss_of_numbers", body(END, {"type": "logsoftmax"}, loss="kl_div")),
    ("bce_of_softmax", body(END, loss="bce")),
    ("bce_of_softmax", body(END, SOFTMAX, loss="focal")),
    ("few_pairs", body(END, loss="triplet", batch_size=20)),
    ("hard_mining", body(END, loss="triplet", batch_size=20)),
    ("bounded_logits", body(END, {"type": "sigmoid"}, loss="mse")),
    ("relu_on_logits", body(END, RELU, loss="triplet")),
    ("patience", body(END, epochs=5, early_stopping={"patience": 4})),
    ("worse_is_better", body(END, early_stopping={"goal": "min"}, target={"metric": "f1", "value": 1}, metrics=["f1"])),
    ("idle_group", body(HIDDEN, RELU, END, groups=[{"layers": "*", "lr": 0.5}], frozen="linear_2")),
    ("first_weights", body(END, ema={"warmup": True})),
    ("first_weights", body(END, ema={"decay": 0.9}, batch_size=7)),
    ("no_limit", body(END, batch_size=7, epochs=5, max_steps=40)),
    ("accumulate", body(END, batch_size=7, accumulate=8)),
    ("learning_rate", body(END, optimizer={"type": "sgd", "lr": 3})),
    ("learning_rate", body(END, optimizer={"type": "sgd", "lr": 1e-4})),
    ("learning_rate", body(END, optimizer={"type": "adam", "lr": 0.05})),
    ("learning_rate", body(END, optimizer={"type": "adamw", "lr": 2e-6})),
    ("learning_rate", body(END, optimizer={"type": "rmsprop", "lr": 0.05})),
    ("ignored_field", body(END, optimizer={"type": "sgd", "momentum": 0.9, "nesterov": True})),
    ("momentum_beside_rms", body(END, optimizer={"type": "rmsprop", "lr": 0.001, "momentum": 0.9, "rho": 0.9})),
    ("momentum_beside_rms", body(END, optimizer={"type": "rmsprop", "momentum": 0.9})),
    ("ignored_field", body(END, optimizer={"type": "rmsprop", "momentum": 0.9, "centered": False})),
    ("no_weight_decay", body(END, optimizer={"type": "adamw"}, weight_decay_exclude="bias_and_norm")),
    ("no_weight_decay", body(END, groups=[{"layers": "*", "lr": 0.5}])),
    ("ignored_field", body(END, optimizer={"type": "adam", "momentum": 0, "nesterov": False})),
    ("flipped_writing", augmented({"type": "horizontal_flip"}, dataset_type="fashion_mnist")),
    ("flipped_writing", augmented({"type": "horizontal_flip", "p": 0}, {"type": "rotate"}, dataset_type="mnist")),
    ("far_crop", augmented({"type": "random_crop", "padding": 4})),
    ("colourless", augmented({"type": "hue"}, dataset_type="cifar10")),
    ("mixed_briefly", augmented({"type": "mixup"}, epochs=5)),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "sent", "places"), FIRES)
def test_what_is_doubted_and_where(rule: str, sent: Json, places: list[str]) -> None:
    assert told(sent).get(rule) == places


@pytest.mark.parametrize(("rule", "sent"), SILENT)
def test_what_is_near_and_let_pass(rule: str, sent: Json) -> None:
    assert rule not in told(sent)


def test_every_rule_is_shown_to_fire_and_to_be_silent() -> None:
    assert {rule for rule, *_ in FIRES} == RULES.keys() == {rule for rule, _ in SILENT}


@pytest.mark.parametrize("sent", [sent for _, sent, _ in FIRES])
def test_a_doubt_gives_place_reason_and_cure(sent: Json) -> None:
    for doubt in found(sent):
        said = doubt.to_json()
        assert said["rule"] in RULES and said["pointer"] == said["pointers"][0] and said["reason"] and said["cure"]
        assert str(doubt).startswith(said["path"]) and f": {said['reason']}; {said['cure']}" in str(doubt)
        assert ";" not in said["reason"]
        assert len(str(doubt)) < 300 and "\n" not in str(doubt)
        parent = found_at(sent, doubt.path[:-1])
        assert isinstance(parent, dict | list), "it is a place of the body that was sent"


GOOD = {
    **{name: benchmarked.body(name)["architecture"] for name in benchmarked.NETWORKS},
    **{name: network for name, (network, _) in networks.NETWORKS.items()},
    **{name: public_networks.architecture(name) for name in public_networks.NAMES},
    "reference": REFERENCE,
    "tiny": {"input_shape": [1, 8, 8], "layers": TINY_CNN},
}
TRUE_OF_GOOD = {  # which do what is doubted, and learn nevertheless
    "bias_before_norm": {
        *("norms", "conv1d", "colours_unet", "colours_norms", "colours_residual"),
        *("vgg16-bn", "ennui-branches", "googlenet", "keras-forda", "flax-mnist"),
    },
    "dropout_before_norm": {"flax-mnist"},
    "bounded_logits": {"nielsen"},  # whose loss is of squares, which is not looked at here
    "linear_after_linear": {"siamese", "siamese towers", "odd windows"},
}


@pytest.mark.parametrize("name", GOOD)
def test_good_networks_are_let_pass(name: str) -> None:
    a = parse_architecture(GOOD[name])
    said = {doubt.rule for doubt in doubts(Case(a.graph, parse_hyperparams({}), None, {"architecture": GOOD[name]}))}
    assert said == {rule for rule, names in TRUE_OF_GOOD.items() if name in names}


def bodies_of_readmes() -> list[Json]:
    """Every body of a network that our documents show, and the demo's."""
    top = Path(__file__).parent.parent.parent
    texts = [path.read_text() for path in (top / "README.md", *top.glob("*/README.md"))]
    shown = [
        json.loads(block)
        for text in texts
        for block in re.findall(r"^\{\n.*?^\}$", text, re.S | re.M)
        if '"layers": [' in block
    ]
    return [EXAMPLE, *(each for each in shown if "architecture" in each)]


@pytest.mark.parametrize("sent", bodies_of_readmes())
def test_what_our_documents_show_is_not_doubted(sent: Json) -> None:
    a, h = parse_architecture(sent["architecture"]), parse_hyperparams(sent.get("hyperparams"))
    assert doubts(Case(a.graph, h, datasets.info("digits"), sent)) == []


def test_the_same_of_many_layers_is_said_once() -> None:
    (doubt,) = found(body(*[CONV, NORM_2D, RELU] * 3, END))
    assert str(doubt) == (
        "architecture.layers[0].bias (and at 2 other places): the batch norm behind it subtracts the bias again, and "
        "adds one of its own; set bias to false"
    )


def test_a_last_batch_of_one_is_told_with_the_sizes_that_leave_none() -> None:
    one = {"type": "linear", "out": 4}
    few = {"max_samples": 50, "train_split": 0.82}

    def said(*layers: Json, **fields: Any) -> list[str]:
        return [str(doubt) for doubt in found(body(*layers, **few, **fields)) if doubt.rule == "last_batch_of_one"]

    for layers, what in (
        ([one, NORM_1D, END], "has a single value per channel there"),
        ([NORM_2D, END], "has one image there"),
    ):
        (sentence,) = said(*layers, batch_size=8)
        assert sentence.startswith("hyperparams.batch_size: 41 training samples in batches of 8 leave a last batch of")
        assert what in sentence and sentence.endswith("a batch_size of 9 leaves none")
        for size in (7, 9, 41, 64):
            assert said(*layers, batch_size=size) == [], size
    assert said(NORM_2D, END, batch_size=1) == said(END, batch_size=8) == []


def test_a_batch_size_that_fits_is_told() -> None:
    for drawn, cure in (
        (60, "a batch_size of 8 makes it 7"),
        (20, "a batch_size of 8 makes it 3"),
        (2, "raise max_samples"),
    ):
        (doubt,) = found(body(END, batch_size=64, max_samples=drawn))
        assert doubt.cure == cure


def test_momentum_is_told_in_the_sense_of_keras_too() -> None:
    (high,) = found(body(NORM_2D, {**NORM_2D, "momentum": 0.99}, END))
    assert str(high) == (
        "architecture.layers[1].momentum: 0.99 is the weight of each new batch in the running statistics, as in "
        "PyTorch; Keras's momentum of 0.99 is 0.01 here"
    )
    (never,) = found(body({**NORM_2D, "momentum": 0}, END))
    assert "evaluation normalises by them" in str(never) and "Keras's momentum of 0 is 1 here" in str(never)


def test_how_sure_bounded_logits_can_be_is_told() -> None:
    (of_sigmoid,) = found(body(END, SIGMOID))
    assert "keeps the logits from 0 to 1, where no class of 3 gets a probability above 0.58" in str(of_sigmoid)
    (of_tanh,) = found(body(END, TANH, SOFTMAX))
    assert "keeps the logits from -1 to 1, where no class of 3 gets a probability above 0.79" in str(of_tanh)


def test_shared_weights_are_doubted_where_all_their_places_are() -> None:
    twice = [
        {"type": "linear", "out": 6, "name": "eye", "inputs": "input"}, {**NORM_1D, "name": "a"},
        {"type": "linear", "shares": "eye", "inputs": "input"}, {**NORM_1D, "name": "b"},
        {"type": "add", "inputs": ["a", "b"]}, RELU, END,
    ]  # fmt: skip
    assert told(body(*twice))["bias_before_norm"] == layer(0, field="bias")
    once = [*twice[:2], {**twice[2], "name": "b"}, *twice[4:]]
    assert told(body(*once)) == {}


def test_places_are_those_of_the_body_that_was_sent() -> None:
    """By the names that came; of weights and layers that are lent, where it says so; else of the stored definition."""
    (rate,) = found(body(HIDDEN, RELU, END, optimizer={"type": "sgd", "learning_rate": 50}))
    assert rate.to_json()["pointer"] == "/hyperparams/optimizer/learning_rate"
    stack = {"type": "repeat", "times": 1, "name": "one", "layers": [HIDDEN, NORM_1D], "inputs": "input"}
    lent = {"type": "repeat", "shares": "one", "name": "other", "inputs": "input"}
    layers = [stack, lent, {"type": "concat", "inputs": ["one", "other"]}, RELU, END]
    assert told(body(*layers))["bias_before_norm"] == ["/architecture/layers/0/layers/0/bias"]
    alone = {**stack, "layers": [HIDDEN]}
    layers = [alone, {**NORM_1D, "name": "a"}, lent, {**NORM_1D, "name": "b"}, {"type": "concat", "inputs": ["a", "b"]}]
    assert told(body(*layers, RELU, END))["bias_before_norm"] == ["/architecture/layers/0/layers/0/bias"]
    momentum = [HIDDEN, {**NORM_1D, "momentum": 1}]
    layers = [{**stack, "layers": momentum}, lent, {"type": "concat", "inputs": ["one", "other"]}]
    assert told(body(*layers, RELU, END))["norm_momentum"] == ["/architecture/layers/0/layers/1/momentum", *layer(1)]
    a = parse_architecture(body(HIDDEN, END)["architecture"])
    (stored,) = doubts(Case(a.graph, parse_hyperparams({}), INFO, {"model_id": "m"}))[:1]
    assert stored.to_json()["pointer"] == "/architecture/layers/1"


def test_half_a_network_is_not_doubted_for_its_end() -> None:
    sent = body(HIDDEN, END, RELU)
    assert {doubt.rule for doubt in found(sent, whole=False)} == {"linear_after_linear"}
    graph = parse_architecture(sent["architecture"]).graph
    begun = replace(graph, nodes=graph.nodes[:3])
    assert isinstance(begun, Graph) and len(doubts(Case(begun, None, None, sent, whole=False))) == 1
    assert doubts(Case(None, parse_hyperparams({"batch_size": 18}), None)) == []
    (rate,) = doubts(Case(None, parse_hyperparams({"optimizer": {"type": "sgd", "lr": 1000}}), None))
    assert rate.rule == "learning_rate"


def test_every_optimizer_says_what_it_usually_learns_with() -> None:
    for optimizer in OPTIMIZERS.values():
        low, high = optimizer.usual_lr
        assert 0 < low <= optimizer.model_fields["lr"].default <= high


def test_layers_say_what_rules_ask_for() -> None:
    assert {"linear", "conv2d"} <= {name for name, cls in LAYERS.items() if cls.linear_map}
    keeps = {name for name, cls in LAYERS.items() if cls.keeps_values}
    assert {"flatten", "dropout", "concat", "identity", "droppath", "gaussiannoise"} <= keeps
    assert not keeps & {"linear", "relu", "softmax", "scale", "batchnorm2d", "maxpool2d"}
    bounded = {name for name, cls in LAYERS.items() if math.isfinite(cls.bounds[1] - cls.bounds[0])}
    assert {"sigmoid", "tanh", "softmax", "softmin", "relu6", "hardtanh", "hardsigmoid", "softsign"} == bounded
    assert {name for name, cls in LAYERS.items() if cls.probabilities} == {"softmax", "softmin"}
    assert {name for name, cls in LAYERS.items() if cls.reads} == {"softmax", "logsoftmax"}


FOLDED = ({"type": "concat", "inputs": [f"c{i}"] * 2, "name": f"c{i + 1}"} for i in range(10))


@pytest.mark.parametrize(
    "layers",
    [
        [END, *[DROP] * 1200, SOFTMAX],
        [*[HIDDEN, DROP] * 200, END],
        [{**END, "name": "c0"}, *FOLDED],  # with 1,024 ways back
    ],
    ids=["deep", "long", "folded"],
)
def test_large_networks_take_no_longer_than_they_are_large(layers: Any) -> None:
    case = Case(parse_architecture(body(*layers)["architecture"]).graph, None, None)
    began = time.process_time()
    doubts(case)
    assert time.process_time() - began < 0.5
