"""A later run with the same command: what still fits is kept, what changed is made again, and nothing gets lost."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dfbench.cli.main import run_command
from dfbench.errors import DataError, SetupError, UsageError
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.media.encode import write_clip
from dfbench.media.images import encode_png
from dfbench.preparation.execution import commit, run
from dfbench.preparation.execution.inventory import parse_retry
from dfbench.preparation.planning.sharding import Shard
from dfbench.preparation.prepare import prepare

pytestmark = pytest.mark.slow

PAIRS = (("000", "003"), ("071", "054"), ("720", "672"))
CLIP = "original_sequences/youtube/c23/videos/000.mp4"


def plain(seed: int) -> list[np.ndarray]:
    """Two small frames without a face."""
    return [np.full((48, 64, 3), 40 + seed % 150 + n, np.uint8) for n in range(2)]


def write_pair(root: Path, a: str, b: str, shift: int = 0) -> None:
    for n, (folder, name) in enumerate(
        (("original_sequences/youtube", a), ("original_sequences/youtube", b),
         ("manipulated_sequences/FaceSwap", f"{a}_{b}"), ("manipulated_sequences/FaceSwap", f"{b}_{a}"))
    ):  # fmt: skip
        path = root / folder / "c23" / "videos" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, plain(int(a) + 10 * n + shift), 25, 23)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    for a, b in PAIRS:
        write_pair(root, a, b)
    return root


@pytest.fixture
def root(source: Path, tmp_path: Path) -> Path:
    """A tree to change."""
    return Path(shutil.copytree(source, tmp_path / "tree"))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfbench.preparation.planning.sharding.LEAST_ROWS", 1)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scene groups of the shards that are made."""
    calls: list[str] = []
    work = run.run_shard

    def record(task):
        calls.append(task.shard.media[0].scene_group)
        return work(task)

    monkeypatch.setattr(run, "run_shard", record)
    return calls


def make(root: Path, out: Path, **options) -> Manifest:
    return prepare("ff++", root, out, **({"frames": 2, "sizes": [16], "workers": 1, "quiet": True} | options))


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("shard-*.parquet"))}


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name != "prepare-log.jsonl"}


def assert_as_undisturbed(root: Path, out: Path, tmp_path: Path) -> None:
    fresh = make(root, tmp_path / "fresh")
    assert shard_bytes(out) == shard_bytes(fresh.path)
    assert open_manifest(out).info.model_copy(update={"name": "fresh"}) == fresh.info
    assert open_manifest(out).verify() == []
    assert not [p.name for p in out.iterdir() if p.name.startswith(".")]
    assert (out / "media-state.parquet").is_file()


def test_half_of_the_tree_unmounted_and_put_back(root, tmp_path, made, capsys):
    out = tmp_path / "m"
    make(root, out)
    before = content(out)
    (root / "manipulated_sequences").rename(tmp_path / "away")
    with pytest.raises(
        DataError, match=r"6 media \(ff\+\+/c23/FaceSwap/000_003, .*, \.\.\.\) of finished shards"
    ) as error:
        make(root, out)
    assert "--allow-missing" in error.value.hint
    assert error.value.exit_code == 3
    assert content(out) == before
    words = ["prepare", "ff++", "--root", str(root), "--out", str(out), "--frames", "2", "--size", "16"]
    assert run_command([*words, "--dry-run"]) == 0
    assert "6 media" in capsys.readouterr().out
    (tmp_path / "away").rename(root / "manipulated_sequences")
    made.clear()
    make(root, out)
    assert made == []
    assert content(out) == before
    (root / "manipulated_sequences").rename(tmp_path / "away")
    smaller = make(root, out, allow_missing=True)
    assert len(smaller.to_pandas()) == 12
    assert_as_undisturbed(root, out, tmp_path)


def test_a_part_of_an_array_job_meets_an_unmounted_half(root, tmp_path, made):
    out = tmp_path / "m"
    for number in (1, 2):
        make(root, out, array=f"{number}/2")
    before = content(out)
    (root / "manipulated_sequences").rename(tmp_path / "away")
    for number in (1, 2):
        with pytest.raises(DataError, match="of finished shards"):
            make(root, out, array=f"{number}/2")
    assert content(out) == before
    (tmp_path / "away").rename(root / "manipulated_sequences")
    made.clear()
    make(root, out)
    assert made == []
    assert_as_undisturbed(root, out, tmp_path)


