"""The augmentations, in the order in which they are listed."""

from nets.augment.base import AUGMENTATIONS, Augmentation
from nets.augment.moves import AlternatingFlip, HorizontalFlip, RandomCrop, Translate, VerticalFlip

from nets.augment.mixing import Cutmix, Mixup  # isort: skip

__all__ = [
    "AUGMENTATIONS",
    "AlternatingFlip",
    "Augmentation",
    "Cutmix",
    "HorizontalFlip",
    "Mixup",
    "RandomCrop",
    "Translate",
    "VerticalFlip",
]
