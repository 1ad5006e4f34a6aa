"""Who writes as another library does is told the word that counts here."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nets.architecture.combinators import COMBINATORS
from nets.architecture.common import Common
from nets.architecture.frame import Frame
from nets.architecture.read import parse_architecture
from nets.datasets import DATASETS
from nets.errors import SpecError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.hyperparams.parts import PARTS
from nets.layers import LAYERS
from nets.losses import LOSSES
from nets.optimizers import OPTIMIZERS
from nets.schedules import SCHEDULES
from nets.spec.fields import did_you_mean, wire_names
from nets.spec.words import WORDS, closest, plain


def problems(**hyperparams: Any) -> str:
    with pytest.raises(SpecError) as error:
        parse_hyperparams(hyperparams)
    return "\n".join(map(str, error.value.problems))


def layer_problems(layer: Any) -> str:
    with pytest.raises(SpecError) as error:
        parse_architecture({"layers": [layer, {"type": "linear", "out": 10}]})
    return "\n".join(map(str, error.value.problems))


@pytest.mark.parametrize(
    ("word", "name"),
    [
        *(("Conv2D", "conv2d"), ("nn.Conv2d", "conv2d"), ("Convolution2D", "conv2d"), ("conv", "conv2d")),
        *(("nn.Linear", "linear"), ("Dense", "linear"), ("tf.keras.layers.Dense", "linear"), ("fc", "linear")),
        *(("fully_connected", "linear"), ("max_pooling2d", "maxpool2d"), ("MaxPool2d", "maxpool2d")),
        *(("MaxPooling2D", "maxpool2d"), ("max_pool", "maxpool2d"), ("F.max_pool2d", "maxpool2d")),
        *(("Flatten", "flatten"), ("ReLU", "relu"), ("nn.ReLU", "relu"), ("LeakyReLU", "leakyrelu"), ("RELU ", "relu")),
        *(("Sigmoid", "sigmoid"), ("Tanh", "tanh"), ("nn.Softmax", "softmax"), ("LogSoftmax", "logsoftmax")),
        *(("Dropout", "dropout"), ("SpatialDropout2D", "dropout2d"), ("BatchNorm2d", "batchnorm2d")),
        *(("ResidualBlock", "residual_block"), ("resblock", "residual_block"), ("DenseLayer", "linear")),
        *(("Concatenate", "concat"), ("torch.cat", "concat"), ("Average", "average"), ("Mul", "multiply")),
        *(("rellu", "relu"), ("linaer", "linear")),
    ],
)
def test_layer_types(word: str, name: str) -> None:
    assert f"Did you mean '{name}'?" in layer_problems({"type": word})


def test_a_norm_of_no_kind_is_either() -> None:
    for word in ("BatchNormalization", "batch_norm", "BN"):
        assert "Did you mean 'batchnorm1d' or 'batchnorm2d'?" in layer_problems({"type": word})


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        ({"type": "linear", "outFeatures": 3}, "out"),
        ({"type": "linear", "input_size": 784, "out": 3}, "in"),
        ({"type": "linear", "neurons": 3}, "out"),
        ({"type": "linear", "Units": 3}, "out"),
        ({"type": "linear", "out": 3, "use_bias": False}, "bias"),
        ({"type": "conv2d", "units": 3, "kernel_size": 3}, "out_channels"),
        ({"type": "conv2d", "outChannels": 3, "kernel_size": 3}, "out_channels"),
        ({"type": "conv2d", "out": 3, "kernel_size": 3}, "out_channels"),
        ({"type": "conv2d", "filters": 3, "kernelSize": 3}, "kernel_size"),
        ({"type": "conv2d", "filters": 3, "kernel": 3, "subsampling": 1}, "stride"),
        ({"type": "conv2d", "filters": 3, "kernel": 3, "dilations": 1}, "dilation"),
        ({"type": "maxpool2d", "size": 2}, "kernel_size"),
        ({"type": "maxpool2d", "window_shape": 2}, "kernel_size"),
        ({"type": "dropout", "dropout_rate": 0.5}, "p"),
        ({"type": "dropout", "prob": 0.5}, "p"),
        ({"type": "batchnorm2d", "epsilon": 0.1}, "eps"),
        ({"type": "conv2d", "filters": 3, "kernel": 3, "padding": "SAME"}, "same"),
        ({"type": "conv2d", "filters": 3, "kernel": 3, "padding": "Valid"}, "valid"),
    ],
)
def test_fields_of_layers(layer: dict[str, Any], name: str) -> None:
    assert f"Did you mean '{name}'?" in layer_problems(layer)


def test_an_activation_is_a_layer() -> None:
    for field, value, kind in (
        ("activation", "relu", "relu"),
        ("activation", "Tanh", "tanh"),
        ("nonlinearity", 1, "relu"),
    ):
        told = layer_problems({"type": "linear", "out": 3, field: value})
        assert f'An activation is a layer of its own: put {{"type": "{kind}"}} after this one.' in told
    assert layer_problems("Tanh").endswith('such as {"type": "relu"}, got "Tanh"; write {"type": "tanh"}')
    assert layer_problems(5).endswith('such as {"type": "relu"}, got 5')
    assert "It belongs in architecture." in layer_problems(
        {"type": "conv2d", "filters": 3, "kernel": 3, "input_shape": [28, 28, 1]}
    )
    listed = r"type: is required; one of the \d+ layer types that GET /api/layers lists"
    assert re.search(listed, layer_problems({"out": 3}))
    assert 'rename "class_name" to type' in layer_problems({"class_name": "Dense", "units": 3})


@pytest.mark.parametrize(
    ("field", "name"),
    [
        *(("nb_epochs", "epochs"), ("num_epochs", "epochs"), ("n_epochs", "epochs"), ("Epochs", "epochs")),
        *(("batchSize", "batch_size"), ("bs", "batch_size"), ("batch", "batch_size"), ("optim", "optimizer")),
        *(("loss_fn", "loss"), ("criterion", "loss"), ("random_state", "seed"), ("augmentations", "augment")),
        *(("data_set", "dataset_type"), ("dtype", "precision"), ("save_best_only", "keep_best")),
        *(("n_samples", "max_samples"), ("max_grad_norm", "gradient_clip_norm"), ("log_steps", "log_every")),
        *(("tta", "test_time_augmentation"), ("freeze", "frozen")),
    ],
)
def test_hyperparameters(field: str, name: str) -> None:
    assert f"Did you mean '{name}'?" in problems(**{field: 1})


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("lr", '{"type": "sgd", "lr": 0.1}'),
        ("learning_rate", '{"type": "sgd", "lr": 0.1}'),
        ("momentum", '{"type": "sgd", "momentum": 0.1}'),
        ("weightDecay", '{"type": "sgd", "weight_decay": 0.1}'),
        ("epsilon", '{"type": "adam", "eps": 0.1}'),
        ("rho", '{"type": "adadelta", "rho": 0.1}'),
    ],
)
def test_what_belongs_to_the_optimizer(field: str, told: str) -> None:
    assert f"It belongs in optimizer: {told}." in problems(**{field: 0.1, "optimizer": {"type": "sgd"}})


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("patience", 3, 'early_stopping: {"patience": 3}.'),
        ("ema_decay", 0.9, 'ema: {"decay": 0.9}.'),
        ("swa_start", 2, 'swa: {"from_epoch": 2}.'),
        ("label_smoothing", 0.1, 'loss: {"type": "cross_entropy", "label_smoothing": 0.1}.'),
        ("class_weights", [1, 2], 'loss: {"type": "cross_entropy", "weight": [1, 2]}.'),
        ("warmup_epochs", 2, 'lr_schedule: {"type": "constant", "warmup_epochs": 2}.'),
        ("warmup_steps", 500, "lr_schedule as warmup_epochs, which counts epochs, not steps."),
        ("beta_1", 0.9, "optimizer as betas, a pair of numbers."),
        ("mixup", 0.2, 'augment: [{"type": "mixup"}].'),
        ("l1", 0.1, 'regularizers: [{"type": "l1"}].'),
        ("f1", True, 'metrics: [{"type": "f1"}].'),
    ],
)
def test_what_belongs_to_another_part(field: str, value: Any, told: str) -> None:
    assert f"{field}: is not a field of hyperparams. It belongs in {told}" in problems(**{field: value})
    assert "It belongs in" not in problems(dropout=0.5)


@pytest.mark.parametrize(
    ("sent", "moved_to"),
    [
        ({"num_epochs": 3}, ("epochs",)),
        ({"lr": 0.1, "optimizer": {"type": "adam"}}, ("optimizer", "lr")),
        ({"warmup_epochs": 2, "lr_schedule": {"type": "cosine"}}, ("lr_schedule", "warmup_epochs")),
        ({"patience": 3, "early_stopping": {}}, ("early_stopping", "patience")),
        ({"patience": 3, "early_stopping": {"patience_epochs": 2}}, None),
        ({"num_epochs": "three"}, None),
        ({"early_stop": True}, None),
        ({"validation_split": 0.1}, None),
        ({"warmup_steps": 500, "lr_schedule": {"type": "cosine"}}, None),
        ({"lr_schedule": {"type": "cosine", "warmup_steps": 500}}, None),
        ({"optimizer": {"type": "adam", "beta1": 0.9}}, None),
    ],
)
def test_what_is_moved_means_the_same_where_it_goes(sent: dict[str, Any], moved_to: tuple[str, ...] | None) -> None:
    with pytest.raises(SpecError) as error:
        parse_hyperparams(sent, ())
    (problem,) = error.value.problems
    assert [change.path for change in problem.fix] == ([] if moved_to is None else [moved_to])
    assert moved_to is not None or "Did you mean" in problem.detail or "It belongs in" in problem.detail


@pytest.mark.parametrize(
    ("optimizer", "told"),
    [
        ({"type": "Adam"}, "Did you mean 'adam'?"),
        ({"type": "SGD"}, "Did you mean 'sgd'?"),
        ({"type": "optim.AdamW"}, "Did you mean 'adamw'?"),
        ({"type": "RMSProp"}, "Did you mean 'rmsprop'?"),
        ({"type": "amsgrad"}, "Did you mean 'adam'?"),
        ({"name": "adam"}, '; rename "name" to type'),
        ("Adam", 'such as {"type": "sgd", "lr": 0.1}, got "Adam"; write {"type": "adam"}'),
        ("x", 'must be an object such as {"type": "sgd", "lr": 0.1}, got "x"'),
        ({"type": "sgd", "learningRate": 1}, "Did you mean 'lr'?"),
        ({"type": "adam", "beta_1": 0.9}, "Did you mean 'betas', a pair of numbers?"),
        ({"type": "rmsprop", "decay_rate": 0.9}, "Did you mean 'alpha'?"),
        ({"type": "adam", "decay": 0.1}, "Did you mean 'weight_decay'?"),
    ],
)
def test_optimizers(optimizer: Any, told: str) -> None:
    assert told in problems(optimizer=optimizer)


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("dataset_type", "MNIST", "mnist"),
        ("dataset_type", "Fashion-MNIST", "fashion_mnist"),
        ("dataset_type", "CIFAR-10", "cifar10"),
        ("dataset_type", "mnits", "mnist"),
        ("loss", "CrossEntropyLoss", "cross_entropy"),
        ("loss", "sparse_categorical_crossentropy", "cross_entropy"),
        ("precision", "bf16", "bfloat16"),
        ("precision", "Float32", "float32"),
    ],
)
def test_values(field: str, value: str, name: str) -> None:
    assert f"Did you mean '{name}'?" in problems(**{field: value})


def test_what_means_nothing_gets_no_hint() -> None:
    for word in ("quantum", "", ".", "\u00df", "x" * 10_000, 5, None, ["relu"]):
        assert did_you_mean(word, LAYERS) == ""


def test_every_name_of_the_table_is_one_of_ours() -> None:
    specs = (
        Hyperparams,
        Frame,
        Common,
        *LAYERS.values(),
        *COMBINATORS.values(),
        *OPTIMIZERS.values(),
        *LOSSES.values(),
        *SCHEDULES.values(),
        *PARTS.values(),
    )
    fields = {name for spec in specs for name in wire_names(spec)}
    requests = {"architecture", "hyperparams", "name", "description", "model_id", "run_id", "pixels", "batch", "queue"}
    values = {
        *LAYERS,
        *COMBINATORS,
        *OPTIMIZERS,
        *DATASETS,
        *LOSSES,
        *SCHEDULES,
        "float32",
        "bfloat16",
        "same",
        "valid",
        "resume_from",
    }
    assert set(WORDS) <= fields | requests | values
    for name, words in WORDS.items():
        assert all(plain(word) == word for word in words.split()), "it could not be found"
        assert closest(name.upper(), WORDS)[0] == name