def test_a_list_of_labels_that_vanished_is_a_missing_half_too(root, tmp_path):
    """The clips are there, but no longer media of the data set."""
    data, out = tmp_path / "data", tmp_path / "m"
    part = data / "dfdc_train_part_0"
    part.mkdir(parents=True)
    files = sorted(root.rglob("*.mp4"))[:4]
    for n, file in enumerate(files):
        shutil.copy(file, part / f"{n}.mp4")
    labels = {f"{n}.mp4": {"label": "FAKE" if n else "REAL", "original": "0.mp4" if n else None} for n in range(4)}
    (part / "metadata.json").write_text(json.dumps(labels), "utf-8")
    options = {"frames": 2, "sizes": [16], "workers": 1, "quiet": True}
    prepare("dfdc", data, out, **options)
    before = content(out)
    (part / "metadata.json").write_text(json.dumps({"0.mp4": labels["0.mp4"]}), "utf-8")
    with pytest.raises(DataError, match=r"3 media \(dfdc/all/fake/1, .*\) of finished shards"):
        prepare("dfdc", data, out, **options)
    assert content(out) == before


def test_an_interrupted_run_meets_an_unmounted_half(root, tmp_path, made, monkeypatch):
    out = tmp_path / "m"
    stop_after(monkeypatch, 2)
    with pytest.raises(SetupError, match="stopped by the test"):
        make(root, out)
    kept = shard_bytes(out)
    assert len(kept) == 2
    (root / "manipulated_sequences").rename(tmp_path / "away")
    with pytest.raises(DataError, match="of finished shards"):
        make(root, out)
    assert shard_bytes(out) == kept
    (tmp_path / "away").rename(root / "manipulated_sequences")
    monkeypatch.undo()
    monkeypatch.setattr("dfbench.preparation.planning.sharding.LEAST_ROWS", 1)
    make(root, out)
    assert_as_undisturbed(root, out, tmp_path)


def stop_after(monkeypatch: pytest.MonkeyPatch, shards: int) -> None:
    done: list[int] = []
    work = run.run_shard

    def stopping(task):
        if len(done) == shards:
            raise SetupError("stopped by the test")
        done.append(task.shard.number)
        return work(task)

    monkeypatch.setattr(run, "run_shard", stopping)


