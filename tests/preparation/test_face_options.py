"""Face detectors and profiles other than the default ones, through the whole of prepare and recrop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import dfbench
from dfbench.faces.crops import crop
from dfbench.faces.detectors import build_face_detector
from dfbench.faces.profiles import get_profile
from dfbench.manifest.manifest import Manifest
from dfbench.media.images import decode_image
from dfbench.media.reader import read
from dfbench.preparation.derived.recrop import recrop

pytestmark = pytest.mark.slow


def decoded_images(manifest: Manifest, column: str) -> list[np.ndarray]:
    files = [manifest.path / shard.file for shard in manifest.info.shards]
    cells = [cell for file in files for cell in pq.read_table(file, columns=[column])[column].to_pylist()]
    return [decode_image(cell["bytes"]) for cell in cells if cell is not None]


def test_the_quick_detector_gives_the_same_bytes_with_any_number_of_workers(tree: Path, tmp_path: Path) -> None:
    made = [
        dfbench.prepare(
            "ff++",
            tree,
            tmp_path / str(jobs),
            frames=10,
            sizes=[48],
            splits=["train", "val"],
            manipulations=["FaceSwap"],
            workers=jobs,
            quiet=True,
        )
        for jobs in (1, 2)
    ]
    assert made[0].info.hash == made[1].info.hash
    assert made[0].info.recipe["face_detector"]["fingerprint"].startswith("centerface-v3:")
    full = dfbench.prepare(
        "ff++",
        tree,
        tmp_path / "full",
        face_detector="centerface-full",
        frames=10,
        sizes=[48],
        splits=["train", "val"],
        manipulations=["FaceSwap"],
        workers=1,
        quiet=True,
    )
    assert full.info.counts == made[0].info.counts
    assert full.info.recipe_hash != made[0].info.recipe_hash
    ours, theirs = (np.stack(m.to_pandas()["landmarks"].to_list()) for m in (made[0], full))
    assert not np.array_equal(ours, theirs)
    assert np.abs(ours - theirs).mean() < 1.5


def test_decord_gives_the_same_crops(tree: Path, tmp_path: Path) -> None:
    pytest.importorskip("decord")
    rows = []
    for decoder in ("pyav", "decord"):
        made = dfbench.prepare(
            "ff++",
            tree,
            tmp_path / decoder,
            frames=3,
            sizes=[48],
            splits=["test"],
            decoder=decoder,
            workers=1,
            quiet=True,
        )
        assert made.info.decoder == made.info.recipe["decoder"] == decoder
        rows.append(made.to_pandas())
    assert rows[0].drop(columns=["time_s"]).equals(rows[1].drop(columns=["time_s"]))
    assert np.allclose(rows[0]["time_s"], rows[1]["time_s"], atol=2e-3)


@pytest.fixture(scope="module")
def exact(tree: Path, predictor: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    out = tmp_path_factory.mktemp("dfb") / "m"
    return dfbench.prepare(
        "ff++",
        tree,
        out,
        frames=1,
        profile="dfb256",
        dlib_predictor=predictor,
        patch=True,
        splits=["val"],
        manipulations=["FaceSwap"],
        workers=1,
        quiet=True,
    )


def test_dfb256_from_a_file_to_its_crops(exact: Manifest, tree: Path, predictor: Path) -> None:
    info = exact.info
    assert (info.profile, info.sizes, info.face_detector, info.extras) == ("dfb256", (256,), "dlib", ("patch", "dense"))
    assert str(predictor) not in (exact.path / "manifest.json").read_text()
    assert exact.verify() == []
    frame = exact.to_pandas()
    good = frame[frame["status"] == "ok"]
    assert len(good) >= len(frame) // 2
    detector = build_face_detector("dlib", model=predictor)
    row = good.iloc[0]
    image = read(tree / row["media_path"], lambda _: [row["frame_index"]]).frames[row["frame_index"]].image
    face = detector.detect([image])[0][0]
    assert np.array_equal(np.reshape(row["dense"], (68, 2)), face.dense)
    profile = get_profile("dfb256")
    matrix = profile.matrix(face, 256, image.shape[1], image.shape[0])
    assert np.array_equal(decoded_images(exact, "crop_256")[0], crop(image, matrix, 256, profile.resampling))
    assert np.allclose(np.reshape(row["matrix"], (2, 3)), matrix, rtol=1e-6)


def test_exact_profiles_stay_exact_without_the_videos(
    exact: Manifest, tree: Path, predictor: Path, tmp_path: Path
) -> None:
    small = recrop(exact, tmp_path / "small", sizes=[96], workers=1, quiet=True)
    assert small.info.profile == "dfb256"
    direct = dfbench.prepare(
        "ff++",
        tree,
        tmp_path / "d",
        frames=1,
        profile="dfb256",
        sizes=[96],
        dlib_predictor=predictor,
        splits=["val"],
        manipulations=["FaceSwap"],
        workers=1,
        quiet=True,
    )
    assert small.info.recrop["uncovered"] == {"96": 0}
    assert small.to_pandas()["sha256_96"].equals(direct.to_pandas()["sha256_96"])
    assert recrop(exact, tmp_path / "f", profile="ffpp13", workers=1, quiet=True).info.profile == "ffpp13~"
    assert recrop(exact, tmp_path / "n", profile="native", workers=1, quiet=True).info.profile == "native"


def test_ffpp13_takes_the_grey_detector(tree: Path, tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    made = dfbench.prepare(
        "ff++",
        tree,
        tmp_path / "m",
        frames=1,
        profile="ffpp13",
        splits=["val"],
        manipulations=["FaceSwap"],
        patch=True,
        workers=1,
        quiet=True,
    )
    assert (made.info.profile, made.info.face_detector, made.info.sizes) == ("ffpp13", "dlib-gray", (299,))
    good = made.to_pandas().query("status == 'ok'")
    assert len(good)
    for _, row in good.iterrows():
        assert np.array_equal(row["box"], np.rint(row["box"]))
    again = recrop(made, tmp_path / "r", sizes=[299], workers=1, quiet=True)
    assert again.info.profile == "ffpp13"
    assert again.to_pandas()["sha256_299"].equals(made.to_pandas()["sha256_299"])
