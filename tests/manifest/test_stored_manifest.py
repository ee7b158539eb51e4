"""Manifests in an object store: what is read of them is what is read on disk."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from s3_server import put_tree

from dfbench.cli.main import run_command
from dfbench.errors import DataError
from dfbench.manifest import open_manifest
from dfbench.manifest.manifest import Manifest
from dfbench.manifest.shard_source import CopiedFiles, StoredFiles, shard_source
from dfbench.manifest.source_media import read_medium
from dfbench.media.images import encode_png
from dfbench.storage import StoredPath, as_path


@pytest.fixture
def stored(manifest: Manifest, bucket: str) -> Manifest:
    return open_manifest(put_tree(manifest.path, f"{bucket}/sets/mini"))


def test_a_stored_manifest_is_the_one_on_disk(manifest: Manifest, stored: Manifest) -> None:
    assert stored.info == manifest.info
    assert repr(stored) == repr(manifest)
    assert stored.to_pandas().equals(manifest.to_pandas())
    assert stored.verify() == []


@pytest.mark.parametrize(("gigabytes", "kind"), [("1", CopiedFiles), ("0", StoredFiles)])
def test_crops_are_the_same_in_any_order_whether_shards_are_copied_or_not(
    manifest: Manifest, stored: Manifest, gigabytes: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFBENCH_STAGING_GB", gigabytes)
    assert isinstance(pickle.loads(pickle.dumps(shard_source(stored.path))), kind)
    rows = manifest.to_pandas().query("status == 'ok'")["sample_id"].sample(40, random_state=3).to_list()
    for expected, found in zip(manifest.crops(rows, 64), stored.crops(rows, 64), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_cache_of_shards_stays_within_its_limit(
    stored: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sizes = [entry.stat().st_size for entry in stored.path.glob("shard-*")]
    monkeypatch.setenv("DFBENCH_STAGING", str(tmp_path))
    monkeypatch.setenv("DFBENCH_STAGING_GB", str(1.5 * max(sizes) / 1e9))
    objects = {p.name: p for p in stored.path.iterdir()}
    files = CopiedFiles(stored.path, {e.name: e for e in _objects(stored.path)})
    for name in sorted(objects):
        files.read(name, 0, 4)
        held = sum(f.stat().st_size for f in (tmp_path / "objects").iterdir())
        assert held <= 1.5 * max(sizes)


def _objects(folder: Path) -> list:
    from dfbench.storage.client import list_folder

    return list_folder(str(folder))


def test_damage_in_a_store_is_found(stored: Manifest) -> None:
    assert isinstance(stored.path, StoredPath)
    first, second = (stored.path / shard.file for shard in stored.info.shards[:2])
    data = first.read_bytes()
    first.write_bytes(data[: len(data) // 2])
    second.unlink()
    with pytest.raises(DataError, match="lacks 1 of its 3 shard files"):
        open_manifest(stored.path)
    assert {problem.where for problem in stored.verify()} >= {first.name, second.name}


def test_inspect_and_verify_take_urls(stored: Manifest, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sheet = tmp_path / "faces.png"
    assert run_command(["inspect", str(stored.path), "--faces", str(sheet)]) == 0
    assert sheet.is_file()
    assert run_command(["verify", str(stored.path)]) == 0
    assert "mini: mini, crop profile native" in capsys.readouterr().out


def test_what_is_not_there_and_what_is_denied_are_said(
    bucket: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_command(["inspect", f"{bucket}/nothing"]) == 3
    assert "there is no manifest folder s3://" in capsys.readouterr().err
    assert run_command(["inspect", "nowhere://bucket/x"]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert run_command(["inspect", "s3://key:secret@bucket/x"]) == 2
    assert "secret" not in capsys.readouterr().err


def test_a_local_path_with_a_colon_is_local(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    (tmp_path / "s3:" / "faces:1").symlink_to(manifest.path)
    assert run_command(["verify", "s3:/faces:1"]) == 0
    assert as_path(f"file://{manifest.path}") == manifest.path
    assert open_manifest(f"file://{manifest.path}").info == manifest.info


def test_media_in_a_store_are_read_for_conditions_before_cropping(bucket: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    (tmp_path / "tree" / "clip").mkdir(parents=True)
    for name in ("photo.png", "clip/0.png", "clip/1.png"):
        pixels = generator.integers(0, 256, (20, 30, 3), np.uint8)
        (tmp_path / "tree" / name).write_bytes(encode_png(pixels))
    url = as_path(put_tree(tmp_path / "tree", f"{bucket}/media"))
    for path in ("photo.png", "clip"):
        here, there = (read_medium(root, path, range, "pyav") for root in (tmp_path / "tree", url))
        assert here.frame_count == there.frame_count
        for one, two in zip(here.results, there.results, strict=True):
            np.testing.assert_array_equal(one.image, two.image)
    with pytest.raises(DataError, match="does not exist"):
        read_medium(url, "gone.png", range, "pyav")
