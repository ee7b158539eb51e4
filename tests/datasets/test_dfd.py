"""DeepFakeDetection: names with double underscores, two trees, no split."""

from __future__ import annotations

import pytest

from dfbench.datasets.dfd import parse_name
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError, UsageError

SCENES = ("exit_phone_room", "outside_talking_still_laughing")
REALS = [f"original_sequences/actors/c23/videos/{a}__{s}.mp4" for a in ("01", "02") for s in SCENES]
FAKES = [
    "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit_phone_room__YVGY8LOK.mp4",
    "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit_phone_room__ABCD1234.mp4",
    "manipulated_sequences/DeepFakeDetection/c23/videos/02_01__outside_talking_still_laughing__0LLG2Y8P.mp4",
]


def test_a_known_name_is_split_on_the_double_underscore():
    name = parse_name("01_02__outside_talking_still_laughing__YVGY8LOK.mp4", real=False)
    assert name is not None
    assert (name.target, name.source, name.scene) == ("01", "02", "outside_talking_still_laughing")
    assert name.base == "01__outside_talking_still_laughing"
    assert parse_name("01_02_outside__YVGY8LOK.mp4", real=False) is None


def test_counts_polarity_groups_and_bases(tmp_path, touch, cells):
    scan = get_adapter("dfd").scan(touch(tmp_path, REALS + FAKES))
    assert cells(scan) == {("test", 0, "real"): 4, ("test", 1, "DeepFakeDetection"): 3}
    assert scan.expected == {"c23": {"test": {"real": {"real": 363}, "fake": {"DeepFakeDetection": 3068}}}}
    assert scan.missing["c23"]["test"]["fake"] == {"DeepFakeDetection": 3065}
    by_id = {m.media_id: m for m in scan.media}
    fake = by_id["dfd/c23/DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK"]
    assert (fake.label, fake.identity_target, fake.identity_source) == (1, "01", "02")
    assert fake.base_media_id == "dfd/c23/real/01__exit_phone_room"
    assert by_id[fake.base_media_id].scene_group == fake.scene_group
    assert sum(m.scene_group == fake.scene_group for m in scan.media) == 3


def test_a_fake_without_its_base_and_other_cases_of_folder_names(tmp_path, touch):
    touch(tmp_path / "FF" / "FF", [p.replace("DeepFakeDetection", "deepfakedetection") for p in FAKES])
    touch(tmp_path / "FF" / "FF", [p.replace("c23", "c0").replace("actors", "Actors") for p in REALS])
    scan = get_adapter("dfd").scan(tmp_path)
    assert {m.subset for m in scan.media} == {"raw", "c23"}
    assert set(scan.warnings) == {"subset c23 contains only fakes", "subset raw contains only reals"}
    only = get_adapter("dfd").scan(tmp_path, subsets=["c0"])
    assert {m.subset for m in only.media} == {"raw"}
    assert set(only.expected) == {"raw"}


def test_the_flat_copy_of_ffpp_gives_one_class_and_says_so(tmp_path, touch, cells):
    touch(tmp_path, [f"FaceForensics++_C23/DeepFakeDetection/{p.rsplit('/', 1)[1]}" for p in FAKES])
    touch(tmp_path, ["FaceForensics++_C23/original/000.mp4"])
    scan = get_adapter("dfd").scan(tmp_path)
    assert cells(scan) == {("test", 1, "DeepFakeDetection"): 3}
    assert "a single class" in scan.warnings[0]


def test_what_is_no_clip_is_named(tmp_path, touch):
    strange = "original_sequences/actors/c23/videos/notes.txt"
    scan = get_adapter("dfd").scan(touch(tmp_path, [*REALS, strange]))
    assert scan.excluded == {"not the name of a clip": (strange,)}


def test_errors(tmp_path, touch):
    with pytest.raises(DataError, match="no DeepFakeDetection tree"):
        get_adapter("dfd").scan(tmp_path)
    with pytest.raises(UsageError, match="subset of dfd"):
        get_adapter("dfd").scan(touch(tmp_path, REALS), subsets=["c24"])
    with pytest.raises(DataError, match="for c40"):
        get_adapter("dfd").scan(tmp_path, subsets=["c40"])
