"""DFDC: parts with metadata.json, label files of validation and test in their variants."""

from __future__ import annotations

import json
import os
import string
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError

REALS = ("aaaaaaaaaa.mp4", "bbbbbbbbbb.mp4")


def fake(original):
    return {"label": "FAKE", "split": "train", "original": original}


def real():
    return {"label": "REAL", "split": "train"}


def part(root, metadata, clips=None):
    root.mkdir(parents=True, exist_ok=True)
    for name in metadata if clips is None else clips:
        (root / name).touch()
    if metadata is not None:
        (root / "metadata.json").write_text(json.dumps(metadata), "utf-8")
    return root


@pytest.fixture
def tree(tmp_path):
    part(
        tmp_path / "train/dfdc_train_part_0",
        {"aaaaaaaaaa.mp4": real(), "cccccccccc.mp4": fake("aaaaaaaaaa.mp4"), "dddddddddd.mp4": fake("bbbbbbbbbb.mp4")},
    )
    part(
        tmp_path / "train/dfdc_train_part_1",
        {"bbbbbbbbbb.mp4": {**real(), "original": None}, "eeeeeeeeee.mp4": {"label": "FAKE", "split": "train"}},
    )
    for name, text in (("validation", "filename,label\nvvvvvvvvvv.mp4,1\nwwwwwwwwww.mp4,0\n"),):
        part(tmp_path / name, None, ["vvvvvvvvvv.mp4", "wwwwwwwwww.mp4"])
        (tmp_path / name / "labels.csv").write_text(text, "utf-8")
    part(tmp_path / "test", {"tttttttttt.mp4": {"is_fake": 1}, "uuuuuuuuuu.mp4": {"is_fake": 0}})
    return tmp_path


def scan(root, **filters):
    return get_adapter("dfdc").scan(root, **filters)


def test_polarity_and_counts(tree, cells):
    found = scan(tree)
    assert cells(found) == {
        ("train", 0, "real"): 2,
        ("train", 1, "fake"): 3,
        ("val", 0, "real"): 1,
        ("val", 1, "fake"): 1,
        ("test", 0, "real"): 1,
        ("test", 1, "fake"): 1,
    }
    labels = {m.name: m.label for m in found.media}
    assert [labels[c * 10] for c in "acvwtu"] == [0, 1, 1, 0, 1, 0]
    assert found.expected["all"]["train"] == {"real": {"real": 19154}, "fake": {"fake": 100000}}
    assert found.expected["all"]["test"] == {"real": {"real": 2500}, "fake": {"fake": 2500}}
    assert found.missing["all"]["val"] == {"real": {"real": 1999}, "fake": {"fake": 1999}}
    assert found.warnings[0].startswith("48 of 50 train parts were not found: dfdc_train_part_2,")


def test_groups_are_the_original_even_in_another_part(tree):
    by_name = {m.name: m for m in scan(tree).media}
    assert by_name["d" * 10].base_media_id == "dfdc/all/real/bbbbbbbbbb"
    assert by_name["d" * 10].scene_group == by_name["b" * 10].scene_group
    assert by_name["c" * 10].scene_group == by_name["a" * 10].scene_group
    assert by_name["e" * 10].base_media_id is None
    assert len({m.scene_group for m in by_name.values()}) == 7


@pytest.mark.parametrize(
    "names", [("dfdc_train_part_00",), ("DFDC_train_part_0",), ("dfdc_train_part_00", "dfdc_train_part_0")]
)
def test_parts_under_the_root_padded_and_nested(tmp_path, names, cells):
    part(tmp_path.joinpath("DFDC", *names), {"aaaaaaaaaa.mp4": real()})
    assert cells(scan(tmp_path)) == {("train", 0, "real"): 1}


def test_a_part_without_metadata_is_counted_and_named(tree):
    part(tree / "train/dfdc_train_part_7", None, ["xxxxxxxxxx.mp4", "yyyyyyyyyy.mp4"])
    found = scan(tree)
    assert found.excluded["a folder without metadata.json or labels.csv"] == (
        "train/dfdc_train_part_7/xxxxxxxxxx.mp4",
        "train/dfdc_train_part_7/yyyyyyyyyy.mp4",
    )
    assert any("dfdc_train_part_7 has neither" in w and "2 clips" in w for w in found.warnings)


def test_clips_that_one_side_lacks_are_named(tree):
    (tree / "train/dfdc_train_part_0/zzzzzzzzzz.mp4").touch()
    (tree / "train/dfdc_train_part_0/cccccccccc.mp4").unlink()
    found = scan(tree)
    assert found.excluded["not named in the label file"] == ("train/dfdc_train_part_0/zzzzzzzzzz.mp4",)
    assert any("1 clips named in the label file of train/dfdc_train_part_0 were not found" in w for w in found.warnings)


