"""Augmentation: each image against a loop that says what should happen to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgraph as tg
from nn.data import cutout, normalize, random_crop, random_flip

TYPES = pytest.mark.parametrize("dtype", [np.float32, np.uint8])
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7))


def images(shape, dtype=np.float32, seed=0):
    """No two pixels alike, as far as the type has room, and none that is 0."""
    pixels = np.arange(1, 1 + np.prod(shape)) % 255 + 1
    found = np.random.default_rng(seed).permutation(pixels).reshape(shape).astype(dtype)
    found.flags.writeable = False  # a transform that writes to it fails
    return found


def rng():
    return np.random.default_rng(5)


@TYPES
@given(SHAPES, st.integers(1, 3), st.sampled_from(["constant", "edge", "reflect"]))
def test_a_crop_is_the_image_seen_from_another_place(dtype, shape, padding, mode):
    if mode == "reflect" and padding >= min(shape[2:]):
        return
    x = images(shape, dtype)
    result = random_crop(padding, mode)(x, rng())
    assert (result.shape, result.dtype) == (x.shape, x.dtype)
    n, _, height, width = shape
    for i in range(n):
        padded = np.pad(x[i], ((0, 0), (padding,) * 2, (padding,) * 2), mode)
        places = [
            padded[:, top : top + height, left : left + width]
            for top in range(2 * padding + 1)
            for left in range(2 * padding + 1)
        ]
        assert any((result[i] == place).all() for place in places)


def test_every_place_of_a_crop_is_as_likely():
    x = np.zeros((9_000, 1, 3, 3), np.uint8)
    x[:, :, 1, 1] = 1  # the centre says where the image went
    result = random_crop(1)(x, rng()).sum(0)[0]
    assert result.sum() == 9_000
    assert abs(result.astype(int) - 1_000).max() < 150  # five deviations of the binomial distribution


@TYPES
@given(SHAPES, st.floats(0, 1))
def test_a_flip_mirrors_some_images_and_leaves_the_others(dtype, shape, p):
    x = images(shape, dtype)
    result = random_flip(p)(x, rng())
    assert result.dtype == x.dtype
    for before, after in zip(x, result):
        assert (after == before).all() or (after == before[:, :, ::-1]).all()


@pytest.mark.parametrize(("p", "share"), [(0, 0.0), (1, 1.0), (0.5, 0.5), (0.2, 0.2)])
def test_how_many_images_are_mirrored(p, share):
    x = np.tile(np.array([0, 1], np.uint8), (10_000, 1, 1, 1))
    assert abs(random_flip(p)(x, rng())[:, 0, 0, 0].mean() - share) < 5 * np.sqrt(share * (1 - share) / 10_000) + 1e-12


@TYPES
@given(SHAPES, st.integers(1, 9))
def test_a_hole_is_a_square_around_some_pixel(dtype, shape, size):
    x = images(shape, dtype)
    result = cutout(size)(x, rng())
    assert (result.shape, result.dtype) == (x.shape, x.dtype)
    n, _, height, width = shape
    for i in range(n):
        holes = []
        for row in range(height):
            for column in range(width):
                with_hole = x[i].copy()
                top, left = max(row - size // 2, 0), max(column - size // 2, 0)
                with_hole[:, top : row - size // 2 + size, left : column - size // 2 + size] = 0
                holes.append(with_hole)
        assert any((result[i] == hole).all() for hole in holes)


def test_a_hole_hides_what_is_not_finite():
    x = np.full((1, 1, 2, 2), np.nan, np.float32)
    assert (cutout(4)(x, rng()) == 0).all()


@TYPES
@pytest.mark.parametrize(("mean", "std"), [(0.5, 0.25), ([0.1, 0.2, 0.3], [1.0, 2.0, 4.0]), ([0.5], (1, 2, 3))])
def test_normalize(dtype, mean, std):
    x = images((2, 3, 4, 5), dtype)
    result = normalize(mean, std)(x)
    assert result.dtype == np.float32
    expected = (x.astype(np.float64) - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("transform", [random_crop(2), random_flip(), cutout(3)], ids=["crop", "flip", "cutout"])
def test_the_generator_decides(transform):
    x = images((20, 3, 8, 8))
    assert (transform(x, rng()) == transform(x, rng())).all()
    assert (transform(x, rng()) != transform(x, np.random.default_rng(6))).any()
    several = transform(np.stack([x[0]] * 50), rng())
    assert len({image.tobytes() for image in several}) > 1  # each image has its own luck


@pytest.mark.parametrize("transform", [random_crop(2), random_flip(), cutout(3)], ids=["crop", "flip", "cutout"])
def test_an_array_of_any_layout(transform):
    x = images((4, 8, 8, 3)).transpose(0, 3, 1, 2)
    assert (transform(x, rng()) == transform(np.ascontiguousarray(x), rng())).all()


@pytest.mark.parametrize(
    ("mistake", "kind", "message"),
    [
        (lambda: random_crop(0), ValueError, "random_crop: padding must be positive, got 0"),
        (lambda: random_crop(1.5), TypeError, r"random_crop: padding must be an integer, got 1\.5"),
        (
            lambda: random_crop(1, "wrap"),
            ValueError,
            'random_crop: mode must be one of "constant", "edge", "reflect", got \'wrap\'',
        ),
        (
            lambda: random_crop(3, "reflect")(np.zeros((1, 1, 3, 8)), rng()),
            tg.ShapeError,
            'random_crop: padding = 3 with mode = "reflect" needs images larger than that, got 3 x 8',
        ),
        (lambda: random_flip(1.5), ValueError, r"random_flip: p must lie in \[0, 1\], got 1\.5"),
        (lambda: random_flip("a"), TypeError, "random_flip: p must be a number, got 'a'"),
        (lambda: cutout(0), ValueError, "cutout: size must be positive, got 0"),
        (lambda: normalize(0, 0), ValueError, r"normalize: std must be positive, got 0\.0"),
        (lambda: normalize(np.nan, 1), ValueError, "normalize: mean must be finite, got nan"),
        (
            lambda: normalize(np.zeros((2, 2)), 1),
            tg.ShapeError,
            r"normalize: mean must be a number, or one for each channel, got shape \(2, 2\)",
        ),
        (
            lambda: normalize([1, 2], 1)(np.zeros((1, 3, 2, 2))),
            tg.ShapeError,
            "normalize: mean has 2 numbers, the images have 3 channels",
        ),
        (
            lambda: random_flip()(np.zeros((3, 4)), rng()),
            tg.ShapeError,
            r"random_flip: x must have the shape \(N, C, H, W\), got \(3, 4\)",
        ),
        (lambda: cutout(1)([1], rng()), TypeError, "cutout: x must be an array of images, got list"),
    ],
)
def test_mistakes(mistake, kind, message):
    with pytest.raises(kind, match=f"^{message}$"):
        mistake()
