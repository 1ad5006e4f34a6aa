"""What flows along edges: sizes and the order of axes."""

import pytest

from nets.spec.values import Value, features, image, kind_of, sequence, tokens


def test_channels_and_positions() -> None:
    assert (image(64, 7, 5).channels, image(64, 7, 5).positions) == (64, 35)
    assert (sequence(16, 32).channels, sequence(16, 32).positions) == (32, 16)
    assert (features(10).channels, features(10).positions) == (10, 1)


def test_arrays_have_channels_last() -> None:
    assert image(3, 7, 5).canonical == (7, 5, 3)
    assert sequence(16, 32).canonical == (16, 32)


def test_sizes_as_a_person_writes_them() -> None:
    assert image(3, 7, 5).described() == "3 x 7 x 5"
    assert tokens(12, 100).described() == "12"


def test_a_kind_has_its_number_of_axes() -> None:
    with pytest.raises(AssertionError, match="image of 1 axes"):
        Value("image", (5,))


def test_a_shape_without_a_name_is_told_by_its_sizes() -> None:
    assert [kind_of(shape) for shape in ((8,), (5, 8), (3, 4, 4))] == ["features", "sequence", "image"]
