"""Augmentations of one number give what torchvision's functions gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.augment.elastic import smoothing
from nets.augment.policies import NUMBERS, Drawn, Most, operated
from tests.nets.test_augment import floats, seen

KEPT = np.load(Path(__file__).parent / "augment.npz")
IMAGES = KEPT["images"]
ONE: dict[str, dict[str, Any]] = {
    "brightness": {"factor": [1.4, 1.4]},
    "contrast": {"factor": [0.6, 0.6]},
    "saturation": {"factor": [1.7, 1.7]},
    "hue": {"factor": [-0.2, -0.2]},
    "hue_half": {"type": "hue", "factor": [0.5, 0.5]},
    "blur": {"kernel_size": 5, "sigma": 1.3},
    "rotate": {"degrees": [30, 30]},
    "scale": {"scale": [1.25, 1.25]},
    "shear": {"shear": [20, 20], "shear_y": [10, 10]},
    "horizontal_flip": {"p": 1},
    "vertical_flip": {"p": 1},
}


@pytest.mark.parametrize(
    "name", [name if name == "rotate" else pytest.param(name, marks=pytest.mark.slow) for name in ONE]
)
def test_one_is_what_torchvision_gives(name: str) -> None:
    found = seen([{"type": name, **ONE[name]}], IMAGES)
    found = floats(found) if found.dtype == np.uint8 else found
    assert np.allclose(found, KEPT[name], atol=2e-5)


MOST = Most(shear=0.3, translate_x=3, translate_y=0, degrees=0, factor=0.5, bits=3)
OPERATIONS = {"shear_x": "shear_corner", "solarize": "solarize"} | {
    name: name for name in ("sharpness", "autocontrast", "equalize", "posterize", "translate_x")
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_of_policies_are_those_of_torchvision(name: str) -> None:
    magnitude = 1 - 100 / 255 if name == "solarize" else 1.0
    drawn = Drawn(jnp.array([NUMBERS[name]] * 2), jnp.full(2, magnitude, jnp.float32), jnp.ones(2))
    assert np.allclose(program(jnp.asarray(floats(IMAGES)), drawn), KEPT[OPERATIONS[name]], atol=2e-5)


@jax.jit
def program(images: Any, drawn: Drawn) -> Any:
    return operated(images, drawn, MOST, jnp.float32(0))


def test_displacements_are_smoothed_as_torchvision_does() -> None:
    """Its kernel reaches four deviations far, as `ElasticTransform` has it."""
    rows, columns = (np.asarray(smoothing(size, jnp.float32(2))) for size in KEPT["field"].shape)
    assert np.allclose(rows @ KEPT["field"] @ columns.T, KEPT["smoothed_field"], atol=1e-5)
