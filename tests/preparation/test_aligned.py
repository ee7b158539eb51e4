"""The sampling rule ``aligned`` on clips of unequal lengths, and the triples of its manifests."""

from __future__ import annotations

import shutil
import tarfile
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError
from dfbench.evaluation.dataset import role_data
from dfbench.evaluation.torch_datasets import ConcatenatedImages
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.triples import TRIPLE_COLUMNS, find_triples, require_triples
from dfbench.media.encode import write_clip
from dfbench.media.images import encode_png
from dfbench.preparation.extraction.scene_reader import SceneReader
from dfbench.preparation.planning.sampling import MediaJob
from dfbench.preparation.prepare import prepare
from dfbench.protocols.protocol import Protocol
from dfbench.schema.media import Media, archive_path
from dfbench.schema.sampling import FrameSampling
from dfbench.training.images import ImagesRequest
from dfbench.training.triples import TripleImages, triple_images

REAL = "original_sequences/youtube/c23/videos/{}.mp4"
FAKE = "manipulated_sequences/{}/c23/videos/{}.mp4"
PAIRS = (("071", "054"), ("720", "672"))
# Frames of the reals a and b and of the fakes a_b and b_a of two methods.
LENGTHS = {"a": 14, "b": 11, "Deepfakes a_b": 13, "Deepfakes b_a": 8, "FaceSwap a_b": 9, "FaceSwap b_a": 12}
K = 4
SPACED = [0, 2, 5, 7]  # 2.33 and 4.67, rounded, of the shortest, which has 8
OPTIONS = {"sizes": [32], "workers": 1, "quiet": True}


def place_of(clip: str, a: str, b: str) -> str:
    method, _, name = clip.rpartition(" ")
    name = "_".join({"a": a, "b": b}[part] for part in name.split("_"))
    return FAKE.format(method, name) if method else REAL.format(name)


def moving(photo: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """Frames of 240x320 in which a photo drifts to the right."""
    out = []
    for n in range(count):
        image = np.full((240, 320, 3), 90 + seed, np.uint8)
        image[2:238, 5 + seed + n : 205 + seed + n] = photo
        out.append(image)
    return out


def frames_of(photo: np.ndarray, clip: str, pair: int, count: int) -> list[np.ndarray]:
    """A fake has the frames of its target, a little brighter; in frame 5 of the real b there is no face."""
    target = clip.rpartition(" ")[2].split("_")[0]
    frames = moving(photo, count, seed=10 * pair + 5 * (target == "b"))
    if clip == "b":
        frames[5][:] = 128
    return [np.clip(frame * 0.9 + 10, 0, 255).astype(np.uint8) for frame in frames] if " " in clip else frames


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory, photo: np.ndarray) -> Path:
    root = tmp_path_factory.mktemp("unequal")
    for number, (a, b) in enumerate(PAIRS):
        for clip, length in LENGTHS.items():
            path = root / place_of(clip, a, b)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_clip(path, frames_of(photo, clip, number, length), 25, 23)
    return root


