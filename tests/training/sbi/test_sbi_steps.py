"""The steps of self-blending against independent float64 implementations: loops and sums."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dfbench.errors import DataError
from dfbench.faces.crops import stretched
from dfbench.faces.regions import covers, draw_factors, face_region, landmark_region
from dfbench.training.sbi.blending import KERNELS, RATIOS, Softening, blend, draw_softening, soft_mask
from dfbench.training.sbi.deformation import (
    Deformation,
    affine_matrix,
    deform_image,
    deform_mask,
    draw_deformation,
    elastic_waves,
)
from dfbench.training.sbi.transforms import (
    Colour,
    Downscale,
    PairTransform,
    Sharpen,
    SourceTransform,
    change_colour,
    compress,
    downscale,
    draw_pair_transform,
    draw_source_transform,
    sharpen,
    transform_pair,
    transform_source,
)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


# Crops


def test_the_first_crop_has_the_published_margins() -> None:
    points = np.random.default_rng(0).uniform([200.0, 300.0], [300.0, 380.0], (81, 2))
    points[:2] = [200, 300], [300, 380]
    points[68:] = [0, 0]  # the forehead does not count
    w, h = 100, 80
    expected = (200 - w / 8 * 4, 300 - h / 2 * 2, 300 + w / 8 * 4 + 1, 380 + h / 5 * 2 + 1)
    assert landmark_region(points, 1000, 1000) == expected == (150, 220, 351, 413)
    assert landmark_region(points, 400, 330) == (150, 220, 330, 400)
    assert landmark_region(points - 180, 400, 330) == (0, 40, 171, 233)
    with pytest.raises(DataError, match="outside"):
        landmark_region(points + 1000, 400, 330)
    with pytest.raises(DataError, match="not finite"):
        landmark_region(points * np.nan, 400, 330)


def test_the_final_crop_has_a_quarter_times_a_factor() -> None:
    box = np.array([100.0, 60.0, 180.0, 160.0])
    assert face_region(box, 400, 400) == (90, 47, 191, 173)  # 80 / 4 / 2 and 100 / 4 / 2 = 12.5
    assert face_region(box, 400, 400, (0.2, 0.8, 0.4, 0.0)) == (96, 40, 189, 161)
    assert face_region(box, 165, 185) == (90, 47, 185, 165)
    rng = np.random.default_rng(0)
    draws = np.array([draw_factors(rng) for _ in range(2000)])
    assert draws.shape == (2000, 4)
    assert 0.2 <= draws.min() < 0.21
    assert 0.79 < draws.max() <= 0.8
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 0.02
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.1
    assert covers((0, 0, 5, 5), (0, 0, 5, 5))
    assert not covers((1, 0, 5, 5), (0, 0, 5, 5))


def bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixel centres at half numbers; beyond the border the border pixel."""

    def axis(length: int, wanted: int) -> np.ndarray:
        weights = np.zeros((wanted, length))
        for i in range(wanted):
            place = min(max((i + 0.5) * length / wanted - 0.5, 0), length - 1)
            low = min(math.floor(place), length - 1)
            weights[i, low] += 1 - (place - low)
            weights[i, min(low + 1, length - 1)] += place - low
        return weights

    rows = np.tensordot(axis(image.shape[0], height), image.astype(float), axes=1)
    return np.moveaxis(np.tensordot(axis(image.shape[1], width), rows, axes=(1, 1)), 0, 1)


def test_crops_are_stretched_bilinearly() -> None:
    image = noise(120, 90)
    for size in (33, 200):
        assert np.abs(stretched(image, size) - bilinear(image, size, size)).max() <= 1.01


# Colour, frequency, compression


def test_colours_are_shifted_and_truncated() -> None:
    image = noise(9, 11)
    got = change_colour(image, Colour(rgb=(3.7, -19.2, 0.0), contrast=-0.2, brightness=0.1))
    expected = np.empty_like(image)
    for (row, column, channel), value in np.ndenumerate(image):
        shifted = int(min(max(value + (3.7, -19.2, 0.0)[channel], 0), 255))
        expected[row, column, channel] = int(min(max(shifted * 0.8 + 25.5, 0), 255))
    assert np.array_equal(got, expected)
    assert np.array_equal(change_colour(image, Colour()), image)


