"""Whether architecture, hyperparameters and data set go together: what no part can tell on its own."""

from __future__ import annotations

from collections.abc import Iterator

from nets.architecture import Architecture
from nets.datasets import DatasetInfo
from nets.errors import Problem, SpecError
from nets.hyperparams import Hyperparams
from nets.sampling import split_sizes


def check_fit(architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo) -> None:
    """SpecError with every reason why this network cannot be trained on this data set."""
    problems = list(misfits(architecture, hyperparams, info))
    if problems:
        raise SpecError(problems)


def misfits(architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo) -> Iterator[Problem]:
    height, width, channels = info.shape
    for field, own, theirs in zip(
        ("input_channels", "input_height", "input_width"), architecture.input, (channels, height, width), strict=True
    ):
        if own != theirs:
            yield Problem(
                ("architecture", field),
                f"must be {theirs} for {info.name} (its images are {channels} x {height} x {width}), got {own}",
            )
    if architecture.classes != len(info.classes):
        last = len(architecture.layers) - 1
        for index in range(last, -1, -1):
            if architecture.layers[index].type == "linear":
                last = index
                break
        is_linear = architecture.layers[last].type == "linear"
        yield Problem(
            ("architecture", "layers", last, *(("out",) if is_linear else ())),
            f"the network must end in {len(info.classes)} outputs for the {len(info.classes)} classes of {info.name}, "
            f"got {architecture.classes}",
        )
    train, validation = split_sizes(hyperparams, info.train_size)
    if train < 1 or validation < 1:
        part = "validation" if train else "training"
        yield Problem(
            ("hyperparams", "train_split"),
            f"leaves no {part} samples: {train} to train and {validation} to validate of "
            f"{train + validation} drawn; change train_split or raise max_samples",
        )
