"""Opening manifests, their tables, samples and crops."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from dfbench.errors import DataError, UsageError
from dfbench.manifest.manifest import open_manifest
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import DataPart, Protocol, Sampling
from dfbench.schema.manifest import MANIFEST_VERSION


def protocol(*parts: DataPart, **changes: object) -> Protocol:
    test = DataPart(role="test", dataset="mini", split="test")
    values = {
        "name": "own/p",
        "version": 1,
        "source": "s",
        "summary": "s",
        "data": (*parts, test),
        "sampling": Sampling(frames=8),
    }
    return Protocol(**(values | changes))  # type: ignore[arg-type]


def test_table_has_all_rows_and_no_crops(manifest):
    frame = manifest.to_pandas()
    assert len(frame) == 3 * 2 * 3 * 2 * 8
    assert not [c for c in frame.columns if c.startswith("crop_")]
    assert {"sample_id", "sha256_64", "sha256_128", "matrix"} <= set(frame.columns)
    assert list(manifest.to_pandas(["label", "status"]).columns) == ["label", "status"]
    with pytest.raises(UsageError, match="labell"):
        manifest.to_pandas(["labell"])


def test_open_from_the_json_file_too(manifest):
    assert open_manifest(manifest.path / "manifest.json").info == manifest.info


def test_samples_of_the_mini_protocol(manifest):
    mini = load_protocol("mini")
    train, val, test = (manifest.samples(mini, role) for role in ("train", "val", "test"))
    for samples, splits, subsets in (
        (train, {"train"}, {"c23"}),
        (val, {"val"}, {"c23"}),
        (test, {"test"}, {"c23", "c40"}),
    ):
        frame = samples.to_pandas()
        assert set(frame["split"]) == splits
        assert set(frame["subset"]) == subsets
        assert set(frame["manipulation"]) == {"real", "Deepfakes", "FaceSwap"}
        assert len(samples) == len(frame) == 48 * len(subsets)
    everything = manifest.to_pandas()
    assert everything["sample_id"].iloc[test.rows].tolist() == test.table["sample_id"].to_pylist()
    assert (np.diff(test.rows) > 0).all()
    assert (test.size, test.profile, test.role, test.dataset) == (128, "native", "test", "mini")


def test_samples_keep_rows_without_a_crop(manifest):
    samples = manifest.samples("mini", "val")
    assert (~samples.has_crop).sum() == 1
    good = samples.ok()
    assert len(good) == len(samples) - 1
    assert set(good.table["status"].to_pylist()) == {"ok"}
    assert good.labels.tolist() == [int("real" not in s) for s in good.table["sample_id"].to_pylist()]


def test_a_manipulation_filter_keeps_reals_and_roles_are_unions(manifest):
    parts = (
        DataPart(role="train", dataset="mini", split="train", subsets=("c40",), manipulations=("FaceSwap",)),
        DataPart(role="train", dataset="mini", split="val", subsets=("c23",)),
    )
    frame = manifest.samples(protocol(*parts), "train").to_pandas()
    assert set(frame[frame["split"] == "train"]["manipulation"]) == {"real", "FaceSwap"}
    assert set(frame[frame["split"] == "val"]["manipulation"]) == {"real", "FaceSwap", "Deepfakes"}
    assert frame["sample_id"].is_unique


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampling": Sampling(frames=32)}, ("8 per clip", "32 per clip")),
        ({"sampling": Sampling(every=5)}, ("8 per clip", "every 5")),
        ({"crops": {"profile": "box", "size": 128}}, ("native", "box")),
        ({"crops": {"profile": "native", "size": 224}}, ("64, 128", "224")),
    ],
)
def test_a_manifest_that_cannot_serve_the_protocol(manifest, changes, words):
    with pytest.raises(DataError) as error:
        manifest.samples(protocol(**changes), "test")
    assert all(word in error.value.message for word in (*words, "own/p", str(manifest.path)))
    assert "dfbench prepare mini --protocol own/p" in error.value.hint


def test_media_that_the_manifest_lacks(build, tmp_path):
    part = build(tmp_path / "part", subsets=("c23",), splits=("test",))
    with pytest.raises(DataError, match="c40"):
        part.samples("mini", "test")
    with pytest.raises(DataError, match="split 'train'"):
        part.samples("mini", "train")
    lone = DataPart(role="test", dataset="mini", split="test", manipulations=("NeuralTextures",))
    with pytest.raises(DataError, match="NeuralTextures"):
        part.samples(protocol(data=(lone,)), "test")


def test_roles_and_data_sets_that_are_not_used(manifest):
    with pytest.raises(UsageError, match="split of a protocol"):
        manifest.samples("mini", "tests")
    with pytest.raises(UsageError, match="does not use 'mini' for train"):
        manifest.samples(protocol(), "train")


def test_crops_are_the_images_in_the_requested_order(manifest, image_of):
    samples = manifest.samples("mini", "test").ok()
    ids = samples.table["sample_id"].to_pylist()
    for sample, crop in zip(ids, manifest.crops(samples, 64), strict=True):
        assert np.array_equal(crop, image_of(sample, 64))
    backwards = ids[::-7]
    crops = list(manifest.crops(backwards, 128))
    assert all(np.array_equal(c, image_of(s, 128)) for s, c in zip(backwards, crops, strict=True))
    assert list(manifest.crops([], 64)) == []


def test_crops_that_do_not_exist(manifest):
    samples = manifest.samples("mini", "test")
    with pytest.raises(DataError, match="no crop"):
        list(manifest.crops(samples, 64))
    with pytest.raises(DataError, match="no sample 'mini/none'"):
        list(manifest.crops(["mini/none"], 64))
    with pytest.raises(UsageError, match="no crops of size 224"):
        manifest.crops(samples.ok(), 224)


def test_crops_are_read_one_by_one(manifest, monkeypatch):
    from dfbench.manifest.shard_source import LocalFiles

    read: list[int] = []
    original = LocalFiles.read

    def spy(self, file, start, length):
        read.append(length)
        return original(self, file, start, length)

    monkeypatch.setattr(LocalFiles, "read", spy)
    crops = manifest.crops(manifest.samples("mini", "test").ok(), 64)
    next(crops)
    assert sum(length > 1000 for length in read) == 1, "one crop; the rest are headers and lengths"
    assert len(list(crops)) == 96 - 2 - 1
    assert sum(length > 1000 for length in read) == 96 - 2


@pytest.mark.parametrize("decoded", [False, True])
def test_torch_dataset(manifest, image_of, tmp_path, monkeypatch, decoded):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr("dfbench.manifest.crop_cache.cache_home", lambda: tmp_path)
    samples = manifest.samples("mini", "val")
    data = manifest.torch_dataset(samples, 64, decoded=decoded)
    assert bool(list(tmp_path.rglob("*.bin"))) == decoded, "a copy on the disk only where it is asked for"
    assert len(data) == len(samples) - 1
    ids = samples.table["sample_id"].to_pylist()
    loader = torch.utils.data.DataLoader(data, batch_size=16)
    seen = []
    for images, rows in loader:
        assert images.shape[1:] == (3, 64, 64)
        assert images.dtype == torch.uint8
        for image, place in zip(images, rows.tolist(), strict=True):
            assert np.array_equal(image.numpy().transpose(1, 2, 0), image_of(ids[place], 64))
            seen.append(place)
    assert seen == np.flatnonzero(samples.has_crop).tolist()
    copy = pickle.loads(pickle.dumps(data))
    assert torch.equal(copy[5][0], data[5][0])
    assert torch.equal(data[-1][0], data[len(data) - 1][0])
    with pytest.raises(IndexError):
        data[len(data)]


def test_folders_that_are_no_manifest(tmp_path):
    with pytest.raises(DataError, match="no manifest folder"):
        open_manifest(tmp_path / "nosuch")
    with pytest.raises(DataError, match="not a manifest"):
        open_manifest(tmp_path)
    file = tmp_path / "manifest.json"
    file.write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        open_manifest(tmp_path)
    file.write_text("[]")
    with pytest.raises(DataError, match="format version None"):
        open_manifest(tmp_path)
    file.write_text(f'{{"format_version": {MANIFEST_VERSION}, "name": "x"}}')
    with pytest.raises(DataError, match="damaged"):
        open_manifest(tmp_path)


def test_unfinished_and_incomplete_manifests(build, tmp_path):
    folder = tmp_path / "m"
    unfinished = build(folder, complete=False)
    assert not unfinished.info.complete
    with pytest.raises(DataError, match="not finished") as error:
        open_manifest(folder)
    assert f"--out {folder}" in error.value.hint
    build(folder)
    (folder / "shard-00001.parquet").unlink()
    with pytest.raises(DataError, match=r"shard-00001\.parquet"):
        open_manifest(folder)


def test_a_damaged_shard_is_named(build, tmp_path):
    manifest = build(tmp_path / "m")
    shard = manifest.path / "shard-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"shard-00000\.parquet"):
        manifest.to_pandas()


def test_manifest_json_is_plain(manifest):
    raw = json.loads((manifest.path / "manifest.json").read_text())
    assert raw["counts"]["val"]["fake"] == {"no_face": 2, "ok": 62}
    assert raw["sizes"] == [64, 128]


def test_a_manifest_has_a_length_and_short_representations(manifest, build, tmp_path):
    assert len(manifest) == len(manifest.table()) == 288
    assert manifest.media_count == 36
    assert repr(manifest) == (
        f"Manifest(name={manifest.name!r}, dataset='mini', rows=288, media=36, sizes=(64, 128), profile='native')"
    )
    assert "<th>rows</th><td>288</td>" in manifest._repr_html_()
    samples = manifest.samples("mini", "val")
    assert repr(samples) == "Samples(dataset='mini', split='val', rows=48, ok=47)"
    damaged = build(tmp_path / "m")
    (damaged.path / "shard-00001.parquet").unlink()
    assert "rows=288, complete=False" in repr(damaged)
    empty = build(tmp_path / "n", complete=False)
    assert bool(empty)


def test_rows_are_taken_over_all_shards(manifest):
    rows = np.array([0, 95, 96, 200, 287])
    assert manifest.take(rows)["sample_id"].to_pylist() == manifest.to_pandas()["sample_id"].iloc[rows].tolist()
