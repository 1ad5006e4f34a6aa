"""Runs torchvision's functions once and keeps what they give: `python -m tests.nets.parity.record_augment`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

BILINEAR = InterpolationMode.BILINEAR
NOTHING = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], "interpolation": BILINEAR}

drawn = np.random.default_rng(1)
smooth = np.cumsum(drawn.integers(0, 26, (2, 10, 9, 3)), 1).clip(0, 255).astype(np.uint8)
bytes_ = torch.tensor(smooth).permute(0, 3, 1, 2)
images = bytes_ / 255
field = torch.tensor(drawn.uniform(-1, 1, (1, 1, 40, 31)).astype(np.float32))


def affine(**more: object) -> torch.Tensor:
    return F.affine(images, **{**NOTHING, **more})


FOUND = {
    "brightness": F.adjust_brightness(images, 1.4),
    "contrast": F.adjust_contrast(images, 0.6),
    "saturation": F.adjust_saturation(images, 1.7),
    "hue": F.adjust_hue(images, -0.2),
    "hue_half": F.adjust_hue(images, 0.5),
    "blur": F.gaussian_blur(images, [5, 5], [1.3, 1.3]),
    "rotate": F.rotate(images, 30, BILINEAR),
    "scale": affine(scale=1.25),
    "shear": affine(shear=[20.0, 10.0]),
    "horizontal_flip": F.hflip(images),
    "vertical_flip": F.vflip(images),
    "sharpness": F.adjust_sharpness(images, 1.5),
    "autocontrast": F.autocontrast(images),
    "equalize": F.equalize(bytes_) / 255,
    "posterize": F.posterize(bytes_, 5) / 255,
    "solarize": F.solarize(bytes_, 100) / 255,
    "shear_corner": affine(shear=[np.degrees(np.arctan(0.3)).item(), 0.0], center=[0, 0]),
    "translate_x": affine(translate=[3, 0]),
}

if __name__ == "__main__":
    kept = {name: each.permute(0, 2, 3, 1).numpy() for name, each in FOUND.items()}
    kept |= {"images": smooth, "field": field[0, 0].numpy()}
    kept["smoothed_field"] = F.gaussian_blur(field, [17, 17], [2.0, 2.0])[0, 0].numpy()
    np.savez_compressed(Path(__file__).parent / "augment.npz", **kept)