def test_hsv_shifts_move_by_a_level_at_most() -> None:
    image = noise(9, 11)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(int)
    down = cv2.cvtColor(
        np.stack([(hsv[..., 0] - 1) % 180, np.maximum(hsv[..., 1] - 1, 0), hsv[..., 2]], axis=-1).astype(np.uint8),
        cv2.COLOR_HSV2RGB,
    )
    assert np.array_equal(change_colour(image, Colour(hsv=(-0.3, -0.01, 0.29))), down)


def test_downscaling_drops_pixels() -> None:
    image = noise(12, 20)
    small = image[::2, ::2]
    assert np.abs(downscale(image, Downscale(2)) - bilinear(small, 12, 20)).max() <= 1.01
    small = image[::4, ::4]
    assert np.abs(downscale(image, Downscale(4)) - bilinear(small, 12, 20)).max() <= 1.01


def test_sharpening_is_the_published_kernel() -> None:
    image = noise(8, 9)
    alpha, lightness = 0.35, 0.8
    padded = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)), mode="reflect")
    expected = np.empty(image.shape)
    for row in range(8):
        for column in range(9):
            window = padded[row : row + 3, column : column + 3]
            edges = (8 + lightness) * window[1, 1] - (window.sum(axis=(0, 1)) - window[1, 1])
            expected[row, column] = (1 - alpha) * window[1, 1] + alpha * edges
    got = sharpen(image, Sharpen(alpha, lightness))
    assert np.abs(got - np.clip(np.rint(expected), 0, 255)).max() <= 1
    assert np.abs(got - np.clip(expected, 0, 255)).max() <= 0.51


def test_compression_keeps_the_colours_in_place() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0] = 200
    assert np.abs(compress(image, 95).astype(int) - image).max() < 6
    rough = noise(32, 32)
    errors = [np.abs(compress(rough, quality).astype(int) - rough).mean() for quality in (40, 70, 100)]
    assert errors[0] > errors[1] > errors[2] > 0


def test_draws_follow_the_published_probabilities() -> None:
    rng = np.random.default_rng(1)
    sources = [draw_source_transform(rng) for _ in range(2000)]
    pairs = [draw_pair_transform(rng) for _ in range(2000)]

    def share(flags: list[bool]) -> float:
        return sum(flags) / len(flags)

    assert share([s.colour.rgb is not None for s in sources]) == pytest.approx(0.3, abs=0.04)
    assert all(s.colour.hsv is not None and s.colour.contrast and s.colour.brightness for s in sources)
    assert max(abs(s.colour.contrast) for s in sources) <= 0.1 < 1.05 * max(abs(s.colour.contrast) for s in sources)
    assert share([isinstance(s.frequency, Downscale) for s in sources]) == pytest.approx(0.5, abs=0.04)
    assert {s.frequency.factor for s in sources if isinstance(s.frequency, Downscale)} == {2, 4}
    for step in [s.frequency for s in sources if isinstance(s.frequency, Sharpen)]:
        assert 0.2 <= step.alpha <= 0.5 <= step.lightness <= 1
    assert share([p.colour.rgb is not None for p in pairs]) == pytest.approx(0.3, abs=0.04)
    assert share([p.colour.hsv is not None for p in pairs]) == pytest.approx(0.3, abs=0.04)
    assert share([p.colour.contrast != 0 for p in pairs]) == pytest.approx(0.3, abs=0.04)
    assert 0.25 < max(abs(p.colour.brightness) for p in pairs) <= 0.3
    qualities = [p.quality for p in pairs if p.quality is not None]
    assert len(qualities) / 2000 == pytest.approx(0.5, abs=0.04)
    assert (min(qualities), max(qualities)) == (40, 100)
    shifts = np.array([s.colour.rgb for s in sources if s.colour.rgb])
    assert 19 < np.abs(shifts).max() <= 20