def test_a_clip_is_truncated_and_repaired(root, tmp_path, made, caplog):
    out = tmp_path / "m"
    whole = (root / CLIP).read_bytes()
    (root / CLIP).write_bytes(whole[: len(whole) // 2])
    statuses = make(root, out).to_pandas().set_index("media_id")["status"]
    assert statuses["ff++/c23/real/000"].tolist() == ["decode_error"] * 2
    (root / CLIP).write_bytes(whole)
    made.clear()
    with caplog.at_level(logging.WARNING, "dfbench"):
        make(root, out)
    assert made == ["ff++/000_003"]
    assert "1 media (ff++/c23/real/000) changed since they were prepared" in caplog.text
    assert_as_undisturbed(root, out, tmp_path)


def test_a_change_during_an_interrupted_run_is_noticed(root, tmp_path, monkeypatch, made):
    """A shard finished before the change is made again, whenever runs are stopped."""
    out = tmp_path / "m"
    stop_after(monkeypatch, 1)
    with pytest.raises(SetupError):
        make(root, out)
    write_clip(root / CLIP, plain(99), 25, 23)
    stop_after(monkeypatch, 0)
    for _ in range(2):
        with pytest.raises(SetupError):
            make(root, out)
    monkeypatch.undo()
    monkeypatch.setattr("dfbench.preparation.planning.sharding.LEAST_ROWS", 1)
    make(root, out)
    assert_as_undisturbed(root, out, tmp_path)


def test_a_root_replaced_by_other_contents_under_the_same_names(root, tmp_path, made, caplog):
    out = tmp_path / "m"
    make(root, out)
    other = tmp_path / "other"
    for a, b in PAIRS:
        write_pair(other, a, b, shift=5)
    made.clear()
    with caplog.at_level(logging.WARNING, "dfbench"):
        make(other, out)
    assert len(made) == 3
    assert "12 media" in caplog.text
    assert_as_undisturbed(other, out, tmp_path)


def test_the_old_manifest_stays_readable_until_the_new_one_is_complete(root, tmp_path, monkeypatch):
    out = tmp_path / "m"
    old = make(root, out)
    before = shard_bytes(out)
    write_clip(root / CLIP, plain(77), 25, 23)
    write_pair(root, "111", "094")
    stop_after(monkeypatch, 1)
    with pytest.raises(SetupError):
        make(root, out)
    assert open_manifest(out).info == old.info
    assert open_manifest(out).verify() == []
    assert shard_bytes(out) == before
    assert len(list(out.glob(".new-*"))) == 1
    monkeypatch.undo()
    monkeypatch.setattr("dfbench.preparation.planning.sharding.LEAST_ROWS", 1)
    with monkeypatch.context() as second:
        stop_after(second, 1)  # one of the two is finished already
        make(root, out)
    assert_as_undisturbed(root, out, tmp_path)


class Killed(BaseException):
    """A kill, where no code of the run is executed any more."""


def kill_at(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let the N-th change of a file at the end of a run fail."""
    rename, write = commit._rename, commit.write_json
    left = [number]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    def replace(*names):
        step()
        rename(*names)

    def write_json(*arguments, **options):
        step()
        write(*arguments, **options)

    patch.setattr(commit, "_rename", replace)
    patch.setattr(commit, "write_json", write_json)


def test_kept_shards_are_renamed_and_a_kill_while_they_are_loses_nothing(root, tmp_path, made, monkeypatch):
    out, trial = tmp_path / "m", tmp_path / "trial"
    old = make(root, out).info
    write_pair(root, "012", "026")  # between the first pair and the second
    fresh = make(root, tmp_path / "fresh").info.model_copy(update={"name": "trial"})
    wanted = shard_bytes(tmp_path / "fresh")
    refused = 0
    # In order: journal, description, 4 files aside, journal, 4 files, description.
    for step in (0, 1, 3, 6, 8, 11, 12):
        shutil.rmtree(trial, ignore_errors=True)
        shutil.copytree(out, trial)
        made.clear()
        try:
            with monkeypatch.context() as patch:
                kill_at(patch, step)
                make(root, trial)
        except Killed:
            pass
        else:
            assert step == 12
        assert made == ["ff++/012_026"]
        # What can be opened is the old manifest or the new one.
        try:
            found = open_manifest(trial)
        except DataError:
            refused += 1
        else:
            assert found.verify() == []
            assert found.info.shards in (old.shards, fresh.shards)
        make(root, trial)
        assert made == ["ff++/012_026"]
        assert open_manifest(trial).info == fresh
        assert shard_bytes(trial) == wanted
        assert not [p.name for p in trial.iterdir() if p.name.startswith(".")]
    assert refused == 4


def test_retry(root, tmp_path, made, caplog):
    out = tmp_path / "m"
    before = content((make(root, out)).path)
    made.clear()
    make(root, out, retry=["decode_error,missing_media"])
    assert made == []
    with caplog.at_level(logging.WARNING, "dfbench"):
        make(root, out, retry="no_face")
    assert len(made) == 3
    assert "have rows to retry" in caplog.text
    assert content(out) == before
    with pytest.raises(UsageError, match="'ok'"):
        parse_retry(["ok"])


def test_a_clip_that_was_away_for_a_while_is_read_at_a_retry(root, tmp_path, made, monkeypatch):
    """Its file has the size and time that it had, so nothing else tells that it is back."""
    out = tmp_path / "m"
    work = run.run_shard

    def without(task):
        (root / CLIP).rename(tmp_path / "away.mp4")
        try:
            return work(task)
        finally:
            (tmp_path / "away.mp4").rename(root / CLIP)

    with monkeypatch.context() as patch:
        patch.setattr(run, "run_shard", without)
        statuses = make(root, out).to_pandas().set_index("media_id")["status"]
    assert statuses["ff++/c23/real/000"].tolist() == ["missing_media"] * 2
    made.clear()
    make(root, out)
    assert made == []
    make(root, out, retry=["missing_media"])
    assert made == ["ff++/000_003"]
    assert_as_undisturbed(root, out, tmp_path)


def crop_of(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.full((16, 16, 3), value, np.uint8)))
    return path


def test_a_frame_of_a_folder_is_truncated_and_repaired(tmp_path, caplog):
    tree, out = tmp_path / "tree", tmp_path / "m"
    for n in range(4):
        crop_of(tree / "real_test/1/real/5" / f"{n}.png", n)
        crop_of(tree / "fake_test/1/fake/5" / f"{n}.png", 90 + n)
    options = {"frames": 4, "sizes": [16], "workers": 1, "quiet": True}
    frame = tree / "real_test/1/real/5/2.png"
    whole = frame.read_bytes()
    frame.write_bytes(whole[:40])
    statuses = prepare("wilddeepfake", tree, out, **options).to_pandas()["status"]
    assert sorted(statuses) == ["decode_error"] + ["ok"] * 7
    frame.write_bytes(whole)  # in place: the folder itself keeps its time
    with caplog.at_level(logging.WARNING, "dfbench"):
        again = prepare("wilddeepfake", tree, out, **options)
    assert "1 media (wilddeepfake/all/real/test/1/real/5) changed" in caplog.text
    assert set(again.to_pandas()["status"]) == {"ok"}
    assert shard_bytes(out) == shard_bytes(prepare("wilddeepfake", tree, tmp_path / "fresh", **options).path)


def test_an_archive_is_replaced_by_one_of_the_same_names(tmp_path, caplog):
    tree, out = tmp_path / "tree", tmp_path / "m"

    def pack(value: int) -> None:
        for label in ("real", "fake"):
            place = tree / f"{label}_test" / "1.tar"
            place.parent.mkdir(parents=True, exist_ok=True)
            with tarfile.open(place, "w") as archive:
                for n in range(2):
                    archive.add(crop_of(tmp_path / "crop.png", value + n), f"1/{label}/5/{n}.png")

    options = {"frames": 2, "sizes": [16], "workers": 1, "quiet": True}
    pack(10)
    before = prepare("wilddeepfake", tree, out, **options).to_pandas()["sha256_16"].tolist()
    pack(60)
    for file in tree.rglob("*.tar"):
        os.utime(file, ns=(1, 1))
    with caplog.at_level(logging.WARNING, "dfbench"):
        after = prepare("wilddeepfake", tree, out, **options).to_pandas()
    assert "2 media" in caplog.text
    assert not set(before) & set(after["sha256_16"])
    assert shard_bytes(out) == shard_bytes(prepare("wilddeepfake", tree, tmp_path / "fresh", **options).path)


def test_a_manifest_of_an_earlier_version_is_completed(root, tmp_path, made, caplog, monkeypatch):
    out = tmp_path / "m"
    with monkeypatch.context() as earlier:
        earlier.setattr(Shard, "hash", property(lambda shard: f"{shard.number:064x}"))
        make(root, out)
    (out / "media-state.parquet").unlink()
    with caplog.at_level(logging.WARNING, "dfbench"):
        make(root, out)
    assert "3 finished shards do not fit" in caplog.text
    assert_as_undisturbed(root, out, tmp_path)


def test_what_a_kill_after_the_exchange_leaves_is_removed(root, tmp_path, made):
    out = tmp_path / "m"
    before = content(make(root, out).path)
    shutil.copy(out / "shard-00000.parquet", out / "shard-00007.parquet")
    shutil.copy(out / "shard-00000.parquet", out / f".new-00000-{'0' * 32}")
    shutil.copy(out / "media-state.parquet", out / ".new-media-state")
    made.clear()
    make(root, out)
    assert made == []
    assert content(out) == before


def test_a_manifest_without_a_record_of_its_media_gets_one(root, tmp_path, made):
    out = tmp_path / "m"
    before = content(make(root, out).path)
    (out / "media-state.parquet").unlink()
    made.clear()
    make(root, out)
    assert made == []
    assert content(out) == before


def test_a_whole_run_over_parts_notices_what_changed_since(root, tmp_path, made):
    out = tmp_path / "m"
    for number in (1, 2):
        make(root, out, array=f"{number}/2")
    write_clip(root / CLIP, plain(50), 25, 23)
    made.clear()
    make(root, out)
    assert made == ["ff++/000_003"]
    assert not list(out.glob("*-of-2.parquet"))
    assert_as_undisturbed(root, out, tmp_path)


def test_parts_of_an_array_job_notice_changes_too(root, tmp_path, made):
    out = tmp_path / "m"
    for number in (1, 2):
        make(root, out, array=f"{number}/2")
    write_clip(root / CLIP, plain(50), 25, 23)
    made.clear()
    for number in (1, 2):
        make(root, out, array=f"{number}/2")
    assert made == ["ff++/000_003"]
    from dfbench.preparation.derived.merge import merge

    merge([out], quiet=True)
    assert_as_undisturbed(root, out, tmp_path)
    made.clear()
    make(root, out)
    assert made == []


def test_mask_videos_that_changed_or_arrived_are_noticed(root, tmp_path, made):
    def write_mask(name: str, shift: int) -> Path:
        path = root / "manipulated_sequences/FaceSwap/masks/videos" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, plain(shift), 25, 23)
        return path

    def again() -> list[str]:
        made.clear()
        make(root, out, masks=True)
        return [name.rpartition("/")[2] for name in made]

    out = tmp_path / "m"
    mask = write_mask("000_003", 1)
    assert len(again()) == 3
    assert again() == []
    os.utime(mask, ns=(1, 1))
    assert again() == ["000_003"]
    write_mask("054_071", 2)
    assert again() == ["071_054"]
    make(root, tmp_path / "plain")
    made.clear()
    write_mask("720_672", 3)  # no recipe without masks depends on it
    make(root, tmp_path / "plain")
    assert made == []


def test_a_record_without_mask_videos_is_read(root, tmp_path, made):
    out = tmp_path / "m"
    make(root, out)
    record = out / "media-state.parquet"
    pq.write_table(pq.read_table(record).drop_columns(["mask_size", "mask_mtime_ns"]), record)
    write_clip(root / CLIP, plain(99), 25, 23)
    made.clear()
    make(root, out)
    assert len(made) == 1
