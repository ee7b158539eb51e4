"""The crops of two other benchmarks: targets, quirks, borders, and the messages where they are approximate."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.errors import DataError, SetupError, UsageError
from dfbench.faces import profile_match
from dfbench.faces.base import DetectorChoice, Face
from dfbench.faces.crops import crop
from dfbench.faces.detectors import build_face_detector
from dfbench.faces.model_files import find_model
from dfbench.faces.profile_match import ProfileMatch, match_profile, served_profile
from dfbench.faces.profiles import get_profile
from dfbench.manifest.stored_geometry import whole_image_matrix

# Targets of DeepfakeBench's own code (skimage and its template), at its size and another.
TARGETS = {
    256: [(96.870, 120.433), (158.825, 120.090), (128.044, 155.669), (102.592, 191.939), (153.899, 191.656)],
    224: [(84.761, 105.379), (138.972, 105.079), (112.039, 136.210), (89.768, 167.947), (134.661, 167.699)],
}
PARTS = [37, 44, 30, 49, 55]

# The template of its code, from which the targets follow without rounding.
TEMPLATE = np.array(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]]
)


def reference_matrix(points: np.ndarray, size: int) -> np.ndarray:
    """DeepfakeBench's ``img_align_crop`` step by step, and Umeyama's estimate by singular values as skimage has it."""
    target = TEMPLATE.copy()
    target[:, 0] += 8.0
    target[:, 0] = target[:, 0] * size / 112
    target[:, 1] = target[:, 1] * size / 112
    margin = (1.3 - 1) / 2.0
    target[:, 0] += size * margin
    target[:, 1] += size * margin
    target[:, 0] *= size / (size + 2 * size * margin)
    target[:, 1] *= size / (size + 2 * size * margin)
    source = points.astype(np.float64)
    goal = target.astype(np.float64)
    a, b = source - source.mean(axis=0), goal - goal.mean(axis=0)
    left, values, right = np.linalg.svd(b.T @ a / len(a))
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    turn = left @ np.diag(signs) @ right
    scale = (values * signs).sum() / a.var(axis=0).sum()
    return np.column_stack([scale * turn, goal.mean(axis=0) - scale * turn @ source.mean(axis=0)])


def dlib_face(rng: np.random.Generator) -> Face:
    """A face with 68 parts in whole pixels, only the five aligned ones lying where they should."""
    angle, scale = rng.uniform(-0.5, 0.5), rng.uniform(0.4, 4)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    parts = rng.uniform(0, 600, (68, 2))
    parts[PARTS] = TEMPLATE @ turn + rng.uniform(0, 500, 2) + rng.normal(0, 2, (5, 2))
    return Face(
        np.array([0, 0, 9, 9], np.float32), 0.9, np.zeros((5, 2), np.float32), np.rint(parts).astype(np.float32)
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from([256, 224, 299]))
@settings(max_examples=60, deadline=None)
def test_dfb256_is_the_reference_matrix(seed: int, size: int) -> None:
    face = dlib_face(np.random.default_rng(seed))
    assert face.dense is not None
    got = get_profile("dfb256").matrix(face, size, 1280, 720)
    assert np.abs(got - reference_matrix(face.dense[PARTS], size)).max() < 1e-4
    assert np.array_equal(got, get_profile("dfb256-nodrop").matrix(face, size, 1280, 720))


@pytest.mark.parametrize("size", [256, 224])
def test_parts_on_the_targets_give_the_unit_matrix(size: int) -> None:
    dense = np.full((81, 2), np.nan, np.float32)
    dense[PARTS] = TARGETS[size]
    face = Face(np.zeros(4, np.float32), 0.9, np.zeros((5, 2), np.float32), dense)
    unit = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    # The printed targets are rounded to a thousandth of a pixel.
    assert np.abs(get_profile("dfb256").matrix(face, size, 640, 480) - unit).max() < 2e-3
    five = Face(np.zeros(4, np.float32), 0.9, np.array(TARGETS[size], np.float32))
    assert np.abs(get_profile("dfb256~").matrix(five, size, 640, 480) - unit).max() < 2e-3


def test_dfb256_needs_parts() -> None:
    face = Face(np.zeros(4, np.float32), 0.9, np.array(TARGETS[256], np.float32))
    with pytest.raises(DataError, match="no dlib landmarks") as error:
        get_profile("dfb256").matrix(face, 256, 640, 480)
    assert "dfb256~" in error.value.hint


def test_dfb256_resamples_as_opencv_does_by_default() -> None:
    rng = np.random.default_rng(3)
    image = cv2.GaussianBlur(rng.integers(0, 256, (300, 400, 3), np.uint8), (0, 0), 1.5)
    for seed in range(8):
        face = dlib_face(np.random.default_rng(seed))
        matrix = get_profile("dfb256").matrix(face, 256, 400, 300)
        reference = cv2.warpAffine(image, matrix, (256, 256))
        got = crop(image, matrix, 256, get_profile("dfb256").resampling)
        assert np.abs(got.astype(int) - reference).max() <= 2
    outside = crop(image + 1, np.array([[1.0, 0, 50], [0, 1, 50]]), 256, "bilinear-black")
    assert not outside[:50].any()
    assert not outside[:, :50].any()


# FaceForensics++'s crop: boxes (dlib's left, top, right, bottom) in an image of 640 x 480, and the square that
# int(1.3 * longer side), the centre by //2 and the two clippings give, worked out by hand.
FFPP = {
    "inside": ((200, 150, 300, 249), (185, 134, 130)),
    "left": ((3, 150, 103, 250), (0, 135, 130)),
    "top": ((200, -20, 300, 80), (185, 0, 130)),
    "right": ((560, 150, 660, 250), (545, 135, 95)),
    "bottom": ((200, 400, 301, 501), (185, 385, 95)),
    "corner": ((600, 440, 700, 540), (585, 425, 55)),
    "top left": ((-50, -60, 50, 40), (0, 0, 130)),
    "wider than high": ((200, 200, 260, 239), (191, 180, 78)),
}


@pytest.mark.parametrize("place", FFPP)
def test_ffpp13_on_all_borders(place: str) -> None:
    box, (left, top, side) = FFPP[place]
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    face = Face(np.array(box, np.float32), 0.9, np.zeros((5, 2), np.float32))
    assert get_profile("ffpp13").square(face.box, 640, 480) == (left, top, side)  # type: ignore[attr-defined]
    # At its own size the crop is the square itself, whatever border it touches: moved and shrunk, never padded.
    matrix = get_profile("ffpp13").matrix(face, side, 640, 480)
    assert np.array_equal(crop(image, matrix, side), image[top : top + side, left : left + side])
    # Twice as large or half, its outer edges stay: crop pixel c has its middle at (c + 0.5) / zoom - 0.5 + left.
    for size in (2 * side, 299):
        zoom = size / side
        first = np.linalg.solve(
            get_profile("ffpp13").matrix(face, size, 640, 480)[:, :2],
            [0, 0] - get_profile("ffpp13").matrix(face, size, 640, 480)[:, 2],
        )
        assert first == pytest.approx([0.5 / zoom - 0.5 + left, 0.5 / zoom - 0.5 + top])


def test_ffpp13_without_a_face_is_a_data_error() -> None:
    for box in ((700, 10, 800, 90), (10, 10, 10, 10), (0, 0, float("nan"), 5)):
        with pytest.raises(DataError):
            get_profile("ffpp13").matrix(
                Face(np.array(box, np.float32), 0.9, np.zeros((5, 2), np.float32)), 64, 640, 480
            )


def test_the_approximate_square_rounds_our_box() -> None:
    face = Face(np.array([200.4, 149.6, 300.2, 249.4], np.float32), 0.9, np.zeros((5, 2), np.float32))
    whole = Face(np.array([200, 150, 300, 249], np.float32), 0.9, np.zeros((5, 2), np.float32))
    assert np.array_equal(
        get_profile("ffpp13~").matrix(face, 99, 640, 480), get_profile("ffpp13").matrix(whole, 99, 640, 480)
    )


# The crop of self-blended images


def published_crop(image: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """Half of a quarter of the box on each side, cut to whole pixels as ``int`` cuts, resized by OpenCV's default."""
    x1, y1, x2, y2 = map(float, box)
    across, down = (x2 - x1) / 4 * 0.5, (y2 - y1) / 4 * 0.5
    left, top = int(max(0, x1 - across)), int(max(0, y1 - down))
    right, bottom = min(image.shape[1], int(x2 + across) + 1), min(image.shape[0], int(y2 + down) + 1)
    return cv2.resize(image[top:bottom, left:right], (size, size))


