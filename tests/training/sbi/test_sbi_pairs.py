"""Self-blended pairs: order of steps, determinism, what a row must hold, and faces that cannot be blended."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from schematic_faces import schematic_points
from scipy.stats import binom

import dfbench
from dfbench.errors import DataError
from dfbench.faces.align import similarity
from dfbench.faces.base import Face
from dfbench.faces.crops import crop
from dfbench.faces.landmark_sets import DLIB_FOREHEAD
from dfbench.faces.landmarks import LANDMARKS
from dfbench.faces.profiles import get_profile
from dfbench.faces.regions import landmark_region
from dfbench.manifest.samples import Samples
from dfbench.manifest.shards import read_shard
from dfbench.media.images import decode_image, encode_png
from dfbench.registry import Entry
from dfbench.training.sbi import pairs as module
from dfbench.training.sbi.pairs import Pair, pair_generator, self_blended, self_blended_batch
from dfbench.training.sbi.stored import COLUMNS, FaceImage, StoredFaces, UnusableFaceError, face_image


def face(seed: int = 0, forehead: bool = True) -> FaceImage:
    rng = np.random.default_rng(seed)
    pixels = cv2.GaussianBlur(rng.integers(0, 256, (200, 200, 3), np.uint8), (0, 0), 1.0)
    return FaceImage(pixels, schematic_points(forehead), np.array([60.0, 70, 140, 165]))


def evaluation_crop(image: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """The crop of validation and test: the profile ``sbi``."""
    height, width = image.shape[:2]
    profile = get_profile("sbi")
    matrix = profile.matrix(Face(box, 0.9, np.zeros((5, 2), np.float32)), size, width, height)
    return crop(image, matrix, size, profile.resampling)


def same(a: Pair, b: Pair) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("real", "fake", "mask"))


def test_a_pair_depends_on_face_and_generator_alone() -> None:
    first, again, other, epoch = (
        self_blended(face(), 64, pair_generator(*key)) for key in (("a", 0, 5), ("a", 0, 5), ("b", 0, 5), ("a", 1, 5))
    )
    assert same(first, again)
    assert not same(first, other)
    assert not same(first, epoch)
    assert first.real.shape == first.fake.shape == (64, 64, 3)
    assert first.real.dtype == first.fake.dtype == np.uint8
    assert 0 <= first.mask.min() < first.mask.max() <= 1


def test_the_given_face_is_not_changed() -> None:
    given = face()
    before = given.pixels.copy(), given.landmarks.copy(), given.box.copy()
    for seed in range(6):
        self_blended(given, 32, np.random.default_rng(seed))
    assert all(np.array_equal(a, b) for a, b in zip(before, (given.pixels, given.landmarks, given.box), strict=True))


def test_validation_pairs_show_the_unchanged_face_half_of_the_time() -> None:
    given = face()
    x1, y1, x2, y2 = landmark_region(given.landmarks, 200, 200)
    expected = evaluation_crop(given.pixels[y1:y2, x1:x2], given.box - (x1, y1, x1, y1), 48)
    unchanged = []
    for seed in range(30):
        pair = self_blended(given, 48, np.random.default_rng(seed), training=False)
        outside = pair.mask == 0
        if np.array_equal(pair.real, expected):
            unchanged.append(seed)
            # Outside the mask the fake is the target.
            assert np.abs(pair.fake.astype(int) - expected)[outside].max() <= 1
        assert not np.array_equal(pair.fake, pair.real)
    assert 7 <= len(unchanged) <= 23


def test_steps_follow_the_published_order(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    for name in (
        "landmark_region",
        "face_mask",
        "transform_source",
        "deform_mask",
        "soft_mask",
        "deform_image",
        "blend",
        "transform_pair",
        "face_region",
        "stretched",
    ):
        original = getattr(module, name)

        def note(*args: object, _name: str = name, _original=original, **kwargs: object) -> object:
            called.append(_name)
            return _original(*args, **kwargs)

        monkeypatch.setattr(module, name, note)
    self_blended(face(), 32, np.random.default_rng(0))
    assert called == [
        "landmark_region",
        "face_mask",
        "transform_source",
        "deform_mask",
        "soft_mask",
        "deform_image",
        "blend",
        "transform_pair",
        "transform_pair",
        "face_region",
        "stretched",
        "stretched",
    ]


def test_fakes_blend_the_transformed_face_into_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """With source and target marked by constants, real and fake say which of them they show."""
    monkeypatch.setattr(module, "transform_source", lambda image, _: np.full_like(image, 200))
    monkeypatch.setattr(module, "transform_pair", lambda image, _: image)
    grey = FaceImage(np.full((200, 200, 3), 100, np.uint8), schematic_points(), np.array([60.0, 70, 140, 165]))
    reals, peaks = set(), []
    for seed in range(40):
        pair = self_blended(grey, 40, np.random.default_rng(seed))
        (real,) = np.unique(pair.real)
        reals.add(int(real))
        inside = pair.mask > 0.249
        peaks.append(float(pair.mask.max()))
        other = 300 - int(real)
        mixed = pair.mask[..., None] * other + (1 - pair.mask[..., None]) * int(real)
        assert np.abs(pair.fake.astype(float) - mixed).max() < 4
        assert np.abs(pair.fake[inside].astype(int) - int(real)).min() > 20
    assert reals == {100, 200}
    assert {round(4 * p) for p in peaks} == {1, 2, 3, 4}


class DrawnError(Exception):
    """Raised where the mask would be made: what follows costs time and decides nothing here."""


def test_flips_foreheads_and_hulls_have_the_published_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half are mirrored, a quarter lose the forehead, and the four hulls are equally likely, independently."""
    mirrored: list[bool] = []
    masks: list[tuple[int, str]] = []

    def mirror(face: FaceImage) -> FaceImage:
        mirrored[-1] = True
        return face

    def mask(points: np.ndarray, height: int, width: int, kind: str) -> np.ndarray:
        masks.append((len(points), kind))
        raise DrawnError

    monkeypatch.setattr(FaceImage, "mirrored", mirror)
    monkeypatch.setattr(module, "face_mask", mask)

    def draw(given: FaceImage, count: int, *, training: bool) -> Counter[tuple[bool, int, str]]:
        mirrored.clear()
        masks.clear()
        for number in range(count):
            mirrored.append(False)
            with pytest.raises(DrawnError):
                self_blended(given, 32, pair_generator(f"clip{number}", 0, 3), training=training)
        return Counter((turned, *of_mask) for turned, of_mask in zip(mirrored, masks, strict=True))

    def expect(found: int, count: int, probability: float) -> None:
        low, high = binom.interval(1 - 1e-4, count, probability)
        assert low <= found <= high, (found, count, probability)

    kinds = ("full", "extended", "components", "hull")
    count = 3200
    found = draw(face(), count, training=True)
    assert {key[1:] for key in found} == {(points, kind) for points in (68, 81) for kind in kinds}
    expect(sum(n for (turned, *_), n in found.items() if turned), count, 0.5)
    expect(sum(n for (_, points, _), n in found.items() if points == 68), count, 0.25)
    for kind in kinds:
        expect(sum(n for (*_, drawn), n in found.items() if drawn == kind), count, 0.25)
        for turned in (False, True):  # the three are independent
            expect(found[turned, 68, kind], count, 1 / 2 / 4 / 4)
            expect(found[turned, 81, kind], count, 1 / 2 * 3 / 4 / 4)
    # Validation does not mirror, and landmarks without a forehead have none to lose.
    found = draw(face(forehead=False), 400, training=False)
    assert {key[:2] for key in found} == {(False, 68)}
    for kind in kinds:
        expect(found[False, 68, kind], 400, 0.25)


