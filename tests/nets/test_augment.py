"""What each augmentation does with images, and what of it depends on what."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.augment.base import AUGMENTATIONS, Augmentation
from nets.augment.listed import parse_augment
from nets.augment.mixing import mixed, partners_of
from nets.augment.pipeline import Moment, augmented
from nets.augment.policies import OPERATIONS, picked
from nets.augment.warps import inverse, square_to
from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.spec.values import Value, image
from nets.training.check import unfit_augmentations
from nets.training.fit import fit
from nets.training.metrics import EpochMetrics
from nets.training.update import scalars
from tests.nets.builders import TINY_CNN, network, stripes

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 9, 7, 3), np.uint8)


def seen(
    augment: list[dict[str, Any]],
    images: np.ndarray = IMAGES,
    *,
    seed: int = 0,
    step: int = 0,
    epoch: int = 0,
    places: np.ndarray | None = None,
) -> np.ndarray:
    """Images as a list of augmentations leaves them; sample numbers are their places."""
    parsed = parse_augment(augment, ("augment",))
    moment = Moment(jax.random.key(seed), jnp.int32(step), jnp.int32(epoch))
    numbers = [scalars(each.numbers()) for each in parsed]
    at = np.arange(len(images)) if places is None else places
    structure = tuple(each.structure() for each in parsed)
    return np.asarray(program(structure, jnp.asarray(images), moment, jnp.asarray(at), numbers))


@partial(jax.jit, static_argnums=0)
def program(augment: tuple[Augmentation, ...], images: Any, moment: Moment, at: Any, numbers: Any) -> Any:
    return augmented(augment, images, moment, at, at, numbers)


def floats(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 255


def numbered(height: int, width: int, count: int) -> np.ndarray:
    """Images whose pixels all differ, as floats."""
    one = (np.arange(height * width, dtype=np.float32) / (height * width)).reshape(1, height, width, 1)
    return np.tile(one, (count, 1, 1, 1))


EXAMPLES = [(name, dict(each)) for name, cls in AUGMENTATIONS.items() for each in cls.examples]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=lambda value: value if isinstance(value, str) else "")
def test_examples_are_what_clients_can_send(name: str, example: dict[str, Any]) -> None:
    (parsed,) = parse_augment([example], ("augment",))
    assert parsed.type == name
    (again,) = parse_augment([parsed.model_dump(mode="json")], ("augment",))
    assert again == parsed
    assert again.structure() == parsed.structure()


@pytest.mark.parametrize(("kind", "axis"), [("horizontal_flip", 2), ("vertical_flip", 1)])
def test_flips_swap_sides(kind: str, axis: int) -> None:
    assert np.array_equal(seen([{"type": kind, "p": 1}]), np.flip(IMAGES, axis))
    assert np.array_equal(seen([{"type": kind, "p": 0}]), IMAGES)
    half = seen([{"type": kind}], np.tile(IMAGES[:1], (2000, 1, 1, 1)))
    flipped = (half == np.flip(IMAGES[:1], axis)).all((1, 2, 3))
    assert ((half == IMAGES[:1]).all((1, 2, 3)) ^ flipped).all()
    assert 0.45 < flipped.mean() < 0.55


def test_crops_have_every_offset_about_equally_often() -> None:
    count = 8100
    cropped = seen([{"type": "random_crop", "padding": 4}], numbered(10, 10, count))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(numbered(10, 10, 1)[0, :, :, 0], 4), (10, 10))
    found = [np.argwhere((windows == each[:, :, 0]).all((2, 3))) for each in cropped[:200]]
    assert all(len(each) == 1 for each in found)
    known = {each.tobytes(): number for number, each in enumerate(windows.reshape(81, 100).copy())}
    counts = np.bincount([known[each.tobytes()] for each in cropped.reshape(count, 100)], minlength=81)
    assert counts.min() > 60 and counts.max() < 145  # 100 each: four deviations


@pytest.mark.parametrize(
    "mode",
    ["reflect", *(pytest.param(each, marks=pytest.mark.slow) for each in ("constant", "edge", "symmetric", "wrap"))],
)
def test_borders_are_those_of_numpy(mode: str) -> None:
    options = {"constant_values": round(0.4 * 255)} if mode == "constant" else {}
    padded = np.pad(IMAGES, ((0, 0), (5, 5), (5, 5), (0, 0)), mode, **options)  # type: ignore[call-overload]
    cropped = seen([{"type": "random_crop", "padding": 5, "mode": mode, "fill": 0.4}])
    assert cropped.dtype == np.uint8
    for one, around in zip(cropped, padded, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(around, (9, 7, 3))[:, :, 0]
        assert (windows == one).all((2, 3, 4)).any()


@pytest.mark.slow
def test_translations_stay_within_their_factors() -> None:
    moved = seen([{"type": "translate", "height_factor": 0.2, "width_factor": 0, "fill": 1}], numbered(10, 10, 500))
    down = [int((each[:, 0, 0] == 1).argmax()) and int((each[:, 0, 0] == 1).sum()) for each in moved]
    still = seen([{"type": "translate", "p": 0}])
    assert np.array_equal(still, IMAGES)
    assert set(down) <= {0, 1, 2}
    shifts = {
        int(by)
        for each in moved
        for by in range(-9, 10)
        if np.array_equal(
            np.roll(each, -by, 0)[max(0, -by) : 10 - max(0, by)], numbered(10, 10, 1)[0][max(0, -by) : 10 - max(0, by)]
        )
    }
    assert shifts == {-2, -1, 0, 1, 2}


def test_alternating_flips_show_each_image_both_ways_in_two_epochs() -> None:
    images = np.tile(IMAGES[:1], (400, 1, 1, 1))
    flips = [
        (seen([{"type": "alternating_flip"}], images, epoch=epoch, step=7 * epoch) != images).any((1, 2, 3))
        for epoch in range(3)
    ]
    assert 0.4 < flips[0].mean() < 0.6
    assert np.array_equal(flips[1], ~flips[0])
    assert np.array_equal(flips[2], flips[0])


@pytest.mark.slow
def test_runs_of_moves_are_one_after_the_other() -> None:
    """Computed at once, they are what each makes of what the one before left."""
    listed = [
        {"type": "random_crop", "padding": 3, "fill": 0.5},
        {"type": "horizontal_flip"},
        {"type": "translate", "mode": "reflect", "height_factor": 0.4},
        {"type": "random_crop", "padding": 1, "fill": 1},
    ]
    at_once, found = seen(listed), IMAGES
    still: dict[str, Any] = {"type": "vertical_flip", "p": 0}
    for number, each in enumerate(listed):
        found = seen([*[still] * number, each], found)  # as the same place in the list
    assert np.array_equal(at_once, found)


LISTED: list[dict[str, Any]] = [example for _, example in EXAMPLES if example["type"] not in ("mixup", "cutmix")]


@pytest.mark.slow
def test_a_seed_and_a_step_decide() -> None:
    for listed in (LISTED[:16], LISTED[16:]):
        first = seen(listed)
        assert np.array_equal(seen(listed), first)
        assert not np.array_equal(seen(listed, step=1), first)
        assert not np.array_equal(seen(listed, seed=1), first)
        check_that_images_do_not_matter_to_each_other(listed)


@pytest.mark.slow
@pytest.mark.parametrize("example", LISTED, ids=lambda value: value["type"])
def test_grey_images_stay_in_their_range(example: dict[str, Any]) -> None:
    grey = seen([example], IMAGES[..., :1])
    assert grey.shape == (12, 9, 7, 1)
    assert np.isfinite(grey.astype(np.float32)).all()
    assert grey.min() >= 0
    assert grey.max() <= (255 if grey.dtype == np.uint8 else 1)


def check_that_images_do_not_matter_to_each_other(listed: list[dict[str, Any]]) -> None:
    """So that parts of a batch, and a last batch with fewer images, see the same."""
    whole, places = seen(listed), np.arange(12)[::-1].copy()
    there = seen(listed, IMAGES[places], places=places)
    assert (
        np.array_equal(there, whole[places])
        if whole.dtype == np.uint8
        else np.allclose(there, whole[places], atol=1e-6)
    )


def test_a_quarter_turn_is_one() -> None:
    square = IMAGES[:, :7]
    assert np.allclose(
        seen([{"type": "rotate", "degrees": [90, 90]}], square), floats(np.rot90(square, axes=(1, 2))), atol=1e-4
    )


@pytest.mark.slow
def test_warps_in_a_row_interpolate_once() -> None:
    """There and back is where it was; one by one, what was between pixels would be lost."""
    listed = [
        {"type": "rotate", "degrees": [20, 20], "mode": "edge"},
        {"type": "rotate", "degrees": [-20, -20], "mode": "edge"},
    ]
    images = IMAGES[:, :7, :, :]
    both = seen(listed, images)
    assert np.allclose(both[:, 2:5, 2:5], floats(images)[:, 2:5, 2:5], atol=1e-4)
    assert not np.allclose(
        seen(listed[1:], np.round(seen(listed[:1], images) * 255).astype(np.uint8))[:, 2:5, 2:5],
        floats(images)[:, 2:5, 2:5],
        atol=1e-2,
    )


@pytest.mark.slow
def test_fills_are_what_is_outside() -> None:
    """Of each augmentation its own, also within a run."""
    listed = [
        {"type": "rotate", "degrees": [45, 45], "fill": 0.25},
        {"type": "scale", "scale": [0.5, 0.5], "fill": 0.75},
    ]
    found = seen(listed, np.full((1, 20, 20, 1), 255, np.uint8))[0, :, :, 0]
    assert np.allclose(found[0], 0.75)
    assert np.isclose(found, 0.25, atol=0.01).any()
    assert np.isclose(found[10, 10], 1)


@pytest.mark.slow
def test_perspectives_carry_the_corners() -> None:
    quad = np.array([[[0.1, 0.2], [0.9, 0.05], [0.95, 0.8], [0.2, 0.85]]], np.float32)
    back = np.asarray(inverse(square_to(jnp.asarray(quad))))[0]
    found = np.c_[quad[0], np.ones(4)] @ back.T
    assert np.allclose(found[:, :2] / found[:, 2:], [[0, 0], [1, 0], [1, 1], [0, 1]], atol=1e-5)
    still = seen([{"type": "perspective", "distortion_scale": 0, "p": 1}])
    assert np.allclose(still, floats(IMAGES), atol=1e-4)


@pytest.mark.slow
def test_hues_are_those_of_colorsys() -> None:
    turned = seen([{"type": "hue", "factor": [0.3, 0.3]}])
    for before, after in zip(floats(IMAGES).reshape(-1, 3)[:50], turned.reshape(-1, 3)[:50], strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before.tolist())
        assert np.allclose(colorsys.hsv_to_rgb((hue + 0.3) % 1, saturation, value), after, atol=1e-4)


@pytest.mark.slow
def test_noise_has_its_deviation() -> None:
    grey = np.full((4, 40, 40, 1), 128, np.uint8)
    noise = seen([{"type": "gaussian_noise", "sigma": 0.05, "mean": 0.1}], grey) - 128 / 255
    assert abs(noise.mean() - 0.1) < 0.005
    assert abs(noise.std() - 0.05) < 0.003


@pytest.mark.slow
def test_boxes_have_their_areas() -> None:
    white = np.full((300, 20, 20, 1), 255, np.uint8)
    cut = seen([{"type": "cutout", "size": 6}], white) == 0
    assert cut.sum((1, 2, 3)).max() == 36
    assert 0.5 < (cut.sum((1, 2, 3)) == 36).mean() < 0.6  # (15 / 20)^2 of the centres keep all of it inside
    erased = seen([{"type": "random_erasing", "p": 1, "scale": [0.1, 0.2], "ratio": [0.5, 2]}], white) == 0
    areas = erased.sum((1, 2, 3)) / 400
    assert areas.min() > 0.07 and areas.max() < 0.24
    assert 0.13 < areas.mean() < 0.17
    assert (seen([{"type": "random_erasing", "p": 0}], white) == 255).all()


@pytest.mark.slow
def test_policies_draw_each_operation_about_equally_often() -> None:
    uniform = jnp.linspace(0, 0.9999999, 1400)
    drawn = picked(jnp.stack([uniform, uniform], axis=1), uniform)
    assert np.bincount(drawn.operation).tolist() == [100] * len(OPERATIONS)
    weak = seen([{"type": "randaugment", "magnitude": 0, "num_ops": 1}], np.tile(IMAGES, (5, 1, 1, 1)))
    same = np.isclose(weak, floats(np.tile(IMAGES, (5, 1, 1, 1))), atol=1e-4).all((1, 2, 3))
    assert same.mean() > 0.7  # all but those of autocontrast and equalize, and what was at its bounds


@pytest.mark.slow
def test_mixing_is_of_two_images_of_the_batch() -> None:
    images, key = (
        jnp.asarray(numbered(8, 8, 12) + np.arange(12, dtype=np.float32)[:, None, None, None]),
        jax.random.key(3),
    )
    partners = partners_of(jnp.arange(12), jnp.int32(12), key)
    assert sorted(np.asarray(partners)) == list(range(12))
    assert (np.asarray(partners) != np.arange(12)).all()
    keys = jax.random.split(jax.random.key(1), 12)
    mix = jax.jit(mixed, static_argnums=0)
    for listed, per_sample in [
        ([{"type": "mixup", "alpha": 1}], False),
        ([{"type": "cutmix"}], False),
        ([{"type": "mixup", "per_sample": True}], True),
        ([{"type": "cutmix", "per_sample": True}], True),
    ]:
        mixes: Any = parse_augment(listed, ("augment",))
        numbers = [scalars(each.numbers()) for each in mixes]
        made, share = mix(mixes, numbers, images, images[partners], key, keys)
        own = np.asarray(images).mean((1, 2, 3))
        expected = share * own + (1 - share) * own[np.asarray(partners)]
        tolerance = 1e-4 if listed[0]["type"] == "mixup" else 0.6  # boxes are cut at places of the image
        assert np.allclose(np.asarray(made).mean((1, 2, 3)), expected, atol=tolerance)
        assert (len(set(np.asarray(share).tolist())) > 1) == per_sample


@pytest.mark.slow
def test_one_of_two_mixes_happens_as_often_as_their_p_say() -> None:
    images = jnp.asarray(IMAGES[:2])
    mixes: Any = parse_augment([{"type": "mixup", "p": 0.3}, {"type": "cutmix", "p": 0.5}], ("augment",))
    numbers = [scalars(each.numbers()) for each in mixes]

    def kind(key: jax.Array) -> jax.Array:
        made, share = mixed(mixes, numbers, images, 255 - images, key, jax.random.split(key))
        whole = jnp.isclose(made, images / 255) | jnp.isclose(made, 1 - images / 255)
        return jnp.where(share[0] == 1, 0, jnp.where(whole.all(), 2, 1))

    found = np.asarray(jax.jit(jax.vmap(kind))(jax.random.split(jax.random.key(0), 3000)))
    assert np.allclose(np.bincount(found) / 3000, [0.2, 0.3, 0.5], atol=0.06)  # of small boxes some cover nothing


@pytest.mark.parametrize(
    ("listed", "rule"),
    [
        ({"type": "horizontal_flip"}, r"augment: must be a list of augmentations.*put it into a list"),
        ([{"type": "flip_horizontaly"}], r"augment\[0\]\.type: must be one of .*Did you mean 'horizontal_flip'"),
        (["mixup"], r'augment\[0\]: must be an object.*write {"type": "mixup"}'),
        ([{"type": "random_crop", "padding": -1}], r"augment\[0\]\.padding: must be at least 0, got -1"),
        ([{"type": "horizontal_flip", "p": 1.5}], r"augment\[0\]\.p: must be at most 1, got 1.5"),
        ([{"type": "mixup"}, {"type": "mixup"}], r"augment\[1\]: is the second mixup"),
        ([{"type": "vertical_flip"}] * 17, r"augment: must have at most 16 items, got 17"),
    ],
)
def test_what_is_wrong_is_said(listed: Any, rule: str) -> None:
    with pytest.raises(SpecError, match=rule):
        parse_augment(listed, ("augment",))


def test_what_does_not_fit_a_data_set_is_said() -> None:
    info, listed = stripes().info, parse_augment([{"type": "blur"}, {"type": "hue"}], ())
    (rows,) = unfit_augmentations(listed, replace(info, value=Value("features", (5,))), ("hyperparams", "augment"))
    assert (
        str(rows) == "hyperparams.augment: needs images, and each sample of stripes is a row of features; leave it out"
    )
    (hue,) = unfit_augmentations(listed, replace(info, value=image(4, 8, 8)), ("hyperparams", "augment"))
    assert str(hue).startswith("hyperparams.augment[1]: hue needs images of 3 channels, and those of stripes have 4")
    assert not list(unfit_augmentations(listed, info, ("hyperparams", "augment")))


COLOURFUL = stripes(48, channels=3)
NET = network(*TINY_CNN[:3], {"type": "linear", "out": 3}, shape=(3, 8, 8))
THIRDS = [[{"type": name} for name in list(AUGMENTATIONS)[first::3]] for first in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize("augment", THIRDS, ids=lambda each: each[0]["type"])
def test_networks_train_on_every_augmentation_in_every_precision_and_plan(augment: list[dict[str, Any]]) -> None:
    """By plain XLA to the same losses, in bfloat16 to near ones."""

    def losses(precision: str = "float32", kernels: Any = "auto") -> list[float]:
        h = parse_hyperparams({"epochs": 2, "batch_size": 8, "augment": augment, "precision": precision})
        return [
            event.train_loss for event in fit(NET, h, COLOURFUL, kernels=kernels) if isinstance(event, EpochMetrics)
        ]

    whole = losses()
    assert np.allclose(losses(kernels="xla"), whole, rtol=1e-4)
    assert np.allclose(losses("bfloat16"), whole, rtol=0.05) and np.allclose(
        losses("bfloat16", "xla"), whole, rtol=0.05
    )