@pytest.mark.parametrize("size", [32, 128, 380])
def test_sbi_is_the_published_crop_exactly(size: int) -> None:
    rng = np.random.default_rng(size)
    image = rng.integers(0, 256, (300, 400, 3), np.uint8)
    profile = get_profile("sbi")
    for number in range(60):
        corner, side = rng.uniform((-60, -60), (390, 290)), rng.uniform(5, 260, 2)
        box = np.array([*corner, *(corner + side)], np.float32)
        if (box[2:] < 1).any():
            continue
        matrix = profile.matrix(Face(box, 0.9, np.zeros((5, 2), np.float32)), size, 400, 300)
        assert np.array_equal(crop(image, matrix, size, profile.resampling), published_crop(image, box, size)), number
        assert np.array_equal(matrix[:, :2], np.diag(np.diag(matrix[:, :2])))


def test_a_stretched_crop_beyond_the_frame_repeats_its_border_and_is_never_turned() -> None:
    image = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)
    square = whole_image_matrix(4, 2, 4)  # a ready-made crop higher than wide, centred in a square
    expected = np.repeat(image, [2, 2], axis=1)
    assert np.array_equal(crop(image, square, 4, "stretched"), expected)
    with pytest.raises(DataError, match="upright"):
        crop(image, np.array([[1.0, 0.1, 0], [-0.1, 1, 0]]), 4, "stretched")