def test_mirroring_turns_pixels_points_and_box_alike() -> None:
    given = face()
    turned = given.mirrored()
    assert np.array_equal(turned.pixels, given.pixels[:, ::-1])
    assert turned.box.tolist() == [199 - 140, 70, 199 - 60, 165]
    # The mirrored points are the same places, and jaw and forehead run from left to right again.
    assert sorted(map(tuple, turned.landmarks)) == sorted((199 - x, y) for x, y in given.landmarks)
    assert (np.diff(turned.landmarks[:17, 0]) > 0).all()
    assert (np.diff(turned.landmarks[68:, 0]) > 0).all()
    assert np.abs(turned.mirrored().landmarks - given.landmarks).max() < 1e-9


def test_a_batch_is_its_pairs_in_any_order() -> None:
    faces = [face(seed, forehead=seed % 2 == 0) for seed in range(4)]
    names = ["p", "q", "r", "s"]
    batch = self_blended_batch(faces, 32, [pair_generator(name, 2, 1) for name in names])
    assert batch.faces == (0, 1, 2, 3)
    turned = self_blended_batch(faces[::-1], 32, [pair_generator(name, 2, 1) for name in names[::-1]])
    assert np.array_equal(turned.fakes[::-1], batch.fakes)
    assert np.array_equal(turned.reals[::-1], batch.reals)
    images, targets = batch.images_and_targets()
    assert images.shape == (8, 32, 32, 3)
    assert targets.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert np.array_equal(images[5], batch.fakes[1])