@pytest.fixture(scope="module")
def aligned(unequal: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    out = tmp_path_factory.mktemp("aligned") / "m"
    return prepare("ff++", unequal, out, sampling=[f"aligned={K}"], geometry="shared", **OPTIONS)


def rows_of(manifest: Manifest) -> pd.DataFrame:
    assert manifest.verify() == []
    return manifest.to_pandas()


def test_every_clip_has_the_indices_of_the_shortest(aligned: Manifest) -> None:
    rows = rows_of(aligned)
    assert rows.groupby("media_id").size().to_dict() == dict.fromkeys(rows["media_id"], K)
    assert all(clip["frame_index"].tolist() == SPACED for _, clip in rows.groupby("media_id"))
    assert sorted(set(rows["frame_count"])) == sorted(LENGTHS.values())
    assert aligned.info.recipe["sampling"] == {"rule": "aligned", "aligned": K}


def test_triples_are_present_or_counted(aligned: Manifest) -> None:
    """Every index of a fake exists in its source and target; the frame without a face is replaced and counted."""
    table = aligned.table([*TRIPLE_COLUMNS, "status", "matrix", "split"])
    table = table.filter(np.asarray(table["status"].to_numpy() == "ok"))
    triples = find_triples(table)
    require_triples(table, triples)
    rows = table.to_pandas()
    # Of each pair and method, b_a has no crop at index 5 with the geometry of b, and a_b has no source there.
    assert {name: vars(found) for name, found in triples.counts.items()} == {
        method: {"fakes": 14, "source_replaced": 2, "target_replaced": 0} | dict.fromkeys(
            ("no_source", "no_target", "own_geometry"), 0
        )
        for method in ("Deepfakes", "FaceSwap")
    }  # fmt: skip
    for n, row in rows[rows["label"] == 1].iterrows():
        source, target = rows.iloc[triples.source[n]], rows.iloc[triples.target[n]]
        assert target["media_id"] == row["base_media_id"]
        assert source["media_id"] == row["source_media_id"]
        assert target["frame_index"] == row["frame_index"]
        assert target["matrix"].tolist() == row["matrix"].tolist(), "cut by the matrix of the fake"
        assert source["geometry_from"] == source["media_id"], "its own geometry"
        missing = source["media_id"].rpartition("/")[2] in ("054", "672") and row["frame_index"] == 5
        assert (source["frame_index"] == row["frame_index"]) != missing


def test_frames_over_each_length_are_counted_and_own_geometry_is_refused(unequal: Path, tmp_path: Path) -> None:
    manifest = prepare("ff++", unequal, tmp_path / "m", frames=K, splits=["train"], **OPTIONS)
    table = manifest.table([*TRIPLE_COLUMNS, "status"])
    table = table.filter(np.asarray(table["status"].to_numpy() == "ok"))
    triples = find_triples(table)
    rows = table.to_pandas()
    held = {(row.media_id, row.frame_index) for row in rows.itertuples()}
    fakes = rows[rows["label"] == 1]
    for what, column in (("source", "source_media_id"), ("target", "base_media_id")):
        absent = sum((clip, frame) not in held for clip, frame in zip(fakes[column], fakes["frame_index"], strict=True))
        assert getattr(triples.total, f"{what}_replaced") == absent > 0
    with pytest.raises(DataError, match="has own geometry"):
        require_triples(table, triples)
    require_triples(table, triples, own_geometry=True)


PROTOCOL = """
name = "t"
version = 1
source = "s"
summary = "s"
data = [
    { role = "train", dataset = "ff++", split = "train" },
    { role = "test", dataset = "ff++", split = "val" },
]
sampling = { aligned = %d }
crops = { size = 32 }
conditions = ["clean"]
"""


def test_a_protocol_can_ask_for_it_and_images_come_with_source_and_target(aligned: Manifest) -> None:
    protocol = Protocol.model_validate(tomllib.loads(PROTOCOL % K))
    data = role_data(protocol, [aligned], "train")
    triples = find_triples(data.columns(TRIPLE_COLUMNS))
    # The recipe and the options are not used.
    made = triple_images(ImagesRequest(data, data.images, None, {}))  # type: ignore[arg-type]
    assert made.rows is None
    assert made.counts == {
        f"{method} {name}": number
        for method in ("Deepfakes", "FaceSwap")
        for name, number in (("fakes", 7), ("source_replaced", 1))
    }
    order = np.random.default_rng(0).permutation(len(data.ok)).tolist()
    images = made.dataset
    batch = images.__getitems__(images.in_epoch(order, 3))
    assert batch.rows == order
    assert batch.targets is None
    for crops, rows in (
        (batch.images, np.arange(len(order))),
        (batch.others["source"], triples.source),
        (batch.others["target"], triples.target),
    ):
        assert crops.is_contiguous(memory_format=torch.channels_last)
        assert all(crops[place].equal(data.images[int(rows[row])][0]) for place, row in enumerate(order))
    with pytest.raises(ValueError, match="several epochs"):
        images.__getitems__([0, len(order)])
    swapped = triple_images(ImagesRequest(data, data.images, None, {}), "code").dataset  # type: ignore[arg-type]
    assert swapped.__getitems__(order).others["source"].equal(batch.others["target"])


def test_fakes_alone_are_refused_before_a_training(aligned: Manifest) -> None:
    table = aligned.table([*TRIPLE_COLUMNS, "status"])
    table = table.filter(np.asarray(table["label"].to_numpy() == 1))
    with pytest.raises(DataError, match=r"fakes \(Deepfakes, FaceSwap\) have no source clip") as caught:
        require_triples(table, find_triples(table))
    assert "prepare the real clips as well" in caught.value.hint
    images = TripleImages(ConcatenatedImages([]), find_triples(table))
    with pytest.raises(ValueError, match="row 0 has no source or no target"):
        images.__getitems__([0])


@pytest.mark.parametrize("other", ["aligned = 3", "frames = 4"])
def test_other_frames_are_not_served(aligned: Manifest, other: str) -> None:
    asked = Protocol.model_validate(tomllib.loads((PROTOCOL % K).replace(f"aligned = {K}", other)))
    with pytest.raises(DataError, match="4 per clip, with the same indices in all clips of a scene group"):
        aligned.samples(asked, "train")


def test_a_clip_that_cannot_be_read_does_not_decide(unequal: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(unequal, tmp_path / "tree"))
    a, b = PAIRS[0]
    broken, gone = place_of("Deepfakes b_a", a, b), place_of("FaceSwap a_b", a, b)
    (root / broken).write_bytes(b"\0" * 4000)
    (root / gone).write_bytes((root / gone).read_bytes()[:900])
    rows = rows_of(prepare("ff++", root, tmp_path / "m", sampling=[f"aligned={K}"], splits=["train"], **OPTIONS))
    spaced = np.round(np.linspace(0, LENGTHS["b"] - 1, K)).astype(int).tolist()
    for path, clip in rows.groupby("media_path"):
        failed = path in (broken, gone)
        assert clip["frame_index"].tolist() == ([-4, -3, -2, -1][::-1] if failed else spaced)
        assert (clip["status"] == "decode_error").all() == failed


def test_the_same_bytes_by_one_worker_and_by_two(unequal: Path, tmp_path: Path, monkeypatch, aligned: Manifest) -> None:
    monkeypatch.setattr("dfbench.preparation.planning.sharding.LEAST_ROWS", 4)
    options = OPTIONS | {"sampling": [f"aligned={K}"], "geometry": "shared"}
    one = prepare("ff++", unequal, tmp_path / "one", **options)
    two = prepare("ff++", unequal, tmp_path / "two", **options | {"workers": 2})
    assert len(one.info.shards) == 2
    assert one.info.shards == two.info.shards
    assert rows_of(one)["sha256_32"].equals(rows_of(aligned)["sha256_32"])


def test_sources_of_a_folder_of_ones_own(tmp_path: Path, photo: np.ndarray) -> None:
    """``media.csv`` names base and source; with one group for all three their indices are the same."""
    root = tmp_path / "mine"
    root.mkdir()
    for name, count in (("a", 12), ("b", 7), ("f", 10)):
        write_clip(root / f"{name}.mp4", moving(photo, count, seed=3), 25, 23)
    (root / "media.csv").write_text("path,label,base,source,group\na.mp4,0,,,g\nb.mp4,0,,,g\nf.mp4,1,a.mp4,b.mp4,g\n")
    made = prepare("folder", root, tmp_path / "m", sampling=["aligned=3"], **OPTIONS)
    table = open_manifest(made.path).table([*TRIPLE_COLUMNS, "scene_group"])
    assert table["frame_index"].to_pylist() == [0, 3, 6] * 3
    triples = find_triples(table)
    assert triples.total.fakes == 3
    assert triples.total.source_replaced == triples.total.target_replaced == 0
    assert triples.complete.all()


def sequences(folder: Path, lengths: dict[str, int]) -> list[MediaJob]:
    """Image sequences in one archive, and one in a folder beside it."""
    jobs = []
    with tarfile.open(folder / "x.tar", "w") as archive:
        for name, count in lengths.items():
            for n in range(count):
                place = folder / name / f"{n:03d}.png"
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(encode_png(np.full((4, 5, 3), n, np.uint8)))
            archive.add(folder / name, name)
    for n, name in enumerate(lengths):
        path = name if n == 0 else archive_path("x.tar", name)
        media = Media("d", "all", "real", name, 0, "test", "g", path, kind="sequence")
        jobs.append(MediaJob(media, FrameSampling(aligned=3)))
    return jobs


def test_sequences_in_folders_and_archives_and_which_medium_is_blamed(tmp_path: Path) -> None:
    jobs = sequences(tmp_path, {"s": 11, "t": 9, "u": 6, "still": 1})
    opened: list[str] = []
    reader = SceneReader(jobs, tmp_path, "pyav", {"d/all/real/u": "given up"}, opened.append)
    for job in jobs[:2]:
        media = job.media
        found = reader.read_requested(
            media, lambda n, m=media: reader.requested(m, n), lambda frames: [0] * len(frames)
        )
        assert sorted(found.results) == [0, 4, 8]
        assert opened[-1] == media.media_id, "a crash while it is read must not be blamed on another medium"
    again = SceneReader(jobs, tmp_path, "pyav", {}, opened.append)
    assert again.facts(jobs[1].media, [0, 2, 5]).size == sum(
        (tmp_path / f"t/{n:03d}.png").stat().st_size for n in (0, 2, 5)
    )
    assert again.requested(jobs[0].media, 11) == [0, 2, 5]
    assert opened[-1] == jobs[1].media.media_id


def test_names_give_the_source_clip(tmp_path: Path) -> None:
    """Every method of FaceForensics++: the second number of a name is the source, in the same compression."""
    methods = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
    for subset in ("raw", "c40"):
        for path in (*(FAKE.format(m, "071_054") for m in methods), REAL.format("054")):
            file = tmp_path / path.replace("c23", subset)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    media = get_adapter("ff++").scan(tmp_path).media
    assert {(m.manipulation, m.subset, m.source_media_id) for m in media if m.label} == {
        (method, subset, f"ff++/{subset}/real/054") for method in methods for subset in ("raw", "c40")
    }
    assert all(m.source_media_id is None for m in media if not m.label)