def test_transforms_are_colour_and_then_the_rest() -> None:
    image, colour = noise(12, 12), Colour(rgb=(5.0, 5.0, -9.0))
    coloured = change_colour(image, colour)
    step = Sharpen(0.3, 0.7)
    assert np.array_equal(transform_source(image, SourceTransform(colour, step)), sharpen(coloured, step))
    assert np.array_equal(
        transform_source(image, SourceTransform(colour, Downscale(2))), downscale(coloured, Downscale(2))
    )
    assert np.array_equal(transform_pair(image, PairTransform(colour)), coloured)
    assert np.array_equal(transform_pair(image, PairTransform(colour, 50)), compress(coloured, 50))


# Deformation


def test_the_affine_map_scales_about_the_centre_and_shifts() -> None:
    matrix = affine_matrix(41, 61, (0.03, -0.015), (0.95, 1.04))
    assert (matrix @ [30, 20, 1]).tolist() == pytest.approx([30 + 0.03 * 61, 20 - 0.015 * 41])
    assert (matrix @ [0, 0, 1]).tolist() == pytest.approx([30 - 28.5 + 1.83, 20 - 20.8 - 0.615])


def test_elastic_waves_are_smoothed_noise() -> None:
    draw = np.random.default_rng(0).uniform(-1, 1, (2, 90, 120))
    got = elastic_waves(draw.astype(np.float32))
    for plane, wave in zip(draw, got, strict=True):
        assert np.abs(wave - 50 * gaussian_filter(plane, 7)).max() < 1e-3


def test_masks_are_deformed_by_nearest_pixels() -> None:
    rng = np.random.default_rng(2)
    mask = rng.random((37, 52)) < 0.5
    waves = rng.uniform(-4, 4, (2, 37, 52)).astype(np.float32)
    matrix = affine_matrix(37, 52, (0.021, -0.013), (0.97, 1.03))
    moved = np.zeros_like(mask)
    for row in range(37):
        for column in range(52):
            x, y = np.linalg.solve(matrix[:, :2], np.array([column, row]) - matrix[:, 2])
            if 0 <= round(y) < 37 and 0 <= round(x) < 52:
                moved[row, column] = mask[round(y), round(x)]
    expected = np.zeros_like(mask)

    def fold(place: int, length: int) -> int:
        while not 0 <= place < length:
            place = -place if place < 0 else 2 * (length - 1) - place
        return place

    for row in range(37):
        for column in range(52):
            x, y = column + float(waves[0, row, column]), row + float(waves[1, row, column])
            expected[row, column] = moved[fold(round(y), 37), fold(round(x), 52)]
    assert np.array_equal(deform_mask(mask, Deformation(matrix, waves)), expected)


def test_images_are_moved_bilinearly_with_black_around() -> None:
    image = cv2.GaussianBlur(noise(40, 50), (0, 0), 2.0)
    matrix = affine_matrix(40, 50, (0.03, 0.01), (0.95, 0.96))
    got = deform_image(image, Deformation(matrix, np.zeros((2, 40, 50), np.float32)))
    padded = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)))
    for row in range(40):
        for column in range(50):
            x, y = np.linalg.solve(matrix[:, :2], np.array([column, row]) - matrix[:, 2])
            if not (-1 < x < 50 and -1 < y < 40):
                assert not got[row, column].any()
                continue
            left, top = math.floor(x), math.floor(y)
            a, b = x - left, y - top
            window = padded[top + 1 : top + 3, left + 1 : left + 3]
            value = np.einsum("i,j,ijc->c", [1 - b, b], [1 - a, a], window)
            assert np.abs(got[row, column] - value).max() < 4  # OpenCV places samples at 1/32 of a pixel


def test_deformations_have_the_published_ranges() -> None:
    rng = np.random.default_rng(3)
    draws = [draw_deformation(8, 10, rng) for _ in range(600)]
    scales = np.array([np.diag(d.matrix[:, :2]) for d in draws])
    assert 0.95 <= scales.min() < 0.953
    assert 1.05 < scales.max() <= 1 / 0.95
    assert abs(np.corrcoef(scales.T)[0, 1]) < 0.15
    centre = np.array([4.5, 3.5])
    moves = np.array([d.matrix @ [*centre, 1] - centre for d in draws])
    assert 0.29 < np.abs(moves[:, 0]).max() <= 0.3
    assert 0.115 < np.abs(moves[:, 1]).max() <= 0.12


# Soft mask and blending