def test_a_face_that_cannot_be_blended_is_replaced_and_named() -> None:
    lost = FaceImage(face().pixels, schematic_points() + 5000, face().box)
    batch = self_blended_batch([face(1), lost, face(2)], 32, [np.random.default_rng(n) for n in range(3)])
    assert batch.faces[0] == 0
    assert batch.faces[1] in (0, 2)
    assert batch.faces[2] == 2
    with pytest.raises(DataError, match="no face of this batch"):
        self_blended_batch([lost, lost], 32, [np.random.default_rng(n) for n in range(2)])


def row(**changes: object) -> dict[str, object]:
    """A manifest's row: a frame of 300 x 260, the patch at (30, 20)."""
    given = face()
    values: dict[str, object] = {
        "sample_id": "ds/all/real/clip#0.0",
        "width": 300,
        "height": 260,
        "box": (given.box + np.array([30, 20, 30, 20])).tolist(),
        "dense": (given.landmarks[np.argsort([*range(68), *DLIB_FOREHEAD])] + (30, 20)).reshape(-1).tolist(),
        "patch": {"bytes": encode_png(given.pixels), "path": None},
        "patch_box": [30, 20, 230, 220],
    }
    return values | changes


def test_a_row_gives_the_face_in_pixels_of_its_patch() -> None:
    got, given = face_image(row()), face()
    assert np.array_equal(got.pixels, given.pixels)
    assert np.abs(got.landmarks - given.landmarks).max() < 1e-9
    assert got.box.tolist() == given.box.tolist()


class Schema:
    """A landmark provider for tests: 68 points of a schematic face, fitted to the five landmarks."""

    name = "schema"
    fingerprint = "schema-1"
    count = 68

    def find(self, image: np.ndarray, found: Face) -> np.ndarray:
        points = schematic_points(forehead=False)
        five = np.array([(80.0, 95), (120, 95), (100, 115), (84, 135), (116, 135)])
        matrix = similarity(five, found.landmarks)
        return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


@pytest.fixture(scope="module")
def portrait() -> bytes:
    import matplotlib

    return (Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, portrait: bytes) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for folder in ("real", "fake"):
        (root / folder).mkdir()
        (root / folder / f"{folder}.jpg").write_bytes(portrait)
    return root


