"""Resampling: near a supersampled reference at every scale, without jumps, right at the border."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from dfbench.errors import DataError, UsageError
from dfbench.faces.align import scale_of
from dfbench.faces.crops import averaging_kernel, crop


def textured(height: int = 700, width: int = 700, seed: int = 0) -> np.ndarray:
    """Structure of all sizes down to single pixels, like a photograph with some noise."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 128.0)
    for cells in (4, 12, 40, 120, 350):
        layer = rng.normal(0, 28, (cells, cells, 3))
        image += cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC) * (6 / np.sqrt(cells) + 0.15)
    return np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)


def about(centre: tuple[float, float], scale: float, angle: float, size: int) -> np.ndarray:
    """The matrix that shows the surroundings of a source point, turned and scaled, in the middle of the crop."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    return np.column_stack([linear, np.full(2, (size - 1) / 2) - linear @ np.array(centre)])


def supersampled(image: np.ndarray, matrix: np.ndarray, size: int, times: int = 8) -> np.ndarray:
    """The mean of 8 x 8 linear samples within every crop pixel."""
    finer = times * matrix
    finer[:, 2] += (times - 1) / 2
    large = cv2.warpAffine(
        image, finer, (size * times, size * times), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA).astype(float)


def decibel(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


@pytest.mark.parametrize("angle", [0.0, 0.2, 0.8])
@pytest.mark.parametrize(("shrink", "least"), [(1.2, 44), (1.5, 48), (2, 47), (3, 45), (5, 46)])
def test_near_the_supersampled_reference(shrink: float, least: float, angle: float) -> None:
    image = textured()
    size = round(450 / shrink)
    matrix = about((350, 350), 1 / shrink, angle, size)
    ours = decibel(crop(image, matrix, size), supersampled(image, matrix, size))
    cubic = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    assert ours > least
    assert ours > decibel(cubic, supersampled(image, matrix, size)) + 3


def test_no_jump_anywhere_in_scale() -> None:
    image = textured()
    worst = 0.0
    for scale in np.exp(np.linspace(np.log(0.15), np.log(2.0), 220)):
        a = crop(image, about((350, 350), scale, 0.2, 64), 64).astype(int)
        b = crop(image, about((350, 350), scale * 1.0001, 0.2, 64), 64)
        worst = max(worst, float(np.abs(a - b).mean()))
    assert worst < 0.3


def test_the_average_fades_in_from_nothing() -> None:
    assert averaging_kernel(1.0).tolist() == [1.0]
    assert averaging_kernel(7.5).tolist() == [1.0]
    nearly = averaging_kernel(1 / 1.001)
    assert nearly == pytest.approx([0.0005, 0.999, 0.0005], rel=1e-2)
    for scale in np.linspace(0.02, 1, 300):
        kernel = averaging_kernel(scale)
        assert kernel.sum() == pytest.approx(1)
        assert np.array_equal(kernel, kernel[::-1])
        assert (kernel > 0).all() or len(kernel) == 1
        following = averaging_kernel(scale * (1 - 1e-6))
        longer = max(len(kernel), len(following))
        a, b = (np.pad(k, (longer - len(k)) // 2) for k in (kernel, following))
        assert np.abs(a - b).max() < 1e-4


def test_identity_and_whole_shifts_copy_pixels() -> None:
    image = textured(90, 120)
    assert np.array_equal(crop(image, np.array([[1.0, 0, -20], [0, 1.0, -7]]), 64), image[7:71, 20:84])


def test_whole_ratios_are_plain_means() -> None:
    image = textured(90, 120)
    matrix = np.array([[1 / 3, 0, -1 / 3], [0, 1 / 3, -1 / 3]])  # crop pixel (0, 0) is source pixel (1, 1)
    expected = image[:90, :90].reshape(30, 3, 30, 3, 3).mean(axis=(1, 3))
    assert np.abs(crop(image, matrix, 30) - expected).max() <= 0.51


@pytest.mark.parametrize("shrink", [0.6, 1.0, 1.7, 4.0])
@pytest.mark.parametrize("centre", [(0, 0), (199, 30), (100, 149), (-60, 70), (100, -500), (9000, 9000), (100, 75)])
def test_beyond_the_border_its_pixels_go_on(centre: tuple[float, float], shrink: float) -> None:
    image = textured(150, 200)
    pad = 700
    padded = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    nearest = np.clip(centre, (-300, -300), (500, 450))
    matrix = about(tuple(nearest), 1 / shrink, 0.4, 48)
    moved = matrix.copy()
    moved[:, 2] -= matrix[:, :2] @ (pad, pad)
    expected = crop(padded, moved, 48)
    difference = np.abs(crop(image, matrix, 48).astype(int) - expected)
    # The two runs round their sampling places (to 1/32 pixel in OpenCV) apart now and then.
    assert difference.mean() < 0.1
    far = crop(image, about(centre, 1 / shrink, 0.4, 48), 48)
    assert far.shape == (48, 48, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2), (50, 1)])
@pytest.mark.parametrize("scale", [0.05, 0.9, 1.0, 30.0])
def test_tiny_images_and_regions(shape: tuple[int, int], scale: float) -> None:
    image = np.full((*shape, 3), (10, 120, 240), np.uint8)
    for size in (1, 2, 33):
        result = crop(image, about((shape[1] / 2, shape[0] / 2), scale, 0.1, size), size)
        assert result.shape == (size, size, 3)
        assert result.dtype == np.uint8
        assert np.abs(result.astype(int) - (10, 120, 240)).max() <= 1


def test_repeats_exactly_and_leaves_the_frame_alone() -> None:
    image = textured(200, 300)
    before = image.copy()
    matrix = about((150, 100), 0.6, 0.3, 96)
    assert np.array_equal(crop(image, matrix, 96), crop(image.copy(), matrix, 96))
    assert np.array_equal(image, before)


def test_a_mirrored_frame_gives_a_mirrored_crop() -> None:
    image = textured(200, 300)
    matrix = about((150, 100), 0.6, 0.3, 96)
    flip_source = np.array([[-1, 0, 299], [0, 1, 0], [0, 0, 1.0]])
    flip_crop = np.array([[-1, 0, 95], [0, 1, 0], [0, 0, 1.0]])
    mirrored = (flip_crop @ np.vstack([matrix, [0, 0, 1]]) @ flip_source)[:2]
    assert scale_of(mirrored) == pytest.approx(0.6)
    difference = crop(image[:, ::-1], mirrored, 96)[:, ::-1].astype(int) - crop(image, matrix, 96)
    assert np.abs(difference).mean() < 0.5


def test_it_is_quick() -> None:
    image = textured(720, 1280)
    matrix = about((640, 360), 224 / 400, 0.2, 224)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        crop(image, matrix, 224)
        times.append(time.perf_counter() - start)
    # A few milliseconds; the bound only catches work on the whole frame, or another order of magnitude.
    assert min(times) < 0.05


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((2, 3)), np.full((2, 3), np.nan), np.eye(3), np.array([[1, 1, 0], [1, 1, 0.0]])],
)
def test_bad_matrices_are_data_errors(matrix: np.ndarray) -> None:
    with pytest.raises(DataError):
        crop(textured(50, 50), matrix, 32)


def test_bad_frames_and_sizes() -> None:
    good = about((25, 25), 1, 0, 32)
    for image in (np.zeros((50, 50), np.uint8), np.zeros((50, 50, 3)), np.zeros((0, 50, 3), np.uint8)):
        with pytest.raises(DataError):
            crop(image, good, 32)
    with pytest.raises(UsageError):
        crop(textured(50, 50), good, 0)
