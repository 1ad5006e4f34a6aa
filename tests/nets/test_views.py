"""Views of an image, and the average of their logits."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inference import Predictor
from nets.training.check import misfits
from nets.training.fit import fit
from nets.views import VIEWS, averaged, times
from tests.nets.builders import TINY_CNN, network, stripes

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)


def test_a_flip_shows_each_image_as_it_is_and_mirrored() -> None:
    plain, mirrored = (np.asarray(view.of(jnp.asarray(IMAGES))) for view in VIEWS["flip"])
    assert np.array_equal(plain, IMAGES) and np.array_equal(mirrored, IMAGES[:, :, ::-1])


def test_a_moved_view_has_the_edge_mirrored() -> None:
    down = next(view for view in VIEWS["flip_translate"] if view.down == 1 and not view.mirrored)
    moved = np.asarray(down.of(jnp.asarray(IMAGES)))
    assert np.array_equal(moved[:, 1:, 1:], IMAGES[:, :-1, :-1])
    assert np.array_equal(moved[:, 0, 1:], IMAGES[:, 1, :-1])  # what stands beyond the first row is the second


@pytest.mark.parametrize("name", VIEWS)
def test_weights_add_up_to_one(name: str) -> None:
    assert sum(view.weight for view in VIEWS[name]) == 1 and times(name) == len(VIEWS[name])


def test_the_average_is_that_of_the_logits() -> None:
    def logits_of(images: jnp.ndarray) -> jnp.ndarray:
        return images[:, 0, 0].astype(jnp.float32)

    both = averaged(logits_of, jnp.asarray(IMAGES), "flip")
    assert np.allclose(both, (IMAGES[:, 0, 0].astype(float) + IMAGES[:, 0, -1]) / 2)
    assert averaged(logits_of, jnp.asarray(IMAGES), None) is not None and times(None) == 1


def test_a_run_answers_as_it_was_measured() -> None:
    """The views that it was tested by are those that it predicts by; without them it tells something else."""
    a, data = network(*TINY_CNN), stripes()
    h = parse_hyperparams({"epochs": 1, "batch_size": 16, "test_time_augmentation": "flip_translate"})
    finished = list(fit(a, h, data))[-1]
    images = data.test_inputs.astype(np.float32) / 255

    def loss(views: str | None) -> float:
        found = Predictor(a, finished.variables, views=views).probabilities(images)
        return float(-np.log(found[np.arange(len(images)), data.test_labels]).mean())

    assert loss("flip_translate") == pytest.approx(finished.test_loss, abs=0.002)
    assert abs(loss(None) - finished.test_loss) > 0.005


def test_views_are_of_images() -> None:
    with pytest.raises(SpecError, match=r"hyperparams.test_time_augmentation: must be one of flip, flip_translate"):
        parse_hyperparams({"test_time_augmentation": "flop"})
    a = parse_architecture({"input_shape": [64], "layers": [{"type": "linear", "out": 3}]})
    problems = misfits(a, parse_hyperparams({"test_time_augmentation": "flip"}), stripes().info)
    (problem,) = [each for each in problems if each.path[0] == "hyperparams"]
    assert problem.path[1] == "test_time_augmentation" and "is for images" in problem.detail
