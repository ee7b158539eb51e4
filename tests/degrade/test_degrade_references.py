"""Each degradation against an independent implementation (Pillow, SciPy) or the definition written out."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy import ndimage, stats

from dfbench.degrade import apply, psnr
from dfbench.degrade.noise import MAX_TABULATED, poisson_counts

ID = "a/b/c/d#000001.0"


def farthest(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other.astype(float)).max())


def through_pillow(image: np.ndarray, **settings: object) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **settings)
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("quality", [10, 60, 90, 100])
def test_jpeg_is_pillows(face: np.ndarray, quality: int) -> None:
    theirs = through_pillow(face, format="JPEG", quality=quality, subsampling="4:2:0")
    assert farthest(apply(f"jpeg:q={quality}", face, ID), theirs) <= 1


@pytest.mark.parametrize("quality", [10, 60, 90])
def test_webp_is_pillows(face: np.ndarray, quality: int) -> None:
    theirs = through_pillow(face, format="WEBP", quality=quality, method=4)
    # The two may use other releases of libwebp: the same to 45 dB, and the same distance to the original.
    ours = apply(f"webp:q={quality}", face, ID)
    assert psnr(ours, theirs) > 45
    assert psnr(ours, face) == pytest.approx(psnr(theirs, face), abs=0.2)


@pytest.mark.parametrize("side", [3, 5, 11])
def test_mean_is_scipys(face: np.ndarray, side: int) -> None:
    theirs = ndimage.uniform_filter(face.astype(float), (side, side, 0), mode="mirror")
    assert farthest(apply(f"mean:k={side}", face, ID), theirs) <= 0.5 + 1e-6


@pytest.mark.parametrize("side", [3, 5, 7, 11])
def test_median_is_scipys(face: np.ndarray, side: int) -> None:
    theirs = np.dstack([ndimage.median_filter(face[..., c], side, mode="nearest") for c in range(3)])
    assert (apply(f"median:k={side}", face, ID) == theirs).all()


@pytest.mark.parametrize("sigma", [0.5, 1.17, 3.5, 10])
def test_gaussian_blur_is_scipys(face: np.ndarray, sigma: float) -> None:
    reach = math.ceil(4 * sigma)
    theirs = ndimage.gaussian_filter(face.astype(float), (sigma, sigma, 0), mode="mirror", radius=(reach, reach, 0))
    assert farthest(apply(f"gaussian-blur:sigma={sigma}", face, ID), theirs) <= 1


@pytest.mark.parametrize(("length", "angle"), [(5, 0), (9, 90), (8, 0), (9, 30), (21, -45)])
def test_motion_blur_is_a_mean_along_the_line(face: np.ndarray, length: float, angle: float) -> None:
    turn = math.radians(angle)
    steps = ((np.arange(500) + 0.5) / 500 - 0.5) * length
    places = [(math.floor(s * math.sin(turn) + 0.5), math.floor(-s * math.cos(turn) + 0.5)) for s in steps]
    padded = np.pad(face.astype(float), ((32, 32), (32, 32), (0, 0)), mode="reflect")
    theirs = np.mean([padded[32 + dy : 160 + dy, 32 + dx : 160 + dx] for dy, dx in places], axis=0)
    assert farthest(apply(f"motion-blur:length={length},angle={angle}", face, ID), theirs) <= 1


def test_motion_blur_along_a_row_is_a_mean_of_pixels(face: np.ndarray) -> None:
    theirs = ndimage.uniform_filter1d(face.astype(float), 5, axis=1, mode="mirror")
    assert farthest(apply("motion-blur:length=5", face, ID), theirs) <= 1
    assert (apply("motion-blur:length=1", face, ID) == face).all()


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["box", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("scale", [0.5, 0.333333, 0.17])
def test_resize_is_a_convolution_with_the_widened_kernel(face: np.ndarray, kernel: str, scale: float) -> None:
    small = round(128 * scale)
    theirs = face.astype(float)
    for size in (small, 128):
        matrix = resampling_matrix(theirs.shape[0], size, kernel)
        theirs = np.clip(np.einsum("ij,jkc,lk->ilc", matrix, theirs, matrix), 0, 255)
    ours = apply(f"resize:scale={scale},kernel={kernel}", face, ID)
    assert farthest(ours, theirs) <= 3  # four roundings to bytes against none
    assert abs(ours - theirs).mean() < 0.6


def resampling_matrix(before: int, after: int, kernel: str) -> np.ndarray:
    """Weights (after, before) of an antialiased resampling, from the kernels' textbook definitions."""
    reach = {"box": 0.5, "bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}[kernel]
    wide = max(before / after, 1.0)
    centres = (np.arange(after) + 0.5) * before / after
    x = (np.arange(before)[None, :] + 0.5 - centres[:, None]) / wide
    a = np.abs(x)
    if kernel == "box":
        weight = ((x > -0.5) & (x <= 0.5)).astype(float)
    elif kernel == "bilinear":
        weight = np.maximum(1 - a, 0)
    elif kernel == "bicubic":
        near, far = 1.5 * a**3 - 2.5 * a**2 + 1, -0.5 * (a**3 - 5 * a**2 + 8 * a - 4)
        weight = np.where(a < 1, near, np.where(a < 2, far, 0))
    else:
        weight = np.where(a < reach, np.sinc(x) * np.sinc(x / 3), 0)
    return weight / weight.sum(1, keepdims=True)


def test_nearest_keeps_existing_colours(face: np.ndarray) -> None:
    result = apply("resize:scale=0.25,kernel=nearest", face, ID)
    colours = {tuple(c) for c in face.reshape(-1, 3)}
    assert {tuple(c) for c in result.reshape(-1, 3)} <= colours
    assert len({tuple(c) for c in result.reshape(-1, 3)}) <= 32 * 32


@pytest.mark.parametrize("sigma", [2, 8, 18])
def test_gaussian_noise_has_its_strength(sigma: float) -> None:
    grey = np.full((300, 300, 3), 128, np.uint8)
    noise = apply(f"gaussian-noise:sigma={sigma}", grey, ID).astype(float) - 128
    assert noise.std() == pytest.approx(math.sqrt(sigma**2 + 1 / 12), rel=0.01)  # rounding adds a twelfth
    assert abs(noise.mean()) < 5 * sigma / math.sqrt(noise.size)
    channels = np.corrcoef(noise.reshape(-1, 3).T)
    assert np.abs(channels - np.eye(3)).max() < 0.02
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.02
    kurtosis = ((noise / noise.std()) ** 4).mean()
    assert kurtosis == pytest.approx(3, abs=0.06)


@pytest.mark.parametrize("scale", [0.5, 3, 12, 60, MAX_TABULATED])
def test_counts_of_photons_are_the_inverse_of_the_poisson_distribution(scale: float) -> None:
    rng = np.random.default_rng(4)
    levels = np.concatenate([np.arange(256), rng.integers(0, 256, 4000)]).astype(np.uint8)
    chances = np.concatenate([np.zeros(128), np.full(128, np.nextafter(1, 0)), rng.random(4000)])
    known = stats.poisson.ppf(chances, levels * (scale / 255))
    middle = slice(256, None)
    assert np.array_equal(poisson_counts(levels, scale, chances)[middle], np.maximum(known[middle], 0))
    assert poisson_counts(levels[:128], scale, chances[:128]).max() == 0


@pytest.mark.parametrize("scale", [60, 12])
@pytest.mark.parametrize("level", [32, 100])
def test_shot_noise_has_the_variance_of_counted_photons(scale: float, level: int) -> None:
    grey = np.full((300, 300, 3), level, np.uint8)
    noisy = apply(f"shot-noise:scale={scale}", grey, ID).astype(float)
    assert noisy.std() == pytest.approx(math.sqrt(level * 255 / scale), rel=0.02)
    assert noisy.mean() == pytest.approx(level, rel=0.02)


@pytest.mark.parametrize("share", [0.03, 0.27])
def test_salt_and_pepper_strike_their_share(share: float) -> None:
    grey = np.full((400, 400, 3), 128, np.uint8)
    noisy = apply(f"salt-pepper:p={share}", grey, ID)
    error = 5 * math.sqrt(share / noisy[..., 0].size)
    assert (noisy[..., 0] == 0).mean() == pytest.approx(share / 2, abs=error)
    assert (noisy[..., 0] == 255).mean() == pytest.approx(share / 2, abs=error)
    assert (noisy == noisy[..., :1]).all()
    assert set(np.unique(noisy)) == {0, 128, 255}


@pytest.mark.parametrize("factor", [0.35, 0.85, 1.5])
def test_contrast_is_pillows(face: np.ndarray, factor: float) -> None:
    theirs = np.asarray(ImageEnhance.Contrast(Image.fromarray(face)).enhance(factor))
    assert farthest(apply(f"contrast:factor={factor}", face, ID), theirs) <= 1


@pytest.mark.parametrize("factor", [0, 0.4, 1.5])
def test_saturation_is_pillows(face: np.ndarray, factor: float) -> None:
    theirs = np.asarray(ImageEnhance.Color(Image.fromarray(face)).enhance(factor))
    assert farthest(apply(f"saturation:factor={factor}", face, ID), theirs) <= 1.5


def test_brightness_and_gamma_by_definition(face: np.ndarray) -> None:
    for add in (-40, 26):
        assert (apply(f"brightness:add={add}", face, ID) == np.clip(face.astype(int) + add, 0, 255)).all()
    for power in (0.5, 2.2):
        assert farthest(apply(f"gamma:gamma={power}", face, ID), 255 * (face / 255) ** power) <= 0.5


def test_sharpening_by_definition(face: np.ndarray) -> None:
    blurred = ndimage.gaussian_filter(face.astype(float), (1, 1, 0), mode="mirror", radius=(4, 4, 0))
    theirs = np.clip(face + 2 * (face - blurred), 0, 255)
    assert farthest(apply("sharpen:amount=2", face, ID), theirs) <= 2.5


def test_a_colour_shift_has_its_size_and_no_brightness() -> None:
    grey = np.full((8, 8, 3), 128, np.uint8)
    seen = []
    for number in range(50):
        shifts = apply("color-shift:by=20", grey, f"a/b/c/d#{number:06d}.0")[0, 0].astype(float) - 128
        assert math.sqrt((shifts**2).mean()) == pytest.approx(20, abs=0.6)
        assert abs(shifts.sum()) <= 1.5
        seen.append(math.atan2(shifts[1] - shifts[2], shifts[0]))
    assert np.histogram(seen, 4, (-math.pi, math.pi))[0].min() >= 3


def test_an_occlusion_covers_its_area(face: np.ndarray) -> None:
    white = np.full((100, 200, 3), 255, np.uint8)
    places = set()
    for number in range(20):
        covered = (apply("occlude:area=0.09", white, f"a/b/c/d#{number:06d}.0") == 0).all(2)
        assert covered.sum() == 30 * 60
        rows, columns = np.nonzero(covered)
        assert (np.ptp(rows), np.ptp(columns)) == (29, 59)
        places.add((int(rows.min()), int(columns.min())))
    assert len(places) > 15


def test_a_shift_moves_by_its_distance() -> None:
    rows, columns = np.mgrid[0:100, 0:100]
    image = np.dstack([rows, columns, np.zeros_like(rows)]).astype(np.uint8)
    for number in range(20):
        moved = apply("shift:by=0.1", image, f"a/b/c/d#{number:06d}.0")[50, 50].astype(int)
        assert math.hypot(moved[0] - 50, moved[1] - 50) == pytest.approx(10, abs=0.8)
    assert (apply("shift:by=0", image, ID) == image).all()


def test_social_shrinks_what_is_larger_than_the_platform(face: np.ndarray) -> None:
    large = np.asarray(Image.fromarray(face).resize((1600, 1600), Image.Resampling.NEAREST))
    result = apply("social:platform=facebook-low@source", large, ID)
    assert result.shape == large.shape
    # Steps between repeated pixels cannot survive resizing to 960 pixels.
    assert np.abs(np.diff(result.astype(int), axis=1)).max() < np.abs(np.diff(large.astype(int), axis=1)).max()
    once, twice = (apply(f"social:platform=facebook-low,times={n}", face, ID) for n in (1, 2))
    assert (once == apply("jpeg:q=50", face, ID)).all()
    assert (twice == apply("jpeg:q=50+jpeg:q=50", face, ID)).all()


def test_a_chain_is_one_step_after_the_other(face: np.ndarray) -> None:
    both = apply("JP60+gaussian-noise:sigma=8", face, ID)
    assert (both == apply("gaussian-noise:sigma=8", apply("JP60", face, ID), ID)).all()
    assert (both != apply("gaussian-noise:sigma=8+JP60", face, ID)).any()
    twice = apply("gaussian-noise:sigma=8+gaussian-noise:sigma=8", np.full((200, 200, 3), 128, np.uint8), ID)
    assert twice.astype(float).std() == pytest.approx(8 * math.sqrt(2), rel=0.02), "the second noise is another one"