def test_sbi_without_a_face_is_a_data_error() -> None:
    for box in ((700, 10, 800, 90), (0, 0, float("nan"), 5)):
        with pytest.raises(DataError):
            get_profile("sbi").matrix(Face(np.array(box, np.float32), 0.9, np.zeros((5, 2), np.float32)), 64, 640, 480)


# Which face detector goes with which profile


@pytest.fixture(autouse=True)
def _no_configured_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DFBENCH_DLIB_PREDICTOR", raising=False)
    monkeypatch.delenv("DFBENCH_INSIGHTFACE_MODEL", raising=False)
    monkeypatch.setattr("dfbench.faces.model_files.config_files", lambda: [tmp_path / "dfbench.toml"])


def test_without_dlib_a_peers_profile_is_approximate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_match, "has_dlib", lambda: False)
    centerface = DetectorChoice()
    assert match_profile("native", centerface).profile == "native"
    for profile in ("dfb256", "dfb256-nodrop", "ffpp13"):
        made = match_profile(profile, centerface)
        assert (made.profile, made.detector) == (profile + "~", centerface)
        assert "dlib" in made.note
    with pytest.raises(SetupError, match="dlib is not installed") as error:
        match_profile("dfb256", centerface, "/some/file.dat")
    assert "[dlib]" in error.value.hint
    with pytest.raises(UsageError):
        match_profile("dfb", centerface)


