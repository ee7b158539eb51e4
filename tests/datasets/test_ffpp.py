"""The FaceForensics++ adapter on trees of empty files: names alone decide."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from dfbench.datasets.adapter import total
from dfbench.datasets.ffpp_pairs import make_pairs, official_pairs
from dfbench.datasets.registry import adapter_names, get_adapter
from dfbench.errors import DataError, UsageError

REAL = "original_sequences/youtube/{c}/videos/{n}.mp4"
FAKE = "manipulated_sequences/{m}/{c}/videos/{n}.mp4"


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    return root


def pair_tree(
    root: Path, a: str = "071", b: str = "054", c: str = "c23", methods: tuple[str, ...] = ("Deepfakes",)
) -> Path:
    touch(root, REAL.format(c=c, n=a), REAL.format(c=c, n=b))
    for m in methods:
        touch(root, FAKE.format(m=m, c=c, n=f"{a}_{b}"), FAKE.format(m=m, c=c, n=f"{b}_{a}"))
    return root


def test_official_pairs_are_complete():
    pairs = official_pairs().pairs
    assert Counter(p.split for p in pairs) == {"train": 360, "val": 70, "test": 70}
    assert sorted(i for p in pairs for i in (p.a, p.b)) == [f"{n:03d}" for n in range(1000)]


@pytest.mark.parametrize(
    ("target", "source", "split"), [("033", "097", "train"), ("000", "003", "test"), ("720", "672", "val")]
)
def test_known_fakes_fall_into_their_split(tmp_path, target, source, split):
    touch(tmp_path, FAKE.format(m="FaceSwap", c="c40", n=f"{target}_{source}"))
    (media,) = get_adapter("ff++").scan(tmp_path).media
    assert (media.split, media.identity_target, media.identity_source) == (split, target, source)
    assert media.base_media_id == f"ff++/c40/real/{target}"


def test_polarity_ids_groups_and_order(tmp_path):
    scan = get_adapter("ff++").scan(pair_tree(tmp_path))
    assert [(m.media_id, m.label) for m in scan.media] == [
        ("ff++/c23/Deepfakes/054_071", 1),
        ("ff++/c23/Deepfakes/071_054", 1),
        ("ff++/c23/real/054", 0),
        ("ff++/c23/real/071", 0),
    ]
    assert {m.scene_group for m in scan.media} == {"ff++/071_054"}
    real = scan.media[2]
    assert (real.identity_target, real.identity_source, real.base_media_id) == ("054", None, None)
    assert real.path == "original_sequences/youtube/c23/videos/054.mp4"


def test_both_subsets_of_a_pair_share_the_scene_group(tmp_path):
    pair_tree(tmp_path, c="c23")
    pair_tree(tmp_path, c="c40")
    scan = get_adapter("ff++").scan(tmp_path)
    assert len(scan.media) == 8
    assert {m.scene_group for m in scan.media} == {"ff++/071_054"}


def test_expected_and_missing_split_rules_label_and_method(tmp_path):
    scan = get_adapter("ff++").scan(pair_tree(tmp_path))
    assert set(scan.expected) == {"c23"}
    assert scan.expected["c23"]["train"]["real"] == {"real": 720}
    assert scan.expected["c23"]["test"]["fake"] == dict.fromkeys(
        ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"), 140
    )
    assert scan.missing["c23"]["train"] == {
        "real": {"real": 718},
        "fake": {"Deepfakes": 718, "Face2Face": 720, "FaceSwap": 720, "NeuralTextures": 720},
    }
    assert total(scan.expected) - total(scan.missing) == len(scan.media)


def test_faceshifter_is_expected_only_where_present(tmp_path):
    pair_tree(tmp_path)
    assert "FaceShifter" not in get_adapter("ff++").scan(tmp_path).expected["c23"]["val"]["fake"]
    pair_tree(tmp_path, methods=("FaceShifter",))
    assert get_adapter("ff++").scan(tmp_path).expected["c23"]["val"]["fake"]["FaceShifter"] == 140


def test_c0_is_raw_and_a_second_copy_is_left_out(tmp_path):
    pair_tree(tmp_path, c="c0")
    scan = get_adapter("ff++").scan(tmp_path, subsets=["c0"])
    assert {m.subset for m in scan.media} == {"raw"}
    assert all("/c0/" in m.path for m in scan.media)
    touch(tmp_path, REAL.format(c="raw", n="071"))
    scan = get_adapter("ff++").scan(tmp_path, subsets=["raw"])
    assert scan.excluded == {"a second file of the same clip": ("original_sequences/youtube/c0/videos/071.mp4",)}


def test_names_that_do_not_parse_and_foreign_pairs_are_named(tmp_path):
    pair_tree(tmp_path)
    touch(
        tmp_path,
        FAKE.format(m="Deepfakes", c="c23", n="071_055"),
        REAL.format(c="c23", n="71"),
        REAL.format(c="c23", n=".DS"),
    )
    scan = get_adapter("ff++").scan(tmp_path)
    assert len(scan.media) == 4
    assert scan.excluded == {
        "a fake whose two clips are not an official pair": ("manipulated_sequences/Deepfakes/c23/videos/071_055.mp4",),
        "not the name of a clip": (
            "original_sequences/youtube/c23/videos/.DS.mp4",
            "original_sequences/youtube/c23/videos/71.mp4",
        ),
    }


@pytest.mark.parametrize("prefix", ["", "FaceForensics", "FaceForensics/FaceForensics"])
def test_root_may_be_the_folder_its_parent_or_doubled(tmp_path, prefix):
    pair_tree(tmp_path / prefix)
    scan = get_adapter("ff++").scan(tmp_path)
    assert scan.root == tmp_path / prefix
    assert len(scan.media) == 4
    assert all((scan.root / m.path).is_file() for m in scan.media)


def test_case_and_doubled_folders_are_forgiven(tmp_path):
    touch(
        tmp_path,
        "Original_Sequences/YouTube/C23/videos/videos/071.mp4",
        "manipulated_sequences/DeepFakes/DeepFakes/c23/Videos/071_054.mp4",
    )
    media = get_adapter("ff++").scan(tmp_path).media
    assert [m.media_id for m in media] == ["ff++/c23/Deepfakes/071_054", "ff++/c23/real/071"]
    assert all((tmp_path / m.path).is_file() for m in media)


def test_filters_keep_reals(tmp_path):
    pair_tree(tmp_path, methods=("Deepfakes", "FaceSwap"))
    pair_tree(tmp_path, "000", "003", methods=("Deepfakes", "FaceSwap"))
    scan = get_adapter("ff++").scan(tmp_path, splits=["test"], manipulations=["FaceSwap"])
    assert [m.media_id.split("/", 2)[2] for m in scan.media] == [
        "FaceSwap/000_003",
        "FaceSwap/003_000",
        "real/000",
        "real/003",
    ]
    assert scan.expected == {"c23": {"test": {"real": {"real": 140}, "fake": {"FaceSwap": 140}}}}


@pytest.mark.parametrize(
    ("filters", "near"),
    [
        ({"subsets": ["c32"]}, "c23"),
        ({"splits": ["tset"]}, "test"),
        ({"manipulations": ["DeepFake"]}, "Deepfakes"),
    ],
)
def test_misspelt_filters_are_answered(tmp_path, filters, near):
    with pytest.raises(UsageError) as error:
        get_adapter("ff++").scan(pair_tree(tmp_path), **filters)
    assert near in error.value.hint.split("Known")[0]


def test_nothing_there(tmp_path):
    with pytest.raises(DataError) as error:
        get_adapter("ff++").scan(tmp_path)
    assert "original_sequences/youtube/c23/videos/000.mp4" in error.value.hint
    (tmp_path / "original_sequences/youtube/c23/videos").mkdir(parents=True)
    with pytest.raises(DataError, match="no media of"):
        get_adapter("ff++").scan(tmp_path)


def test_known_subset_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="c40"):
        get_adapter("ff++").scan(pair_tree(tmp_path), subsets=["c40"])
    scan = get_adapter("ff++").scan(tmp_path, subsets=["c23", "c40"])
    assert scan.missing["c40"]["val"]["real"] == {"real": 140}
    assert any("c40" in w for w in scan.warnings)


def test_two_trees_below_the_root(tmp_path):
    pair_tree(tmp_path / "one")
    pair_tree(tmp_path / "two")
    with pytest.raises(DataError, match="several"):
        get_adapter("ff++").scan(tmp_path)


def test_strange_method_folder_is_named_and_dfd_is_not(tmp_path):
    pair_tree(tmp_path)
    touch(
        tmp_path,
        FAKE.format(m="MyMethod", c="c23", n="071_054"),
        FAKE.format(m="DeepFakeDetection", c="c23", n="01_02__x"),
    )
    (warning,) = get_adapter("ff++").scan(tmp_path).warnings
    assert "MyMethod" in warning
    assert "DeepFakeDetection" not in warning


@pytest.mark.parametrize("folder", ["", "splits"])
def test_mini_takes_its_own_splits(tmp_path, folder):
    pair_tree(tmp_path, "000", "001", "c40")
    for split, pairs in (("train", [["002", "003"]]), ("val", []), ("test", [["000", "001"]])):
        file = tmp_path / folder / f"{split}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(pairs))
    scan = get_adapter("mini").scan(tmp_path)
    assert {(m.split, m.scene_group) for m in scan.media} == {("test", "mini/000_001")}
    assert scan.expected["c40"]["train"]["real"] == {"real": 2}
    assert "val" not in scan.expected["c40"]


def test_mini_without_or_with_damaged_split_files(tmp_path):
    pair_tree(tmp_path, "000", "001")
    with pytest.raises(DataError, match="no split files"):
        get_adapter("mini").scan(tmp_path)
    (tmp_path / "train.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match="not a JSON list of pairs"):
        get_adapter("mini").scan(tmp_path)


def test_a_clip_in_two_pairs_is_refused():
    with pytest.raises(DataError, match="001"):
        make_pairs([("train", "000", "001"), ("test", "001", "002")], "here")


def test_registry_answers_misspelt_names():
    assert {"ff++", "mini"} <= set(adapter_names())
    with pytest.raises(UsageError) as error:
        get_adapter("ff+")
    assert "did you mean 'ff++'" in error.value.hint


def test_scan_never_opens_media(tmp_path, monkeypatch):
    pair_tree(tmp_path)
    adapter = get_adapter("ff++")
    opened: list[str] = []
    real_open = Path.open

    def spy(self: Path, *args: object, **kwargs: object) -> object:
        opened.append(self.suffix)
        return real_open(self, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", spy)
    adapter.scan(tmp_path)
    assert ".mp4" not in opened


def test_folders_and_names_that_are_no_text_are_left_out(tmp_path):
    pair_tree(tmp_path)
    videos = tmp_path / "original_sequences/youtube/c23/videos"
    (videos / "000.mp4").mkdir()
    try:
        (videos / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    excluded = get_adapter("ff++").scan(tmp_path).excluded
    assert excluded["not a file"] == ("original_sequences/youtube/c23/videos/000.mp4",)
    assert excluded["not the name of a clip"] == ("original_sequences/youtube/c23/videos/caf\\xe9.mp4",)
    assert json.dumps(excluded).encode("utf-8")