def test_both_label_files_metadata_is_preferred_and_compared(tree):
    listing = tree / "test/labels.csv"
    listing.write_text("filename,label\ntttttttttt.mp4,1\nuuuuuuuuuu.mp4,0\n", "utf-8")
    assert len(scan(tree, splits=["test"]).media) == 2
    listing.write_text("filename,label\nuuuuuuuuuu.mp4,0\ntttttttttt.mp4,0\n", "utf-8")
    with pytest.raises(DataError, match=r"labels.csv, line 3: tttttttttt.mp4 is real, but fake in .*metadata.json"):
        scan(tree)


def test_one_clip_in_two_parts(tree):
    part(tree / "train/dfdc_train_part_2", {"aaaaaaaaaa.mp4": real()})
    assert scan(tree).excluded["a second file of the same clip"] == ("train/dfdc_train_part_2/aaaaaaaaaa.mp4",)
    part(tree / "train/dfdc_train_part_2", {"aaaaaaaaaa.mp4": fake("bbbbbbbbbb.mp4")})
    with pytest.raises(DataError, match=r"part_2/aaaaaaaaaa.mp4 is fake, but the clip of the same name"):
        scan(tree)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"aaaaaaaaaa.mp4": {"label": "REAL"', "line 1: not JSON"),
        ("[]", "contains a JSON list, not an object"),
        ('{\n"aaaaaaaaaa.mp4": {"label": "MAYBE"}}', "line 2: aaaaaaaaaa.mp4: not a label"),
        ('{\n"aaaaaaaaaa.mp4": {}}', "line 2: aaaaaaaaaa.mp4 has no label"),
        ('{"aaaaaaaaaa.mp4": {"label": "REAL"}, "aaaaaaaaaa.mp4": {"label": "FAKE"}}', "occurs twice"),
    ],
)
def test_broken_metadata_names_file_and_line(tree, text, words):
    (tree / "train/dfdc_train_part_0/metadata.json").write_text(text, "utf-8")
    with pytest.raises(DataError, match=words) as caught:
        scan(tree)
    assert "dfdc_train_part_0" in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,label\na.mp4,1\n", "line 1: no column 'filename'"),
        ("filename,label\nvvvvvvvvvv.mp4,2\n", "line 2: not a label: '2'"),
        ("filename,label\nvvvvvvvvvv.mp4\n", "line 2: 1 values, the header has 2"),
        ("filename,label\nv.mp4,1\nv.mp4,0\n", "line 3: v.mp4 has another label in line 2"),
    ],
)
def test_broken_lists_name_file_and_line(tree, text, words):
    (tree / "validation/labels.csv").write_text(text, "utf-8")
    with pytest.raises(DataError, match=rf"labels.csv, {words}"):
        scan(tree)


def test_an_unreadable_folder_is_an_error_that_names_it(tree, monkeypatch):
    honest = os.scandir

    def refuse(path):
        if str(path).endswith("dfdc_train_part_1"):
            raise PermissionError(13, "Permission denied", str(path))
        return honest(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"no permission to read the folder .*dfdc_train_part_1"):
        scan(tree)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="no DeepFake Detection Challenge tree"):
        scan(tmp_path)


PROGRAM = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from dfbench.datasets.registry import get_adapter
    from dfbench.preparation.planning.sharding import cut, rows_per_shard
    start = time.perf_counter()
    scan = get_adapter("dfdc").scan(Path(sys.argv[1]))
    shards = cut(scan.media, 32, rows_per_shard(32 * len(scan.media)))
    print(len(scan.media), len(shards), time.perf_counter() - start)
    # Not ru_maxrss, which a child inherits from the process that started it.
    print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024)
    """
)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_130000_clips_are_planned_fast_and_small():
    # In memory where that is possible, and removed at once: so many files take their time on a disk.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        make_130000_clips(Path(folder))
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, folder], capture_output=True, text=True, check=True, timeout=300
        )
    (media, shards, seconds), (megabytes,) = (line.split() for line in done.stdout.splitlines())
    assert int(media) == 130_000
    assert int(shards) > 1000
    assert float(seconds) < 30
    assert float(megabytes) < 500


def make_130000_clips(root):
    letters = string.ascii_lowercase
    number = 0
    for n in range(50):
        folder = root / f"train/dfdc_train_part_{n}"
        folder.mkdir(parents=True)
        metadata, original = {}, ""
        for i in range(2600):
            name = "".join(letters[number // 26**k % 26] for k in range(10)) + ".mp4"
            original = name if i % 6 == 0 else original
            metadata[name] = real() if name == original else fake(original)
            os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY))
            number += 1
        (folder / "metadata.json").write_text(json.dumps(metadata), "utf-8")
