"""The DFDC preview: dataset.json alone says what a clip is."""

from __future__ import annotations

import json

import pytest

from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError

R1, R2 = "original_videos/643049/643049_A_001.mp4", "original_videos/1255229/1255229_C_001.mp4"
F1 = "method_A/1224068/1224068_D/1224068_643049_D_001.mp4"
F2 = "method_B/1260311/1260311_C/1255229_1260311_C_001.mp4"
ENTRIES = {
    R1: {"label": "real", "set": "train", "augmentations": [], "target_id": None, "swapped_id": None},
    R2: {"label": "real", "set": "test", "augmentations": []},
    F1: {"label": "fake", "set": "train", "target_id": 643049, "swapped_id": 1224068, "source_video": R1},
    F2: {"label": "fake", "set": "test", "target_id": 1260311, "swapped_id": 1255229, "source_video": R1},
}


def write(tree, entries):
    tree.mkdir(parents=True, exist_ok=True)
    (tree / "dataset.json").write_text(json.dumps(entries, indent=1), "utf-8")


@pytest.fixture
def tree(tmp_path, touch):
    touch(tmp_path / "dfdc_preview_set", ENTRIES)
    write(tmp_path / "dfdc_preview_set", ENTRIES)
    return tmp_path


def scan(root):
    return get_adapter("dfdcp").scan(root)


def test_polarity_counts_and_split(tree, cells):
    found = scan(tree)
    assert found.root.name == "dfdc_preview_set"
    assert cells(found) == {
        ("train", 0, "real"): 1,
        ("test", 0, "real"): 1,
        ("train", 1, "method_A"): 1,
        ("test", 1, "method_B"): 1,
    }
    assert not any(m.split == "val" for m in found.media)
    assert found.missing == {}
    assert "published are 855 and 3618" in found.warnings[0]


def test_identities_come_from_the_json_alone(tree):
    fake = {m.manipulation: m for m in scan(tree).media}["method_A"]
    assert (fake.label, fake.identity_target, fake.identity_source) == (1, "643049", "1224068")
    assert fake.media_id == "dfdcp/all/method_A/1224068/1224068_D/1224068_643049_D_001"


def test_groups_follow_the_source_video_within_a_split(tree):
    by_kind = {(m.manipulation, m.split): m for m in scan(tree).media}
    base, fake, other = by_kind["real", "train"], by_kind["method_A", "train"], by_kind["method_B", "test"]
    assert fake.base_media_id == base.media_id == other.base_media_id
    assert fake.scene_group == base.scene_group
    assert other.scene_group != base.scene_group


def test_windows_separators_case_and_a_videos_level(tmp_path, touch, cells):
    write(tmp_path, {key.replace("/", "\\"): value for key, value in ENTRIES.items()})
    touch(
        tmp_path,
        [p.replace("method_A/", "Method_A/").replace("original_videos/", "original_videos/videos/") for p in ENTRIES],
    )
    assert sum(cells(scan(tmp_path)).values()) == 4


def test_what_one_side_lacks_is_named(tree, touch):
    (tree / "dfdc_preview_set" / F1).unlink()
    touch(tree / "dfdc_preview_set", ["method_A/9/9_A/1_2_A_003.mp4", "method_A/readme.txt"])
    found = scan(tree)
    assert found.excluded == {
        "not named in the label file": ("method_A/9/9_A/1_2_A_003.mp4",),
        "not the name of a clip": ("method_A/readme.txt",),
    }
    assert found.missing == {"all": {"train": {"fake": {"method_A": 1}}}}
    assert any("1 clips of dataset.json were not found" in w for w in found.warnings)


@pytest.mark.parametrize(
    ("key", "fields", "words"),
    [
        (R1, {"label": "fake", "set": "train"}, "is in original_videos, but its label is 'fake'"),
        (F1, {"label": "real", "set": "train"}, "is in method_A, but its label is 'real'"),
        (F1, {"label": "fake", "set": "val"}, "set is 'val'"),
        (F1, {"set": "train"}, "not a label: None"),
        (F1, 3, "has no fields"),
        ("../x/a.mp4", {"label": "fake", "set": "train"}, "not a path of the data set"),
    ],
)
def test_contradictions_name_file_and_line(tree, key, fields, words):
    write(tree / "dfdc_preview_set", {R2: ENTRIES[R2], key: fields})
    with pytest.raises(DataError, match=words) as caught:
        scan(tree)
    assert "dataset.json, line " in caught.value.message


def test_broken_or_absent_json(tree):
    file = tree / "dfdc_preview_set/dataset.json"
    file.write_text(file.read_text("utf-8")[:-40], "utf-8")
    with pytest.raises(DataError, match=r"dataset.json, line \d+: not JSON"):
        scan(tree)
    file.unlink()
    with pytest.raises(DataError, match="no DFDC preview tree"):
        scan(tree)
