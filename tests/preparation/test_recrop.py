"""Patches hold the source around each face, and crops cut from them are those cut from the frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dfbench
from dfbench.errors import DataError, UsageError
from dfbench.faces.base import Face
from dfbench.faces.crops import crop, crop_region
from dfbench.faces.profiles import get_profile
from dfbench.manifest.manifest import Manifest
from dfbench.media.images import decode_image
from dfbench.media.reader import read
from dfbench.preparation.derived import derive
from dfbench.preparation.derived import recrop as recrop_module
from dfbench.preparation.derived.recrop import recrop
from dfbench.preparation.extraction.patches import patch_box, region

pytestmark = pytest.mark.slow

SHAPE = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])


def face_at(x: float, y: float, scale: float, angle: float) -> Face:
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = (SHAPE - SHAPE.mean(axis=0)) @ turn + (x, y)
    low, high = points.min(axis=0) - 20 * scale, points.max(axis=0) + 20 * scale
    return Face(np.array([*low, *high], np.float32), 0.9, points.astype(np.float32))


@given(
    st.floats(20, 300), st.floats(20, 220), st.floats(0.3, 1.5), st.floats(-0.8, 0.8), st.sampled_from([64, 128, 224])
)
@settings(max_examples=60, deadline=None)
def test_a_covered_crop_is_the_same_from_the_patch(x: float, y: float, scale: float, angle: float, size: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    face = face_at(x, y, scale, angle)
    x1, y1, x2, y2 = box = patch_box(face, 320, 240)
    part = region(image[y1:y2, x1:x2].copy(), box, 320, 240)
    for name in ("native", "dfb256~", "box", "ffpp13~", "sbi"):
        profile = get_profile(name)
        matrix = profile.matrix(face, size, 320, 240)
        direct = crop(image, matrix, size, profile.resampling)
        again, covered = crop_region(part, matrix, size, profile.resampling)
        assert covered  # twice the native crop has room for all of these
        assert np.array_equal(again, direct)


def test_the_patch_is_twice_the_native_crop_around_its_centre() -> None:
    face = face_at(400, 300, 1.0, 0.3)
    x1, y1, x2, y2 = patch_box(face, 900, 700)
    matrix = get_profile("native").matrix(face, 224, 900, 700)
    extent = 224 / np.sqrt(np.linalg.det(matrix[:, :2]))
    assert x2 - x1 == pytest.approx(2 * extent, abs=2)
    assert y2 - y1 == pytest.approx(2 * extent, abs=2)
    # The middle of the crop's pixel area, brought back to the source; pixel centres lie at whole numbers.
    middle = np.linalg.solve(matrix[:, :2], np.array([112.0, 112.0]) - matrix[:, 2])
    assert ((x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2) == pytest.approx(tuple(middle), abs=1)
    assert patch_box(face_at(10, 10, 1.0, 0.0), 900, 700)[:2] == (0, 0)
    with pytest.raises(DataError):
        patch_box(face_at(-2000, 0, 1.0, 0.0), 900, 700)


def test_what_the_patch_lacks_is_its_border_and_is_told() -> None:
    image = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    part = region(image[50:120, 50:120].copy(), (50, 50, 120, 120), 200, 200)
    shift = np.array([[1.0, 0, -30], [0, 1.0, -60]])  # shows columns 30 to 93, rows 60 to 123
    got, covered = crop_region(part, shift, 64)
    assert not covered
    assert np.array_equal(got[:60, 20:], image[60:120, 50:94])
    assert (got[:60, :20] == image[60:120, 50:51]).all()
    assert (got[60:, 20:] == image[119:120, 50:94]).all()
    # Outside the image a black border stays black, though the patch ends there too.
    edge = region(image[:70, :70].copy(), (0, 0, 70, 70), 200, 200)
    black, covered = crop_region(edge, np.array([[1.0, 0, 20], [0, 1.0, 10]]), 64, "bilinear-black")
    assert covered
    assert not black[:10].any()
    assert not black[:, :20].any()
    assert np.array_equal(black[10:, 20:], image[:54, :44])


@pytest.fixture(scope="module")
def with_patches(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    out = tmp_path_factory.mktemp("patches") / "m"
    return dfbench.prepare("ff++", tree, out, frames=3, sizes=[96], splits=["train"], patch=True, workers=1, quiet=True)


def decoded_images(manifest: Manifest, column: str) -> list[np.ndarray]:
    files = [manifest.path / shard.file for shard in manifest.info.shards]
    cells = [cell for file in files for cell in pq.read_table(file, columns=[column])[column].to_pylist()]
    return [decode_image(cell["bytes"]) for cell in cells]


def test_patches_are_the_source_itself(with_patches: Manifest, tree: Path) -> None:
    assert with_patches.info.extras == ("patch",)
    assert with_patches.info.recipe["patch"]
    assert with_patches.verify() == []
    frame = with_patches.to_pandas()
    assert "patch" not in frame.columns
    assert (frame["status"] == "ok").all()
    for (_, row), patch in zip(frame.iterrows(), decoded_images(with_patches, "patch"), strict=True):
        x1, y1, x2, y2 = row["patch_box"]
        source = read(tree / row["media_path"], lambda _, i=row["frame_index"]: [i]).frames[row["frame_index"]].image
        assert np.array_equal(patch, source[y1:y2, x1:x2])


@pytest.mark.parametrize(
    ("profile", "size", "name"),
    [
        ("native", 128, "native"),
        ("dfb256", 256, "dfb256~"),
        ("ffpp13", 99, "ffpp13~"),
        ("box", 64, "box"),
        ("sbi", 60, "sbi"),
    ],
)
def test_recrop_equals_preparing_again(
    with_patches: Manifest, tree: Path, tmp_path: Path, profile: str, size: int, name: str
) -> None:
    again = recrop(with_patches, tmp_path / "again", profile=profile, sizes=[size], workers=1, quiet=True)
    direct = dfbench.prepare(
        "ff++", tree, tmp_path / "d", frames=3, sizes=[size], profile=name, splits=["train"], workers=1, quiet=True
    )
    assert again.verify() == []
    assert again.info.profile == direct.info.profile == name
    assert again.info.recrop["uncovered"] == {str(size): 0}
    assert again.info.counts == with_patches.info.counts == direct.info.counts
    assert again.to_pandas().drop(columns=["reason"]).equals(direct.to_pandas().drop(columns=["reason"]))
    for one, other in zip(decoded_images(again, f"crop_{size}"), decoded_images(direct, f"crop_{size}"), strict=True):
        assert np.array_equal(one, other)


def test_recrop_tells_where_it_comes_from_and_goes_on(
    with_patches: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r"
    made = recrop(with_patches.path, out, sizes=[48, 80], workers=1, quiet=True)
    assert made.info.recipe["recrop"]["hash"] == with_patches.info.hash
    assert made.info.recipe_hash != with_patches.info.recipe_hash
    assert made.info.extras == ()
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    worked: list[Path] = []
    real = derive.make_shard
    monkeypatch.setattr(derive, "make_shard", lambda task: worked.append(task.target) or real(task))
    recrop(with_patches.path, out, sizes=[80, 48], workers=1, quiet=True)
    assert worked == []
    first = sorted(out.glob("shard-*"))[0]
    first.unlink()
    (out / "manifest.json").write_text(
        (out / "manifest.json").read_text().replace('"complete": true', '"complete": false')
    )
    recrop(with_patches.path, out, sizes=[48, 80], workers=1, quiet=True)
    assert worked == [first]
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    with pytest.raises(UsageError, match="sizes"):
        recrop(with_patches.path, out, sizes=[64], workers=1, quiet=True)
    with pytest.raises(UsageError, match="the folder of the source manifest"):
        recrop(with_patches.path, with_patches.path, workers=1, quiet=True)
    with pytest.raises(DataError, match="no patches") as error:
        recrop(made, tmp_path / "x", workers=1, quiet=True)
    assert "--patch" in error.value.hint


def test_an_interrupted_shard_leaves_nothing(
    with_patches: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r"
    calls = iter(range(100))
    real = recrop_module.crop_region

    def failing(*arguments: object) -> object:
        if next(calls) == 5:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(recrop_module, "crop_region", failing)
    with pytest.raises(KeyboardInterrupt):
        recrop(with_patches, out, workers=1, quiet=True)
    assert [p.name for p in out.iterdir() if p.name.startswith(".tmp")] == []
    with pytest.raises(DataError, match="not finished"):
        dfbench.open_manifest(out)
    monkeypatch.setattr(recrop_module, "crop_region", real)
    assert recrop(with_patches, out, workers=1, quiet=True).verify() == []


def test_a_damaged_patch_is_found(with_patches: Manifest, tmp_path: Path) -> None:
    from dfbench.manifest.verify import _patch_problem

    cell = pq.read_table(
        with_patches.path / with_patches.info.shards[0].file, columns=["patch", "patch_box", "sha256_patch"]
    )
    row = cell.to_pylist()[0]
    assert _patch_problem(row["patch"], row["patch_box"], row["sha256_patch"]) == ""
    x1, y1, x2, y2 = row["patch_box"]
    wider = _patch_problem(row["patch"], [x1, y1, x2 + 1, y2], row["sha256_patch"])
    assert f"{x2 - x1}x{y2 - y1} pixels, expected {x2 - x1 + 1}x{y2 - y1}" in wider
    assert "do not match its hash" in _patch_problem(row["patch"], row["patch_box"], "0" * 64)
    assert "decode" in _patch_problem({"bytes": b"\x89PNG\r\n\x1a\n"}, row["patch_box"], "0" * 64)


class Corners:
    """A provider for tests: the corners of the box and the nose."""

    name = "corners"
    fingerprint = "corners-1"
    count = 5

    def find(self, image: np.ndarray, face: Face) -> np.ndarray:
        x1, y1, x2, y2 = face.box
        return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2), face.landmarks[2]], np.float32)


@pytest.fixture
def corners(monkeypatch: pytest.MonkeyPatch) -> Callable[[type], None]:
    from dfbench.faces.landmarks import LANDMARKS
    from dfbench.registry import Entry

    def install(provider: type) -> None:
        monkeypatch.setitem(LANDMARKS._added, "corners", Entry("corners", value=provider))

    return install


def test_dense_landmarks_of_a_provider_are_stored(tree: Path, tmp_path: Path, corners: Callable[[type], None]) -> None:
    corners(Corners)
    made = dfbench.prepare(
        "ff++",
        tree,
        tmp_path / "m",
        frames=2,
        sizes=[32],
        splits=["test"],
        landmarks="corners",
        patch=True,
        workers=1,
        quiet=True,
    )
    assert made.info.extras == ("patch", "dense")
    assert made.info.recipe["landmarks"] == {"name": "corners", "fingerprint": "corners-1"}
    assert made.verify() == []
    frame = made.to_pandas()
    for _, row in frame.iterrows():
        dense = np.asarray(row["dense"]).reshape(5, 2)
        assert np.array_equal(dense[0], row["box"][:2])
        assert np.array_equal(dense[4], np.asarray(row["landmarks"]).reshape(5, 2)[2])
    again = recrop(made, tmp_path / "r", sizes=[40], workers=1, quiet=True)
    assert again.info.extras == ("dense",)
    assert [list(d) for d in again.to_pandas()["dense"]] == [list(d) for d in frame["dense"]]


def test_the_model_file_of_a_provider_stays_out_of_the_recipe(corners: Callable[[type], None]) -> None:
    from dfbench.preparation.planning.options import PreparationRequest
    from dfbench.preparation.planning.request import make_recipe

    class WithFile(Corners):
        def __init__(self, model: str | None = None) -> None:
            self.fingerprint = f"corners-{'none' if model is None else len(model)}"

    corners(WithFile)
    plain, given = (
        make_recipe(PreparationRequest("mini", landmarks="corners", landmark_model=model))
        for model in (None, "/here/corners.bin")
    )
    assert (plain.local_landmarks, given.local_landmarks) == (None, "/here/corners.bin")
    assert given.to_json()["landmarks"] == {"name": "corners", "fingerprint": "corners-17"}
    assert plain.to_json()["landmarks"]["fingerprint"] == "corners-none"
    assert "/here" not in str(given.to_json())


def test_optional_columns_open_with_datasets(with_patches: Manifest, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = [str(with_patches.path / shard.file) for shard in with_patches.info.shards]
    rows = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))["train"]
    x1, y1, x2, y2 = rows[0]["patch_box"]
    assert rows[0]["patch"].size == (x2 - x1, y2 - y1)


def test_a_provider_that_does_not_keep_its_word(corners: Callable[[type], None]) -> None:
    from dfbench.errors import SetupError
    from dfbench.faces.landmarks import build_landmark_provider, checked_landmarks, landmark_provider_names

    class Short(Corners):
        def find(self, image: np.ndarray, face: Face) -> np.ndarray:
            return np.zeros((4, 2), np.float32)

    class Dumb:
        name = "corners"

    corners(Short)
    assert landmark_provider_names() == ("average-face", "corners", "dlib-68", "dlib-81", "mediapipe")
    with pytest.raises(DataError, match=r"\(4, 2\), not \(5, 2\)"):
        checked_landmarks(build_landmark_provider("corners"), np.zeros((9, 9, 3), np.uint8), face_at(5, 5, 1, 0))
    with pytest.raises(UsageError, match="unknown landmark provider"):
        build_landmark_provider("insightface-106")
    corners(Dumb)
    with pytest.raises(SetupError, match="lacks fingerprint, count, find"):
        build_landmark_provider("corners")