@pytest.fixture(scope="module")
def made(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dfbench.Manifest:
    """A manifest of two images with patches and dense landmarks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LANDMARKS._added, "schema", Entry("schema", value=Schema))
        out = tmp_path_factory.mktemp("manifest") / "m"
        return dfbench.prepare("folder", tree, out, sizes=[32], patch=True, landmarks="schema", workers=1, quiet=True)


def samples_of(manifest: dfbench.Manifest) -> Samples:
    return Samples("folder", "train", "native", 32, manifest, np.arange(len(manifest)))


def test_the_faces_of_samples_are_read_in_any_order(made: dfbench.Manifest, portrait: bytes) -> None:
    faces = StoredFaces(samples_of(made))
    rows = made.table(list(COLUMNS)).to_pylist()
    assert len(faces) == 2
    assert faces.indices.tolist() == [0, 1]
    assert faces.skipped == {}
    for item in (1, 0):
        expected, got = face_image(rows[item]), faces[item]
        assert np.array_equal(got.pixels, expected.pixels)
        assert np.array_equal(got.landmarks, expected.landmarks)
        assert np.array_equal(got.box, expected.box)
    with pytest.raises(IndexError):
        faces[2]


def test_samples_without_landmarks_are_errors_or_counted(
    made: dfbench.Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = samples_of(made)
    table = samples.table.to_pylist()
    table[0]["dense"] = None
    samples.__dict__["table"] = pa.Table.from_pylist(table, samples.table.schema)
    with pytest.raises(DataError, match="has no dense landmarks") as error:
        StoredFaces(samples)
    assert "--landmarks" in error.value.hint
    faces = StoredFaces(samples, skip=True)
    assert faces.indices.tolist() == [1]
    assert faces.skipped == {"no dense landmarks": 1}
    assert np.array_equal(faces[0].pixels, StoredFaces(samples_of(made))[1].pixels)
    table[1]["box"] = [0.0, 0, 500, 600]
    samples.__dict__["table"] = pa.Table.from_pylist(table, samples.table.schema)
    with pytest.raises(DataError, match=r"no face of 2 samples .* the last one: the patch .* does not cover") as error:
        StoredFaces(samples, skip=True)
    assert "box and landmarks of this face disagree" in error.value.hint


BORDER = landmark_region(schematic_points(forehead=False), 200, 200)
"""The region that the landmarks of :func:`row` need of its patch."""


@pytest.mark.parametrize(
    ("changes", "reason", "hint"),
    [
        # Five points are what the landmark provider in docs/plugins.md stores.
        (
            {"dense": [1.0] * 10},
            "dense landmarks of shape (5, 2) have no known numbering",
            "dlib-68, dlib-81, mediapipe",
        ),
        ({"dense": [float("nan")] * 136}, "a dense landmark is not finite", "prepare this manifest again"),
        ({"box": [float("nan"), 90.0, 170.0, 185.0]}, "a face box is not finite", "prepare this manifest again"),
        ({"dense": [5000.0] * 136}, "the face lies outside the image", "dfbench inspect"),
        ({"patch_box": None}, "no patch", "--patch --landmarks"),
        # A column or row less than the landmarks need, and far more than the box needs.
        ({"patch_box": [31 + BORDER[0], 20, 230, 220]}, "box and landmarks disagree", "dfbench inspect"),
        ({"patch_box": [30, 20, 230, 19 + BORDER[3]]}, "box and landmarks disagree", "dfbench inspect"),
    ],
)
def test_faces_are_counted_by_what_is_wrong_with_them(
    made: dfbench.Manifest, changes: dict[str, object], reason: str, hint: str
) -> None:
    samples = samples_of(made)
    points = face(forehead=False).landmarks + np.array([30, 20])
    x1, y1, x2, y2 = BORDER
    least = {"patch_box": [30 + x1, 20 + y1, 30 + x2, 20 + y2]}
    good = row() | {"dense": points.reshape(-1).tolist()}
    columns = [name for name in COLUMNS if name != "patch"]

    def given(*rows: dict[str, object]) -> Samples:
        schema = samples.table.select(columns).schema
        samples.__dict__["table"] = pa.Table.from_pylist([{c: r[c] for c in columns} for r in rows], schema)
        return samples

    with pytest.raises(UnusableFaceError) as error:
        StoredFaces(given(good, good | changes))
    assert str(row()["sample_id"]) in error.value.message
    assert hint in error.value.hint
    again = pickle.loads(pickle.dumps(error.value))
    assert (again.message, again.hint, again.reason) == (error.value.message, error.value.hint, reason)
    faces = StoredFaces(given(good | least, good | changes), skip=True)
    assert (faces.indices.tolist(), faces.skipped) == ([0], {reason: 1})
    with pytest.raises(DataError) as none:
        StoredFaces(given(good | changes, good | changes), skip=True)
    assert none.value.message.startswith("no face of 2 samples of ")
    assert none.value.message.endswith(error.value.message)
    assert none.value.hint == error.value.hint


def test_a_manifest_without_patches_says_how_to_prepare(tree: Path, tmp_path: Path) -> None:
    plain = dfbench.prepare("folder", tree, tmp_path / "m", sizes=[32], workers=1, quiet=True)
    with pytest.raises(DataError, match="has no dense landmarks") as error:
        StoredFaces(samples_of(plain))
    assert "--patch --landmarks" in error.value.hint


def test_rows_of_a_prepared_manifest_give_pairs(made: dfbench.Manifest, portrait: bytes) -> None:
    rows = [row for shard in made.info.shards for row in read_shard(made.path / shard.file, list(COLUMNS)).to_pylist()]
    assert len(rows) == 2
    for number, stored in enumerate(rows):
        given = face_image(stored)
        left, top, right, bottom = stored["patch_box"]
        assert np.array_equal(given.pixels, decode_image(portrait)[top:bottom, left:right])
        assert given.landmarks.shape == (68, 2)
        pair = self_blended(given, 48, pair_generator(stored["sample_id"], 0, number))
        assert (pair.real != pair.fake).any()
        # The test crop from the patch is that from the whole frame.
        whole = evaluation_crop(decode_image(portrait), np.asarray(stored["box"]), 48)
        assert np.array_equal(evaluation_crop(given.pixels, given.box, 48), whole)


def test_rows_without_patch_or_landmarks_say_how_to_prepare() -> None:
    for changes, message in (
        ({"dense": None}, "has no dense landmarks"),
        ({"patch": None}, "has no patch"),
        ({"dense": [1.0] * 212}, "no known numbering"),
        ({"box": [200.0, 90, 320, 185]}, "does not cover"),
    ):
        with pytest.raises(DataError, match=message) as error:
            face_image(row(**changes))
        assert error.value.hint