def test_with_dlib_and_a_landmark_file_it_is_exact(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(profile_match, "has_dlib", lambda: True)
    file = str(tmp_path / "shape.dat")
    centerface = DetectorChoice()
    assert match_profile("dfb256", centerface).profile == "dfb256~"  # dlib alone places no landmarks
    assert match_profile("dfb256", centerface, file) == ProfileMatch("dfb256", DetectorChoice("dlib", file))
    assert match_profile("ffpp13", centerface) == ProfileMatch("ffpp13", DetectorChoice("dlib-gray"))
    assert match_profile("dfb256", DetectorChoice("insightface"), file).profile == "dfb256~"
    assert match_profile("dfb256~", centerface, file) == ProfileMatch("dfb256~", centerface)
    assert match_profile("native", DetectorChoice("dlib"), file).detector.model == file
    monkeypatch.setenv("DFBENCH_DLIB_PREDICTOR", file)
    assert match_profile("dfb256", centerface).profile == "dfb256"


def test_what_a_finished_manifest_can_serve() -> None:
    assert served_profile("native", "dfb256", "dlib") == "native"
    assert served_profile("dfb256", "dfb256", "dlib") == "dfb256"
    assert served_profile("dfb256", "dfb256-nodrop", "dlib") == "dfb256~"  # what it would have dropped is not known
    assert served_profile("dfb256-nodrop", "native", "dlib") == "dfb256-nodrop"
    assert served_profile("dfb256", "native", "centerface") == "dfb256~"
    assert served_profile("ffpp13", "ffpp13", "dlib-gray") == "ffpp13"
    assert served_profile("ffpp13", "dfb256", "dlib") == "ffpp13~"


def test_where_model_files_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toml = tmp_path / "dfbench.toml"
    assert find_model("insightface") is None
    toml.write_text('[face-models]\ninsightface = "/from/toml"\n')
    assert find_model("insightface") == Path("/from/toml")
    assert find_model("dlib-predictor") is None
    monkeypatch.setenv("DFBENCH_INSIGHTFACE_MODEL", "/from/env")
    assert find_model("insightface") == Path("/from/env")
    assert find_model("insightface", "/given") == Path("/given")
    for text in ("[face-models\n", "[face-models]\ninsightface = 3\n"):
        toml.write_text(text)
        with pytest.raises(UsageError):
            find_model("dlib-predictor")


# With dlib itself


def roll(matrix: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def test_the_off_by_one_is_kept(predictor: Path, astronaut: np.ndarray, hopper: np.ndarray) -> None:
    detector = build_face_detector("dlib", model=predictor)
    for image in (astronaut, hopper):
        rolls, straight = [], []
        for view in (image, image[:, ::-1]):
            face = detector.detect([view])[0][0]
            assert face.dense is not None
            assert face.dense.shape == (68, 2)
            size = (256, view.shape[1], view.shape[0])
            rolls.append(roll(get_profile("dfb256").matrix(face, *size)))
            straight.append(roll(get_profile("dfb256~").matrix(face, *size)))
        # A mirror turns a roll round: what is left of the two is the lean of the points. dlib's own differs a little
        # between an image and its mirror; the parts that are really used lean by more than two degrees each time.
        assert sum(rolls) < -4
        assert sum(rolls) - sum(straight) < -2.5
        assert all(a < b - 1 for a, b in zip(rolls, straight, strict=True))


def test_dlib_finds_what_the_others_find(
    predictor: Path, detector: object, astronaut: np.ndarray, faceless: list[np.ndarray]
) -> None:
    ours = detector.detect([astronaut])[0][0]  # type: ignore[attr-defined]
    eyes = np.linalg.norm(ours.landmarks[1] - ours.landmarks[0])
    rgb = build_face_detector("dlib", model=predictor)
    for made in (rgb, build_face_detector("dlib-gray")):
        face = made.detect([astronaut])[0][0]
        assert 0.5 < face.score <= 1
        assert np.array_equal(face.box, np.rint(face.box))
        assert np.linalg.norm(face.landmarks - ours.landmarks, axis=1).mean() < 0.12 * eyes
        assert made.detect_clip([astronaut, astronaut])[1][0].score == face.score
    assert rgb.detect([faceless[0]]) == [[]]
    assert "predictor=fbdc2cb80eb9aa7a" in rgb.fingerprint
    face = rgb.detect([astronaut])[0][0]
    matrix = get_profile("dfb256").matrix(face, 256, astronaut.shape[1], astronaut.shape[0])
    assert rgb.sees_face(crop(astronaut, matrix, 256, "bilinear-black"))  # type: ignore[attr-defined]
    assert not rgb.sees_face(np.zeros((256, 256, 3), np.uint8))  # type: ignore[attr-defined]


def test_frames_without_a_second_sight_drop_out(predictor: Path, astronaut: np.ndarray) -> None:
    from dfbench.preparation.extraction.optional_columns import require_face_in_crop

    class Blind:
        name = fingerprint = "blind"

        def sees_face(self, image: np.ndarray) -> bool:
            assert image.shape == (256, 256, 3)
            return False

    face = build_face_detector("dlib", model=predictor).detect([astronaut])[0][0]
    require_face_in_crop(astronaut, face, get_profile("dfb256-nodrop"), Blind())  # type: ignore[arg-type]
    with pytest.raises(DataError, match="not detected in its crop") as error:
        require_face_in_crop(astronaut, face, get_profile("dfb256"), Blind())  # type: ignore[arg-type]
    assert "dfb256-nodrop" in error.value.hint


def test_landmark_files_that_are_none(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    with pytest.raises(SetupError, match="needs a landmark file") as error:
        build_face_detector("dlib")
    assert "--dlib-predictor" in error.value.hint
    with pytest.raises(SetupError, match="cannot be read"):
        build_face_detector("dlib", model=tmp_path / "none.dat")
    (tmp_path / "text.dat").write_text("not a predictor")
    with pytest.raises(SetupError, match="not a dlib shape predictor"):
        build_face_detector("dlib", model=tmp_path / "text.dat")


def test_a_missing_dlib_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(SetupError, match="dlib is not installed") as error:
        build_face_detector("dlib-gray")
    assert "[dlib]" in error.value.hint
