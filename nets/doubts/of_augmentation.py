"""Doubts about what is done with training images."""

from __future__ import annotations

from collections.abc import Iterator

from nets.augment import Augmentation
from nets.doubts.case import Case
from nets.doubts.doubt import Doubt

AUGMENT = ("hyperparams", "augment")
WRITTEN = ("mnist", "emnist", "kmnist", "digits", "qmnist")  # data sets of digits and letters
MIRRORED = {
    "horizontal_flip": "left and right",
    "alternating_flip": "left and right",
    "vertical_flip": "top and bottom",
}
FAR = 60.0  # degrees from which on one digit or letter becomes another
FEW = 5  # epochs that mixed images take longer than to be learned from


def each(case: Case) -> Iterator[tuple[int, Augmentation]]:
    """The augmentations with their places."""
    yield from enumerate(case.hyperparams.augment if case.hyperparams else ())


def flipped_writing(case: Case) -> Iterator[Doubt]:
    if case.info is None or case.info.name not in WRITTEN:
        return
    for number, one in each(case):
        if one.type in MIRRORED and getattr(one, "p", 1) > 0:
            reason = f"{MIRRORED[one.type]} matter in {case.info.title}: mirrored, digits and letters become others"
            yield Doubt("flipped_writing", (*AUGMENT, number), f"{reason}, or none", "leave it out")
        degrees = getattr(one, "degrees", None)
        if degrees is not None and max(map(abs, degrees)) >= FAR:
            reason = f"turned by up to {max(map(abs, degrees)):g} degrees, digits and letters become others, as 6 and 9"
            yield Doubt("flipped_writing", (*AUGMENT, number, "degrees"), reason, "stay below 20 degrees")


def far_crop(case: Case) -> Iterator[Doubt]:
    if case.info is None or case.info.value.kind != "image":
        return
    side = min(case.info.value.shape[1:])
    for number, one in each(case):
        padding = getattr(one, "padding", 0)
        if padding > side / 2:
            reason = f"{padding} is more than half of the {side} pixels: some crops have hardly any of the image"
            yield Doubt("far_crop", (*AUGMENT, number, "padding"), reason, f"{max(1, side // 8)} is usual")


def colourless(case: Case) -> Iterator[Doubt]:
    if case.info is None or case.info.value.kind != "image" or case.info.value.channels != 1:
        return
    for number, one in each(case):
        if one.colours:
            reason = f"the images of {case.info.title} are grey, which {one.type} leaves as they are"
            yield Doubt("colourless", (*AUGMENT, number), reason, "leave it out")


def mixed_briefly(case: Case) -> Iterator[Doubt]:
    if case.hyperparams is None or case.hyperparams.epochs >= FEW:
        return
    for number, one in each(case):
        if one.mixes and getattr(one, "p", 1) > 0:
            epochs = case.hyperparams.epochs
            reason = f"{one.type} slows learning down at first and pays after many epochs, of which there are {epochs}"
            yield Doubt("mixed_briefly", (*AUGMENT, number), reason, "train longer, or leave it out")