def gaussian_kernel(side: int, sigma: float) -> np.ndarray:
    """OpenCV's: fixed weights for small sides without a width, else sampled and normalised."""
    fixed = {5: [1, 4, 6, 4, 1], 7: [2, 7, 14, 18, 14, 7, 2]}
    if sigma <= 0 and side in fixed:
        weights = np.array(fixed[side], float)
    else:
        sigma = sigma if sigma > 0 else 0.3 * ((side - 1) * 0.5 - 1) + 0.8
        weights = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * sigma**2))
    return weights / weights.sum()


def blurred(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    reach = len(kernel) // 2
    padded = np.pad(image, reach, mode="reflect")
    rows = sum(w * padded[i : i + image.shape[0], :] for i, w in enumerate(kernel))
    return sum(w * rows[:, i : i + image.shape[1]] for i, w in enumerate(kernel))


def reference_soft_mask(mask: np.ndarray, draw: Softening) -> np.ndarray:
    work = bilinear(mask[..., None], draw.height, draw.width)[..., 0]
    first = blurred(work, gaussian_kernel(draw.first, 0))
    # The blur is whole where every pixel below the kernel is: an erosion.
    whole = np.ones_like(work, bool)
    reach = draw.first // 2
    padded = np.pad(work >= 1 - 1e-12, reach, mode="reflect")
    for row in range(draw.first):
        for column in range(draw.first):
            whole &= padded[row : row + draw.height, column : column + draw.width]
    assert whole.any()
    second = blurred(np.where(whole, first / first.max(), 0), gaussian_kernel(draw.second, draw.sigma))
    return bilinear((second / second.max())[..., None], *mask.shape)[..., 0] * draw.ratio


@pytest.mark.parametrize(
    "draw",
    [
        Softening(192, 256, 5, 25, 5, 1.0),
        Softening(230, 201, 25, 5, 45, 0.25),
        Softening(211, 222, 11, 15, 17, 0.5),
    ],
)
def test_soft_masks_are_eroded_and_blurred_twice(draw: Softening) -> None:
    mask = np.zeros((150, 170), bool)
    cv2.ellipse(view := mask.astype(np.uint8), (80, 70), (50, 60), 20, 0, 360, 1, -1)
    mask |= view > 0
    got = soft_mask(mask, draw)
    assert np.abs(got - reference_soft_mask(mask, draw)).max() < 1e-6
    assert got.min() == 0
    assert got.max() == pytest.approx(draw.ratio)
    # Weights begin inside the mask: the erosion is wider than the second blur reaches only for the large first kernel.
    assert bool((got[~mask] > 1e-9).any()) == (draw.first < draw.second)


def test_an_empty_mask_is_a_data_error() -> None:
    with pytest.raises(DataError, match="mask of a face is empty"):
        soft_mask(np.zeros((50, 60), bool), Softening(192, 192, 5, 5, 5, 1.0))


def test_softenings_have_the_published_ranges() -> None:
    rng = np.random.default_rng(4)
    draws = [draw_softening(rng) for _ in range(3000)]
    assert {d.first for d in draws} == {d.second for d in draws} == set(KERNELS) == set(range(5, 26, 2))
    assert {d.sigma for d in draws} == set(range(5, 46))
    assert {d.height for d in draws} == {d.width for d in draws} == set(range(192, 257))
    for ratio in set(RATIOS):
        share = sum(d.ratio == ratio for d in draws) / 3000
        assert share == pytest.approx(0.5 if ratio == 1 else 1 / 6, abs=0.03)


def test_blending_is_truncated_but_never_lowers_equal_values() -> None:
    rng = np.random.default_rng(5)
    source, target, weight = noise(14, 15, 1), noise(14, 15, 2), rng.random((14, 15))
    got = blend(source, target, weight)
    for index in np.ndindex(14, 15, 3):
        exact = weight[index[:2]] * float(source[index]) + (1 - weight[index[:2]]) * float(target[index])
        assert got[index] == math.floor(exact + 1e-9)
    assert np.array_equal(blend(source, source, weight), source)
    assert np.array_equal(blend(source, target, np.ones((14, 15))), source)
    assert np.array_equal(blend(source, target, np.zeros((14, 15))), target)
