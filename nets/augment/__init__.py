"""The augmentations, in the order in which they are listed."""

from nets.augment.base import AUGMENTATIONS, Augmentation
from nets.augment.moves import AlternatingFlip, HorizontalFlip, RandomCrop, Translate, VerticalFlip

from nets.augment.warps import Perspective, Rotate, Shear, Zoom  # isort: skip
from nets.augment.elastic import Elastic  # isort: skip
from nets.augment.colours import Brightness, Contrast, Hue, Saturation  # isort: skip
from nets.augment.noise import Blur, NormalNoise  # isort: skip
from nets.augment.erasing import Cutout, RandomErasing  # isort: skip
from nets.augment.policies import RandAugment, TrivialAugment  # isort: skip
from nets.augment.mixing import Cutmix, Mixup  # isort: skip

__all__ = [
    "AUGMENTATIONS",
    "AlternatingFlip",
    "Augmentation",
    "Blur",
    "Brightness",
    "Contrast",
    "Cutmix",
    "Cutout",
    "Elastic",
    "NormalNoise",
    "HorizontalFlip",
    "Hue",
    "Mixup",
    "Perspective",
    "RandAugment",
    "RandomCrop",
    "RandomErasing",
    "Rotate",
    "Saturation",
    "Shear",
    "Translate",
    "TrivialAugment",
    "VerticalFlip",
    "Zoom",
]
